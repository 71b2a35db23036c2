"""Terms of use: the versions, writing one, and comparing two."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import acceptances, audit, forms, terms, terms_languages, terms_lists
from cloudweb.domain.terms import TermsState
from cloudweb.domain.terms_diff import Diff, compare
from cloudweb.domain.terms_lists import TermsRow
from cloudweb.models import Terms, TermsFormat
from cloudweb.security import Permission
from cloudweb.views import languages
from cloudweb.views.dashboard import acts, lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.states import look
from cloudweb.views.markup import render

_EMPTY: dict[str, Any] = {
    "text": "",
    "summary": "",
    "format": "markdown",
    "requires": True,
    "seen": 0,
}


TERMS = Listing(
    name="terms",
    title="Terms of use",
    one="version",
    many="versions",
    fields=terms_lists.FIELDS,
    rows=terms_lists.rows,
    row=TermsRow,
    key=lambda row: row.terms.id,
    search=(Terms.summary, Terms.author),
    hint="what is new, or author",
    choices={
        "state": ("State", {each.value: look(each).word for each in TermsState}),
        "required": ("To be accepted", {"yes": "yes", "no": "no"}),
    },
    sort="-draft,-version,-id",
    columns=(
        Column("version", "Version", lambda row: row.terms.number),
        Column("state", "State", lambda row: row.state),
        Column("in_force", "In force from", lambda row: row.terms.in_force),
        Column("summary", "What is new", lambda row: row.terms.summary, "prose"),
        Column("author", "Author", lambda row: row.terms.author, "name"),
        Column("required", "To be accepted", lambda row: row.terms.requires_acceptance),
        Column("accepted", "Accepted", lambda row: row.accepted, "n"),
        Column("owed", "Owe nothing", lambda row: row.owed),
        Column("format", "Written in", lambda row: row.terms.format.value),
        Column("created", "Written", lambda row: row.terms.created),
        Column("published", "Published", lambda row: row.terms.published),
        Column("publisher", "Published by", lambda row: row.terms.published_by, "name"),
        Column("text", "Text", lambda row: row.terms.text_digest),
        Column("id", "Number", lambda row: row.terms.id),
    ),
    shown=("state", "in_force", "summary", "author", "required", "accepted", "owed"),
    nothing="No version has been written yet.",
)


@page_and_files("admin.terms")
def index(request: Request) -> Response:
    """GET /admin/terms, .csv, .json: drafts, then versions, the newest first."""
    owed, active = acceptances.count_owed(request.db)
    return lists.respond(
        request,
        TERMS,
        current=terms.in_force(request.db),
        owed=owed,
        active=active,
        state_of=lambda row: TermsState(row.state),
    )


@view_config(
    route_name="admin.terms.version", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show(request: Request) -> Response:
    """GET /admin/terms/{id}: one version with what may be done about it."""
    wanted = terms.get(request.db, int(request.matchdict["id"]))
    current = terms.in_force(request.db)
    return pages.show_signed_in(
        request,
        "terms_version",
        terms=wanted,
        state=terms.state_of(wanted, current),
        current=current,
        accepted=acceptances.count_of(request.db, wanted.id),
        reading=languages.read(request, wanted),
        entries=audit.list_for(request.db, "terms", wanted.id),
    )


def _edit(request: Request, draft: Terms | None, *, status: int = 200, **values: Any) -> Response:
    known: dict[str, Any] = {"errors": {}, "error": "", "moved": False, "body": None}
    if draft is not None:
        known |= {
            "text": terms.text_of(request.db, draft),
            "summary": draft.summary,
            "format": draft.format.value,
            "requires": draft.requires_acceptance,
            "seen": draft.version,
        }
    return pages.show_signed_in(
        request,
        "terms_edit",
        status=status,
        terms=draft,
        longest=terms.LONGEST,
        key=forms.new_key(),
        **(known | values),
    )


@view_config(route_name="admin.terms.new", request_method="GET", permission=Permission.TERMS_DRAFT)
def ask_new(request: Request) -> Response:
    """GET /admin/terms/new?from={id}: an empty draft, or one that begins with another's text."""
    origin = request.GET.get("from", "")
    text, kind = "", TermsFormat.MARKDOWN
    if origin.isascii() and origin.isdigit() and len(origin) < 19:
        found = terms.get(request.db, int(origin))
        text, kind = terms.text_of(request.db, found), found.format
    return _edit(request, None, **_EMPTY | {"text": text, "format": kind.value})


