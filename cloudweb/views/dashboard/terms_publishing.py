"""Publishing terms of use, making a scheduled version a draft again, dropping a draft."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import publishing, telling, terms, terms_languages
from cloudweb.models import SentForm, Terms, utc_now
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts
from cloudweb.views.dashboard.acts import Field, Kind, Preview
from cloudweb.views.dashboard.terms import diff_of


def _id(request: Request) -> int:
    return int(request.matchdict["id"])


def _page(request: Request) -> str:
    path: str = request.route_path("admin.terms.version", id=_id(request))
    return path


def _up(request: Request, found: Terms) -> tuple[tuple[str, str], ...]:
    name = f"Version {found.number}" if found.number else "Draft"
    return (("Terms of use", request.route_path("admin.terms")), (name, _page(request)))


@view_config(
    route_name="admin.terms.publish",
    request_method=("GET", "POST"),
    permission=Permission.TERMS_PUBLISH,
)
def publish(request: Request) -> Response:
    """GET, POST /admin/terms/{id}/publish: who would be asked, and what would be refused."""

    def do(preview: Preview, reason: str, _form: SentForm) -> str:
        publishing.publish(
            *(request.db, request.identity, _id(request)),
            in_force=acts.time(request, "in_force"),
            reason=reason,
            seen=str(preview.versions),
        )
        return _page(request)

    return acts.respond(request, lambda: _preview(request), do)


def _preview(request: Request) -> Preview:
    draft, current = terms.get(request.db, _id(request)), terms.in_force(request.db)
    impact = publishing.preview(request.db, draft)
    letter = telling.letter_about(
        *(request.account_rules, draft, impact.number, request.looks.language),
        terms_languages.list_of(request.db, draft),
    )
    published = f"It is published already, as version {draft.number}." if draft.number else ""
    return Preview(
        title="Publish this version",
        verb="Publish",
        section="terms",
        up=_up(request, draft),
        facts={"What is new": draft.summary} | _languages(request, draft),
        obstacle=published,
        part="publishing",
        below="published",
        values={
            "terms": draft,
            "current": current,
            "impact": impact,
            "letter": letter,
            "diff": diff_of(request, current, draft) if current is not None else None,
        },
        fields=(Field("in_force", "In force from (UTC; empty: at once)", Kind.TIME),),
        reason="required",
        phrase="publish",
        danger=True,
        versions=impact.token,
        leave="Leave it a draft",
        command=f"cloudweb term publish {draft.id} --reason …",
    )


def _languages(request: Request, draft: Terms) -> dict[str, str]:
    """In which it is and is not, where there is more than one."""
    languages = request.conf.terms_languages
    if len(languages) == 1:
        return {}
    lacks = terms_languages.missing(request.db, draft, languages)
    there = ", ".join(terms_languages.name(each) for each in languages if each not in lacks)
    absent = ", ".join(map(terms_languages.name, lacks))
    return {"Languages": there + (f"; not in {absent}" if lacks else "")}


@view_config(
    route_name="admin.terms.unschedule",
    request_method=("GET", "POST"),
    permission=Permission.TERMS_PUBLISH,
)
def unschedule(request: Request) -> Response:
    """GET, POST /admin/terms/{id}/unschedule, with a reason: a draft again."""

    def make() -> Preview:
        found = terms.get(request.db, _id(request))
        scheduled = found.in_force is not None and found.in_force > utc_now()
        return Preview(
            title="Make it a draft again",
            verb="Make it a draft",
            section="terms",
            up=_up(request, found),
            facts={"What is new": found.summary},
            follows=("It does not come into force, and its public page is gone.",),
            obstacle=""
            if scheduled
            else "Only a version that is not in force yet becomes a draft again.",
            reason="required",
            harsh=True,
            versions=(found.number, found.in_force),
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        publishing.unschedule(request.db, request.identity, _id(request), reason=reason)
        return _page(request)

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.terms.withdraw",
    request_method=("GET", "POST"),
    permission=Permission.TERMS_DRAFT,
)
def withdraw(request: Request) -> Response:
    """GET, POST /admin/terms/{id}/withdraw: the text before it as a draft, to be published."""

    def make() -> Preview:
        found = terms.get(request.db, _id(request))
        earlier = terms.before(request.db, found) if found.number else None
        back = f"version {earlier.number}" if earlier else "none"
        return Preview(
            title=f"Withdraw version {found.number}",
            verb="Make the draft",
            section="terms",
            up=_up(request, found),
            facts={"What was new": found.summary, "Text to go back to": back},
            follows=(
                f"The text of {back} becomes a draft, and the page to publish it comes next.",
                "Until then this version stays in force. Who accepted it stays written down.",
            ),
            obstacle=publishing.why_not_withdrawn(request.db, found),
            versions=(found.number, earlier and earlier.id),
            command=f"cloudweb term withdraw {found.id}",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        draft = publishing.withdraw(request.db, request.identity, _id(request))
        path: str = request.route_path("admin.terms.publish", id=draft.id)
        return path

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.terms.drop",
    request_method=("GET", "POST"),
    permission=Permission.TERMS_DRAFT,
)
def drop(request: Request) -> Response:
    """GET, POST /admin/terms/{id}/drop: a draft as it was seen."""

    def make() -> Preview:
        draft = terms.get(request.db, _id(request))
        return Preview(
            title="Throw the draft away",
            verb="Throw it away",
            section="terms",
            up=_up(request, draft),
            facts={"What is new": draft.summary, "Author": draft.author},
            follows=("Nobody has seen it but staff. Its text is gone.",),
            obstacle="It is published, and stays." if draft.number else "",
            harsh=True,
            versions=draft.version,
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        draft = terms.get(request.db, _id(request))
        terms.drop(request.db, request.identity, draft.id, seen=draft.version)
        path: str = request.route_path("admin.terms")
        return path

    return acts.respond(request, make, do)
