"""Before what is dangerous is done, who asks shows again to be who they are."""

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import second_factor, web_sessions
from cloudweb.models import Role, User, unit_of_work, utc_now
from cloudweb.security import SESSION_COOKIE, Permission, set_session_cookie
from cloudweb.views.account.asking import field, wait_words
from cloudweb.views.account.own import check_password
from cloudweb.views.dashboard import holding, pages
from cloudweb.views.dashboard.second_factor import count_and_check
from cloudweb.views.dashboard.sessions import local_path

GOOD_FOR_S = 600


def is_due(request: Request) -> bool:
    """Whether it is too long ago that who asks signed in, or showed who they are."""
    return request.proved is None or (utc_now() - request.proved).total_seconds() > GOOD_FOR_S


def ask(request: Request, page: str = "") -> Response:
    """To the page that asks, and back from there; a form that was sent comes back as it was.

    ``page`` is the page the form is on, where its own address is none.
    """
    request.db.rollback()  # nothing is done, and nothing locked while the form is kept
    page = holding.hold(request, page) if request.method == "POST" else request.path_qs
    target = local_path(page) or request.path
    return HTTPSeeOther(request.route_path("admin.prove", _query={"next": target}))


@view_config(route_name="admin.prove", request_method="GET", permission=Permission.ACCOUNT_OWN)
def show(request: Request) -> Response:
    """GET /admin/prove."""
    return _show(request)


def _show(request: Request, fault: faults.Fault | None = None) -> Response:
    given = field(request, "next") if request.method == "POST" else request.GET.get("next", "")
    error = fault.message if fault is not None and not fault.fields else ""
    if isinstance(fault, faults.TooManyRequests):
        error = f"Too many attempts. Try again in {wait_words(fault)}."
    response = pages.show_signed_in(
        request,
        "prove",
        status=fault.code if fault is not None else 200,
        target=local_path(given) or "",
        by_code=request.db.get_one(User, request.identity.user_id).totp_sealed is not None,
        errors=dict(fault.fields) if fault is not None else {},
        error=error,
    )
    if isinstance(fault, faults.TooManyRequests):
        response.headers["Retry-After"] = str(fault.retry_after_s)
    return response


@view_config(route_name="admin.prove", request_method="POST", permission=Permission.ACCOUNT_OWN)
def prove(request: Request) -> Response:
    """POST /admin/prove: back to what was to be done, with the session under a new name."""
    who = request.identity
    user = request.db.get_one(User, who.user_id)
    try:
        if user.totp_sealed is None:
            check_password(request, field(request, "current"))
        else:
            code, sealer = field(request, "code")[:100], request.account_rules.sealer
            request.release_db()
            count_and_check(request, user, lambda s: second_factor.check(s, sealer, user.id, code))
    except (faults.BadRequest, faults.TooManyRequests) as fault:
        raise pages.Refused(_show(request, fault)) from None
    with unit_of_work(request.sessions) as session:
        old = request.cookies.get(SESSION_COOKIE(request.conf), "")
        by = "password" if user.totp_sealed is None else "second factor"
        text = web_sessions.renew(session, who, old, by=by)
    home = "account.home" if who.role is Role.USER else "admin.overview"
    response = HTTPSeeOther(local_path(field(request, "next")) or request.route_path(home))
    set_session_cookie(request, response, text)
    return response
