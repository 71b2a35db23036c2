"""A form that comes after its session has ended is kept, and comes back as it was filled in.

Nothing is done by that: the page is asked for anew, shown with what was filled in, and sent again
by whoever filled it in, or not.
"""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

from pyramid.csrf import check_csrf_token
from pyramid.registry import Registry
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response

from cloudweb.domain import held_forms, web_sessions
from cloudweb.domain.held_forms import Held
from cloudweb.models import unit_of_work
from cloudweb.security import SESSION_COOKIE, is_page, known_identity
from cloudweb.views.dashboard.refilling import refill

NAME = "held"
_LONGEST_PAGE = 900
_MAIN = '<main id="main" tabindex="-1">'
_NOT_ASKED = frozenset({"csrf_token", "key", "seen", "was", "reason", "phrase", "show"})
"""Fields of a form that its page is not asked for with."""

Handler = Callable[[Request], Response]


def hold(request: Request, page: str = "") -> str:
    """Keep the form that was sent; the page to come back to, empty when there is none.

    That is ``page``, or else the one it came from.

    Only for whoever the session is or was, and only a form of ours.
    """
    if request.method != "POST" or not is_page(request.path_info):
        return ""
    if not check_csrf_token(request, raises=False):
        return ""
    fields = tuple((n, v) for n, v in request.POST.items() if isinstance(v, str))
    held = Held(page or _page(request), request.path, fields)
    identity = known_identity(request)
    cookie = request.cookies.get(SESSION_COOKIE(request.conf), "")[:200]
    with unit_of_work(request.sessions) as session:
        user_id = identity.user_id if identity else web_sessions.owner_of(session, cookie)
        if user_id is None:
            return ""
        sealer = request.account_rules.sealer
        key = held_forms.hold(session, sealer, user_id, held)
    if key is None:
        return held.page
    return _with(held.page, [(NAME, key)])


def _page(request: Request) -> str:
    """The page the form was on: ours, or where the form leads."""
    came = urlsplit(request.referer or "")
    if came.netloc != request.host or not is_page(came.path):
        return str(request.path)
    query = [(n, v) for n, v in parse_qsl(came.query) if n != NAME]
    page = _with(came.path, query)
    return page if page.isascii() and len(page) <= _LONGEST_PAGE else came.path


def _with(path: str, query: list[tuple[str, str]]) -> str:
    path, _, before = path.partition("?")
    text = "&".join(filter(None, (before, urlencode(query))))
    return f"{path}?{text}" if text else path


def tween_factory(handler: Handler, _registry: Registry) -> Handler:
    """Shows a page with what its user had filled in, where its address names that."""

    def tween(request: Request) -> Response:
        if f"{NAME}=" not in request.environ.get("QUERY_STRING", "") or request.method != "GET":
            return handler(request)
        return _answer(request, handler) if is_page(request.path_info) else handler(request)

    return tween


def _answer(request: Request, handler: Handler) -> Response:
    key = request.GET.get(NAME, "")[:100]
    user_id, held = _find(request, key)
    if user_id is None or not key:
        return handler(request)
    query = [(n, v) for n, v in request.GET.items() if n != NAME]
    if held is not None and urlsplit(held.page).path == held.action:
        # What the page was made of went along with the form.
        there = {n for n, _ in query}
        unasked = [(n, v) for n, v in held.fields if n not in there and n not in _NOT_ASKED]
        query += unasked
    request.environ["QUERY_STRING"] = urlencode(query)
    response = handler(request)
    if request.headers.get("HX-Request") == "true" or response.content_type != "text/html":
        return response
    page, left = refill(response.text, held) if held else (response.text, [])
    values = {"held": held, "left": _readable(left)}
    note = render("cloudweb:templates/partials/held.jinja2", values, request)
    response.text = page.replace(_MAIN, _MAIN + note, 1)
    return response


def _find(request: Request, key: str) -> tuple[int | None, Held | None]:
    """Who asks, and what of theirs has this key."""
    cookie = request.cookies.get(SESSION_COOKIE(request.conf), "")[:200]
    with unit_of_work(request.sessions, write=False) as session:
        found = web_sessions.find_session(session, cookie, idle_s=request.conf.session_idle_s)
        if found is None or found.owes_terms:
            return None, None  # to sign in or to accept terms, and back with the same address
        user_id = found.user.id
        return user_id, held_forms.find(session, request.account_rules.sealer, user_id, key)


def _readable(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(n, v) for n, v in fields if n not in held_forms.TECHNICAL and v.strip()]
