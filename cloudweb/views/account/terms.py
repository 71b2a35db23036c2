"""The terms of use for everybody to read, and for who is signed in to accept."""

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import acceptances, terms
from cloudweb.models import Role, Terms, User
from cloudweb.security import Permission
from cloudweb.views import languages
from cloudweb.views.account.asking import field
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.sessions import local_path


@view_config(route_name="terms", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show_current(request: Request) -> Response:
    """GET /terms: the version in force."""
    current = terms.in_force(request.db)
    if current is None:
        return pages.show(request, "terms_public", status=404, terms=None)
    return _show(request, current, current)


@view_config(route_name="terms.version", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show_version(request: Request) -> Response:
    """GET /terms/{number}: any version that was published."""
    wanted = terms.get_published(request.db, int(request.matchdict["number"]))
    return _show(request, wanted, terms.in_force(request.db))


def _show(request: Request, wanted: Terms, current: Terms | None) -> Response:
    return pages.show(
        request,
        "terms_public",
        terms=wanted,
        state=terms.state_of(wanted, current),
        reading=languages.read(request, wanted),
    )


@view_config(route_name="account.terms", request_method="GET", permission=Permission.TERMS_ACCEPT)
def ask(request: Request) -> Response:
    """GET /account/terms: what is in force, to be accepted by who has not."""
    if not request.identity.owes_terms:
        return HTTPSeeOther(_onward(request))
    return _ask(request)


def _ask(request: Request, *, status: int = 200, error: str = "", moved: bool = False) -> Response:
    current = terms.in_force(request.db)
    if current is None:
        return HTTPSeeOther(_onward(request))
    accepted = request.db.get_one(User, request.identity.user_id).terms_number
    return pages.show_signed_in(
        request,
        "terms_accept",
        status=status,
        terms=current,
        accepted=accepted,
        reading=languages.read(request, current),
        target=_target(request),
        error=error,
        moved=moved,
    )


@view_config(route_name="account.terms", request_method="POST", permission=Permission.TERMS_ACCEPT)
def accept(request: Request) -> Response:
    """POST /account/terms: by the hash of the text that was shown."""
    try:
        if field(request, "accept") != "yes":
            raise faults.BadRequest("Tick that you accept the terms.")
        acceptances.accept(request.db, request.identity, text_digest=field(request, "text"))
    except terms.Moved as fault:
        raise pages.Refused(_ask(request, status=fault.code, moved=True)) from None
    except faults.BadRequest as fault:
        refused = _ask(request, status=fault.code, error=fault.message)
        raise pages.Refused(refused) from None
    return HTTPSeeOther(_onward(request))


def _target(request: Request) -> str:
    given = field(request, "next") if request.method == "POST" else request.GET.get("next", "")
    return local_path(given) or ""


def _onward(request: Request) -> str:
    home = "account.home" if request.identity.role is Role.USER else "admin.overview"
    return _target(request) or request.route_path(home)
