"""What admins do about a user: first what follows, then, if it still would, the act."""

from collections.abc import Callable, Mapping, Sequence

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import quotas, registration, user_acts, web_sessions
from cloudweb.domain.user_acts import Act
from cloudweb.models import Resource, Role, SentForm, User, UserState
from cloudweb.security import MEANINGS, Permission, allows
from cloudweb.views.dashboard import acts, figures
from cloudweb.views.dashboard.acts import Field, Kind, Preview
from cloudweb.views.dashboard.browsers import browser
from cloudweb.views.dashboard.figures import plural

Do = Callable[[User, str], None]


def user_of(request: Request) -> User:
    """The user of the address. Raises ItemNotFound."""
    user: User | None = request.db.get(User, int(request.matchdict["id"]))
    if user is None:
        raise faults.ItemNotFound(f"No user {request.matchdict['id']}.")
    return user


def obstacle(user: User, act: Act, own_id: int | None) -> str:
    """Why this cannot be done about this user now; empty when it can."""
    states = {
        Act.ACTIVATE: set(UserState) - {UserState.ACTIVE},
        Act.SEND: set(UserState) - {UserState.ACTIVE},
        Act.REJECT: {UserState.PENDING, UserState.UNVERIFIED},
        Act.DEACTIVATE: {UserState.ACTIVE},
    }.get(act, set(UserState))
    if user.state not in states:
        return f"{user.email} is {user.state.value}."
    if user.id == own_id and act in (Act.DEACTIVATE, Act.ROLE, Act.FACTOR):
        return "You cannot do this to yourself; ask another admin."
    if act is Act.FACTOR and user.totp_sealed is None:
        return f"{user.email} has no second factor."
    if act is Act.MAIL and user.state is UserState.UNVERIFIED:
        return f"Nobody has shown that {user.email} is theirs."
    if act is Act.VERIFY and user.verified is not None:
        return f"{user.email} is verified already."
    return ""


def view(act: Act, *methods: str, permission: Permission = Permission.USER_MANAGE) -> view_config:
    """The view of an act; GET and POST unless said otherwise."""
    return view_config(
        route_name=f"admin.user.{act.value}",
        request_method=methods or ("GET", "POST"),
        permission=permission,
    )


def respond(request: Request, act: Act, make: Callable[[User], Preview], change: Do) -> Response:
    """``change`` gets the user, locked, and the reason."""

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        user = registration.lock(request.db, int(request.matchdict["id"]))
        change(user, reason)
        return done(request, act)

    return acts.respond(request, lambda: make(user_of(request)), do)


def done(request: Request, act: Act) -> str:
    """Where to go when it is done."""
    path: str = request.route_path(
        "admin.user", id=int(request.matchdict["id"]), _query={"done": act.value}
    )
    return path


def up(request: Request, user: User) -> tuple[tuple[str, str], ...]:
    """The pages above what is done about a user."""
    return (
        ("Users", request.route_path("admin.users")),
        (user.email, request.route_path("admin.user", id=user.id)),
    )


def preview(
    request: Request,
    user: User,
    act: Act,
    title: str,
    verb: str,
    follows: Sequence[str],
    *,
    facts: Mapping[str, str] | None = None,
    why_not: str = "",
    phrase: str = "",
    harsh: bool = False,
    fields: Sequence[Field] = (),
    kept: Mapping[str, Sequence[str]] | None = None,
    command: str = "",
    reason: str = "required",
) -> Preview:
    """How the user is, what follows, and a reason; with a phrase it is dangerous."""
    known = {
        "State": user.state.value,
        "Role": user.role.value,
        "Address verified": f"{user.verified:%Y-%m-%d %H:%M} UTC" if user.verified else "no",
        "Second factor": "set up" if user.totp_sealed else "none",
    }
    return Preview(
        title=title,
        verb=verb,
        up=up(request, user),
        facts=known | dict(facts or {}),
        follows=follows,
        obstacle=obstacle(user, act, request.identity.user_id) or why_not,
        reason=reason,
        phrase=phrase,
        danger=bool(phrase),
        harsh=harsh,
        fields=fields,
        kept=kept or {},
        command=command,
        section="users",
        versions=user_acts.token(request.db, user, act),
    )


def _ended(there: user_acts.Preview) -> str:
    nowhere = "" if there.sessions else ": they are signed in nowhere"
    return f"{plural(there.sessions, 'session')} will end{nowhere}."


@view(Act.ACTIVATE, "POST")
def activate(request: Request) -> Response:
    """POST /admin/users/{id}/activate: at once; they are told by mail."""

    def do() -> str:
        user_id = int(request.matchdict["id"])
        registration.activate(request.db, request.identity, request.account_rules, user_id)
        return done(request, Act.ACTIVATE)

    return acts.at_once(request, do, title=f"Activate {user_of(request).email}")


@view(Act.REJECT)
def reject(request: Request) -> Response:
    """GET, POST /admin/users/{id}/reject."""

    def make(user: User) -> Preview:
        told = "They get a mail with your reason."
        if user.state is not UserState.PENDING:
            told = "Nothing is mailed, as the address is not verified."
        return preview(
            *(request, user, Act.REJECT, f"Reject {user.email}", "Reject"),
            (told, "They can be activated later all the same."),
            harsh=True,
            command=f"cloudweb user reject {user.email} --reason …",
        )

    def change(user: User, reason: str) -> None:
        who, rules = request.identity, request.account_rules
        registration.reject(request.db, who, rules, user.id, reason=reason)

    return respond(request, Act.REJECT, make, change)


