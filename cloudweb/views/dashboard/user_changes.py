"""What admins do about a user's address, links and second factor, by the one flow of changes."""

import dataclasses

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import email_addresses, registration, second_factor, user_acts
from cloudweb.domain.user_acts import Act
from cloudweb.models import SentForm, User
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, writing
from cloudweb.views.dashboard.acts import Preview
from cloudweb.views.dashboard.user_acts import done, obstacle, preview, respond, up, user_of, view


@view(Act.EMAIL)
def change_address(request: Request) -> Response:
    """GET, POST /admin/users/{id}/email?email=…: theirs once they follow a mailed link.

    Who has the address can have a new password mailed there, so this is dangerous.
    """
    wanted = str(request.params.get("email", "")).strip()[:254]

    def make(user: User) -> Preview:
        why_not = ""
        try:
            email_addresses.check_new(request.db, user, wanted)
        except (faults.BadRequest, faults.Conflict) as fault:
            why_not = fault.message
        return preview(
            *(request, user, Act.EMAIL, f"Change the address of {user.email}", "Send the link"),
            (
                (
                    f"A link goes to {wanted}. Once it is followed, they sign in with that "
                    "address; until then nothing changes."
                ),
                "The old address is told when it has changed.",
                "Sessions, tokens and password stay.",
                (
                    "Whoever reads mail at the new address can then choose a new password: be sure "
                    "that it is them who asks."
                ),
            ),
            facts={"New address": wanted},
            why_not=why_not,
            phrase=user.email,
            kept={"email": [wanted]},
            command=f"cloudweb user email {user.email} {wanted} --reason …",
        )

    def change(user: User, reason: str) -> None:
        rules = request.account_rules
        email_addresses.ask_change(
            *(request.db, request.identity, rules, user.id), email=wanted, reason=reason
        )

    return respond(request, Act.EMAIL, make, change)


@view(Act.VERIFY, "POST")
def verify(request: Request) -> Response:
    """POST /admin/users/{id}/verify: an admin vouches for the address, at once."""

    def do() -> str:
        who, rules = request.identity, request.account_rules
        email_addresses.mark_verified(request.db, who, rules, int(request.matchdict["id"]))
        return done(request, Act.VERIFY)

    return acts.at_once(request, do, title=f"Say that {user_of(request).email} is theirs")


@view(Act.SEND)
def send_link(request: Request) -> Response:
    """GET, POST /admin/users/{id}/send: the link by which they show the address is theirs."""

    def make(user: User) -> Preview:
        return preview(
            *(request, user, Act.SEND, f"Send a link to {user.email}", "Send it"),
            (
                "By the mailed link they choose a password, and are active then.",
                "Links they were sent before stay good as long as they were.",
            ),
            command=f"cloudweb user activation-send {user.email} --reason …",
        )

    def change(user: User, reason: str) -> None:
        who, rules = request.identity, request.account_rules
        registration.send_activation(request.db, who, rules, user, reason=reason)

    return respond(request, Act.SEND, make, change)


@view(Act.FACTOR)
def reset_factor(request: Request) -> Response:
    """GET, POST /admin/users/{id}/factor: the password alone signs in then."""

    def make(user: User) -> Preview:
        there = user_acts.preview(request.db, user, Act.FACTOR)
        return preview(
            *(request, user, Act.FACTOR, f"Reset the second factor of {user.email}", "Reset it"),
            (
                f"{there.sessions} session{'' if there.sessions == 1 else 's'} will end.",
                (
                    "Their recovery codes are void. From now on the password alone signs in, until "
                    "they set a new one up; where their role needs one, that is at once."
                ),
                "Be sure that it is them who asks.",
            ),
            phrase=user.email,
            command=f"cloudweb user totp-reset {user.email} --reason …",
        )

    def change(user: User, reason: str) -> None:
        second_factor.remove(request.db, request.identity, user.id, reason=reason)

    return respond(request, Act.FACTOR, make, change)


@view(Act.MAIL, permission=Permission.USER_MAIL)
def write(request: Request) -> Response:
    """GET, POST /admin/users/{id}/mail: a text of one's own, the mail it makes, and sending it."""
    user = user_of(request)
    title = f"Write to {user.email}"
    page = {
        "section": "users",
        "title": title,
        "up": up(request, user),
        "words": "They get your text, and who has written it.",
        "obstacle": obstacle(user, Act.MAIL, request.identity.user_id),
        "ids": (),
        "command": f"cloudweb user mail {user.email} --subject … FILE",
    }

    def make(subject: str, text: str) -> Preview:
        user = user_of(request)
        letter = user_acts.letter(request.identity, subject=subject, text=text)
        shown = preview(
            *(request, user, Act.MAIL, title, "Send it"),
            ("It cannot be taken back.", "The audit says that you wrote, and the subject."),
            reason="",
            kept={"subject": [subject], "text": [text]},
            command=str(page["command"]),
        )
        return dataclasses.replace(
            shown,
            part="notice",
            values=writing.sample(letter, user.email),
            also=writing.ALSO,
            versions=(shown.versions, user.email, letter.subject, letter.text),
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        user_acts.write(
            *(request.db, request.identity, request.account_rules.sealer, user_of(request)),
            subject=acts.text(request, "subject"),
            text=acts.text(request, "text"),
        )
        return done(request, Act.MAIL)

    return writing.respond(request, page, make, do)
