"""Writing a mail in words of one's own: the form, the mail as it will be, sending it."""

from collections.abc import Callable, Mapping
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import letters
from cloudweb.domain.mail import Letter
from cloudweb.models import SentForm
from cloudweb.views.dashboard import acts, pages
from cloudweb.views.dashboard.acts import Preview

ALSO = (("words", "Change it"),)
"""The other button of a preview: back to the words."""


def respond(
    request: Request,
    page: Mapping[str, Any],
    make: Callable[[str, str], Preview],
    do: Callable[[Preview, str, SentForm], str],
) -> Response:
    """The form, with what ``page`` says of it, until there are words to be shown as a mail.

    ``make`` gets the subject and the text, as they are sent.
    """
    subject, text = (str(request.params.get(name, "")) for name in ("subject", "text"))
    asked = request.method != "POST" and not (subject or text)
    if asked or acts.text(request, "show") == "words":
        return _ask(request, page, subject, text)
    try:
        words = letters.checked(subject, text)
    except faults.BadRequest as fault:
        refused = _ask(request, page, subject, text, status=400, errors=dict(fault.fields))
        raise pages.Refused(refused) from None
    return acts.respond(request, lambda: make(*words), do)


def _ask(
    request: Request,
    page: Mapping[str, Any],
    subject: str,
    text: str,
    *,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
) -> Response:
    return pages.show_signed_in(
        request,
        "write",
        status=status,
        page=page,
        subject=subject[: 2 * letters.MAX_SUBJECT],
        text=text[: 2 * letters.MAX_TEXT],
        errors=errors or {},
        longest=(letters.MAX_SUBJECT, letters.MAX_TEXT),
    )


def sample(letter: Letter, to: str, *, mails: int = 1, ticked: bool = False) -> dict[str, Any]:
    """What ``partials/notice`` shows: one mail, to whom it goes, and how many there will be."""
    return {"letter": letter, "to": to, "mails": mails, "ticked": ticked}
