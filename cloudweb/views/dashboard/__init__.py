"""The operators' dashboard: plain pages at ``/admin``, each complete without a script."""

from pyramid.config import Configurator
from pyramid.csrf import CookieCSRFStoragePolicy
from pyramid.request import Request

from cloudweb.resources.admin import AdminContext
from cloudweb.security import is_api
from cloudweb.views.dashboard import pages, statics

_ID = r"{id:\d{1,18}}"
_ROUTES = {
    "admin.root": "/admin",
    "admin.overview": "/admin/",
    "admin.login": "/admin/login",
    "admin.logout": "/admin/logout",
    "admin.vms": "/admin/vms",
    "admin.vm": f"/admin/vms/{_ID}",
    "admin.vm.start": f"/admin/vms/{_ID}/start",
    "admin.vm.shutdown": f"/admin/vms/{_ID}/shutdown",
    "admin.vm.reboot": f"/admin/vms/{_ID}/reboot",
    "admin.vm.destroy": f"/admin/vms/{_ID}/destroy",
    "admin.backends": "/admin/backends",
    "admin.backend": f"/admin/backends/{_ID}",
    "admin.backend.drain": f"/admin/backends/{_ID}/drain",
    "admin.backend.undrain": f"/admin/backends/{_ID}/undrain",
    "admin.operations": "/admin/operations",
    "admin.operation": f"/admin/operations/{_ID}",
}


def _cookie_is_credential(request: Request) -> bool:
    return not is_api(request.path_info)


def includeme(config: Configurator) -> None:
    """Routes, files, protection against forged forms, and the headers of every page."""
    secure = config.registry["cloudweb.settings"].session_cookie_secure
    config.set_csrf_storage_policy(
        CookieCSRFStoragePolicy(
            cookie_name="__Host-csrf" if secure else "csrf",
            secure=secure,
            httponly=True,
            samesite="Lax",
        )
    )
    config.set_default_csrf_options(require_csrf=True, callback=_cookie_is_credential)
    for name, pattern in _ROUTES.items():
        config.add_route(name, pattern, factory=AdminContext)
    config.include(statics)
    config.include(pages)
    config.scan("cloudweb.views.dashboard")