@view(Act.DEACTIVATE)
def deactivate(request: Request) -> Response:
    """GET, POST /admin/users/{id}/deactivate."""

    def make(user: User) -> Preview:
        there = user_acts.preview(request.db, user, Act.DEACTIVATE)
        stays = "stays and runs on" if there.servers == 1 else "stay and run on"
        return preview(
            *(request, user, Act.DEACTIVATE, f"Deactivate {user.email}", "Deactivate"),
            (
                _ended(there),
                f"{plural(there.tokens, 'API token')} will be refused while they are not active.",
                f"{plural(there.servers, 'VM')} {stays}.",
            ),
            harsh=True,
            command=f"cloudweb user deactivate {user.email} --reason …",
        )

    def change(user: User, reason: str) -> None:
        registration.deactivate(request.db, request.identity, user.id, reason=reason)

    return respond(request, Act.DEACTIVATE, make, change)


@view(Act.ROLE)
def set_role(request: Request) -> Response:
    """GET, POST /admin/users/{id}/role."""

    def make(user: User) -> Preview:
        there = user_acts.preview(request.db, user, Act.ROLE)
        roles = [(role.value, _name(role, user), _powers(role)) for role in Role]
        return preview(
            *(request, user, Act.ROLE, f"Change the role of {user.email}", "Change the role"),
            (
                _ended(there),
                f"{plural(there.tokens, 'API token')} will carry the new role at once.",
            ),
            phrase=user.email,
            fields=(
                Field(
                    *("role", "What they may do", Kind.CHOICE, user.role.value),
                    options=roles,
                    required=True,
                ),
            ),
            command=f"cloudweb user role {user.email} … --reason …",
        )

    def change(user: User, reason: str) -> None:
        role = Role(acts.text(request, "role"))
        registration.set_role(request.db, request.identity, user.id, role, reason=reason)

    return respond(request, Act.ROLE, make, change)


def _name(role: Role, user: User) -> str:
    return f"{role.value} (now)" if role is user.role else role.value


def _powers(role: Role) -> str:
    if role is Role.ADMIN:
        return "everything"
    powers = "; ".join(
        words
        for permission, words in MEANINGS.items()
        if allows(role, permission) and permission is not Permission.ACCOUNT_OWN
    )
    return powers or "own servers; no dashboard"


@view(Act.SESSIONS)
def end_sessions(request: Request) -> Response:
    """GET, POST /admin/users/{id}/sessions?session=: out everywhere, or of one browser.

    Their tokens are revoked if asked.
    """

    def make(user: User) -> Preview:
        there = user_acts.preview(request.db, user, Act.SESSIONS)
        many = f"all {there.tokens} API tokens" if there.tokens != 1 else "the API token"
        one = " --session …" if request.params.get("session") else ""
        also = Field("tokens", f"Also revoke {many}, for good", Kind.TICK)
        return preview(
            *(request, user, Act.SESSIONS, f"Sign out {user.email}", "Sign them out"),
            (
                _ended(there),
                "They can sign in again at once. To keep them out, deactivate them.",
            ),
            phrase=user.email,
            fields=(*_which(request, user), *((also,) if there.tokens else ())),
            command=f"cloudweb user sign-out {user.email}{one} --reason …",
        )

    def change(user: User, reason: str) -> None:
        tokens = acts.text(request, "tokens") == "yes"
        only = acts.text(request, "session")
        user_acts.end_sessions(
            *(request.db, request.identity, user),
            only=int(only) if only else None,
            tokens=tokens,
            reason=reason,
        )

    return respond(request, Act.SESSIONS, make, change)


def _which(request: Request, user: User) -> tuple[Field, ...]:
    """Which of their sessions, where there is more than one."""
    there = web_sessions.list_own(request.db, user.id)
    if len(there) < 2:
        return ()
    each = [
        (str(one.id), f"{browser(one.agent)}, {one.address or 'no address'}", "") for one in there
    ]
    options = [("", "all of them", ""), *each]
    return (Field("session", "Which sessions end", Kind.MENU, options=options),)


@view(Act.QUOTA)
def set_limits(request: Request) -> Response:
    """GET, POST /admin/users/{id}/quota: a number, unlimited, or what the settings say."""

    def make(user: User) -> Preview:
        return preview(
            *(request, user, Act.QUOTA, f"Set the limits of {user.email}", "Set the limits"),
            (
                "Who already has more keeps it, and gets no more.",
                "A limit is a whole number, unlimited, or nothing for what the settings say.",
            ),
            fields=_limits(request, user),
            command=f"cloudweb quota set {user.email} … --reason …",
        )

    def change(user: User, reason: str) -> None:
        user_acts.set_limits(
            *(request.db, request.identity, user),
            {resource: acts.text(request, resource.value) for resource in Resource},
            defaults=request.conf.quotas,
            reason=reason,
        )

    return respond(request, Act.QUOTA, make, change)


def _limits(request: Request, user: User) -> list[Field]:
    defaults = request.conf.quotas
    fields = []
    for each in quotas.show(request.db, user, defaults):
        name = each.resource.value
        usual = defaults[each.resource]
        label = figures.resource(each.resource)
        own = "" if not each.own else "unlimited" if each.limit is None else str(each.limit)
        hint = f"Has {each.used:,}; settings: {'unlimited' if usual is None else f'{usual:,}'}"
        fields.append(Field(name, label, value=own, hint=hint, longest=20))
    return fields
