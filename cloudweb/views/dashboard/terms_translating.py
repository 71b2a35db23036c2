"""What a draft of the terms of use says in another language."""

from markupsafe import Markup
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import terms, terms_languages
from cloudweb.models import SentForm, Terms
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts
from cloudweb.views.dashboard.acts import Field, Kind, Preview
from cloudweb.views.markup import render


@view_config(
    route_name="admin.terms.translate",
    request_method=("GET", "POST"),
    permission=Permission.TERMS_DRAFT,
)
def translate(request: Request) -> Response:
    """GET, POST /admin/terms/{id}/text/{language}: the text and what is new, or none."""
    language, terms_id = request.matchdict["language"], int(request.matchdict["id"])
    original, *others = request.conf.terms_languages
    if language not in others:
        raise faults.ItemNotFound("The terms are not written in that language here.")
    name = terms_languages.name(language)

    def make() -> Preview:
        draft = terms.get(request.db, terms_id)
        known = terms_languages.list_of(request.db, draft).get(language)
        page = request.route_path("admin.terms.version", id=draft.id)
        text = terms_languages.text_of(request.db, draft, known) if known else ""
        return Preview(
            title=f"Write the draft in {name}",
            verb="Keep it",
            section="terms",
            up=(("Terms of use", request.route_path("admin.terms")), ("Draft", page)),
            facts={"What is new": draft.summary},
            follows=(
                f"Who reads {name} is shown this text, and accepts it.",
                f"Everybody else is shown the text in {terms_languages.name(original)}.",
            ),
            obstacle="It is published, and can no longer change." if draft.number else "",
            fields=(
                Field(
                    *("text", f"Text in {name}", Kind.LINES, text),
                    hint="Leave it empty to have none.",
                    longest=terms.LONGEST,
                    language=language,
                ),
                Field(
                    *("summary", f"What is new, in {name}"),
                    value=known.summary if known else "",
                    language=language,
                ),
            ),
            versions=draft.version,
            part="terms_languages",
            below="terms_look" if acts.text(request, "show") == "look" else "",
            also=(("look", "See how it looks"),),
            values={"terms": draft, "language": language, "look": _look(request, draft)},
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        terms_languages.translate(
            *(request.db, request.identity, terms_id, language),
            text=acts.text(request, "text"),
            summary=acts.text(request, "summary"),
        )
        path: str = request.route_path(
            "admin.terms.version", id=terms_id, _query={"lang": language}
        )
        return path

    return acts.respond(request, make, do)


def _look(request: Request, draft: Terms) -> Markup | str:
    """The text as it would be shown; in words why it cannot be kept."""
    text = acts.text(request, "text")
    if not text.strip():
        return "There is no text: who reads this language is shown the original."
    try:
        text, _ = terms.checked(text, "-")
    except faults.BadRequest as fault:
        return " ".join(fault.fields.values())
    return render(text, draft.format)