@view_config(route_name="admin.terms.edit", request_method="GET", permission=Permission.TERMS_DRAFT)
def ask_edit(request: Request) -> Response:
    """GET /admin/terms/{id}/edit."""
    return _edit(request, _draft(request))


def _draft(request: Request) -> Terms:
    draft = terms.get(request.db, int(request.matchdict["id"]))
    if draft.number is not None:
        raise faults.Conflict(f"Version {draft.number} is published and can no longer change.")
    return draft


def _given(request: Request) -> dict[str, Any]:
    """What the form says, but for its file."""
    text, seen = request.POST.get("text", ""), request.POST.get("seen", "0")
    return {
        "text": text if isinstance(text, str) else "",
        "summary": str(request.POST.get("summary", ""))[:1000],
        "format": "html" if request.POST.get("format") == "html" else "markdown",
        "requires": request.POST.get("requires") == "yes",
        "seen": int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 19 else 0,
    }


def _text(request: Request, typed: str) -> str:
    """The text of the file, if there is one, or what was typed. Raises BadRequest, OverLimit."""
    if request.cut_off:
        beginning = " Only its beginning is here." if request.cut_off == "text" else ""
        said = f"This is too large: a text has at most {terms.LONGEST:,} characters.{beginning}"
        raise faults.OverLimit("", details={request.cut_off: said})
    upload = request.POST.get("file", "")
    if not getattr(upload, "filename", ""):
        return typed
    try:
        text: str = upload.file.read().decode()
    except UnicodeDecodeError:
        raise faults.BadRequest("", details={"file": "The file is not UTF-8 text."}) from None
    return text


@view_config(route_name="admin.terms.new", request_method="POST", permission=Permission.TERMS_DRAFT)
def add(request: Request) -> Response:
    """POST /admin/terms/new: look at it, or keep it as a draft."""
    return _save(request, None)


@view_config(
    route_name="admin.terms.edit", request_method="POST", permission=Permission.TERMS_DRAFT
)
def change(request: Request) -> Response:
    """POST /admin/terms/{id}/edit: look at it, or keep it."""
    return _save(request, _draft(request))


def _save(request: Request, draft: Terms | None) -> Response:
    given, look = _given(request), request.POST.get("do") == "look"
    form, again = (None, False) if look else acts.claim(request)
    if form is not None and again:
        return HTTPSeeOther(form.location)
    text, summary, kind = given["text"], given["summary"], TermsFormat(given["format"])
    try:
        text = _text(request, text)
        if form is None:
            text, _ = terms.checked(text, summary or "-")
            return _edit(request, draft, **given | {"text": text}, body=render(text, kind))
        values = {"kind": kind, "requires_acceptance": given["requires"]}
        if draft is None:
            kept = terms.add(request.db, request.identity, text=text, summary=summary, **values)
        else:
            kept = terms.change(
                *(request.db, request.identity, draft.id),
                text=text,
                summary=summary,
                seen=given["seen"],
                **values,
            )
    except terms.Moved as fault:
        assert draft is not None
        request.db.rollback()
        given |= {"seen": draft.version, "text": text}
        raise pages.Refused(_edit(request, draft, status=fault.code, moved=True, **given)) from None
    except (faults.BadRequest, faults.OverLimit) as fault:
        request.db.rollback()
        if "text" not in fault.fields:
            given["text"] = text  # a file's, which would have to be chosen again
        refused = _edit(request, draft, status=fault.code, errors=dict(fault.fields), **given)
        raise pages.Refused(refused) from None
    form.location = request.route_path("admin.terms.version", id=kept.id)
    return HTTPSeeOther(form.location)


def diff_of(request: Request, before: Terms, after: Terms, language: str = "") -> Diff:
    """The words in which two versions differ, in a language or the original."""
    texts = []
    for each in (before, after):
        translation = terms_languages.list_of(request.db, each).get(language) if language else None
        texts.append(terms_languages.text_of(request.db, each, translation))
    return compare(*texts)


@view_config(
    route_name="admin.terms.diff", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def diff(request: Request) -> Response:
    """GET /admin/terms/{a}..{b}?lang=: word by word."""
    original, *others = request.conf.terms_languages
    language = request.GET.get("lang", "")
    before, after = (terms.get(request.db, int(request.matchdict[key])) for key in ("a", "b"))
    return pages.show_signed_in(
        request,
        "terms_diff",
        before=before,
        after=after,
        diff=diff_of(request, before, after, language if language in others else ""),
        language=language if language in others else original,
    )
