"""The operators' dashboard: plain pages at ``/admin``, each complete without a script."""

from pyramid.config import Configurator
from pyramid.request import Request

from cloudweb.resources.admin import AdminContext
from cloudweb.security import is_api
from cloudweb.views.dashboard import pages, statics
from cloudweb.views.dashboard.forgery import FormsOfOurs

_ID = r"{id:\d{1,18}}"
_NODE = r"{node:[A-Za-z0-9._-]{1,255}}"
_ROUTES = {
    "admin.root": "/admin",
    "admin.overview": "/admin/",
    "admin.login": "/admin/login",
    "admin.code": "/admin/login/code",
    "admin.enrol": "/admin/login/second-factor",
    "admin.prove": "/admin/prove",
    "admin.logout": "/admin/logout",
    "admin.vms": "/admin/vms",
    "admin.vms.mail": "/admin/vms/mail",
    "admin.vm": f"/admin/vms/{_ID}",
    "admin.vm.history": f"/admin/vms/{_ID}/history",
    "admin.vm.start": f"/admin/vms/{_ID}/start",
    "admin.vm.shutdown": f"/admin/vms/{_ID}/shutdown",
    "admin.vm.reboot": f"/admin/vms/{_ID}/reboot",
    "admin.vm.suspend": f"/admin/vms/{_ID}/suspend",
    "admin.vm.unsuspend": f"/admin/vms/{_ID}/unsuspend",
    "admin.vm.lock": f"/admin/vms/{_ID}/lock",
    "admin.vm.unlock": f"/admin/vms/{_ID}/unlock",
    "admin.vm.destroy": f"/admin/vms/{_ID}/destroy",
    "admin.vm.migrate": f"/admin/vms/{_ID}/migrate",
    "admin.vm.failover": f"/admin/vms/{_ID}/failover",
    "admin.backends": "/admin/backends",
    "admin.backends.bulk": "/admin/backends/bulk",
    "admin.backend.new": "/admin/backends/new",
    "admin.backend": f"/admin/backends/{_ID}",
    "admin.backend.nodes": f"/admin/backends/{_ID}/nodes",
    "admin.backend.vms": f"/admin/backends/{_ID}/vms",
    "admin.backend.networks": f"/admin/backends/{_ID}/networks",
    "admin.backend.jobs": f"/admin/backends/{_ID}/jobs",
    "admin.backend.history": f"/admin/backends/{_ID}/history",
    "admin.backend.edit": f"/admin/backends/{_ID}/edit",
    "admin.backend.remove": f"/admin/backends/{_ID}/remove",
    "admin.backend.drain": f"/admin/backends/{_ID}/drain",
    "admin.backend.undrain": f"/admin/backends/{_ID}/undrain",
    "admin.backend.refresh": f"/admin/backends/{_ID}/refresh",
    "admin.backend.restrict": f"/admin/backends/{_ID}/restrict",
    "admin.backend.publish": f"/admin/backends/{_ID}/publish",
    "admin.backend.offline": f"/admin/backends/{_ID}/offline",
    "admin.backend.online": f"/admin/backends/{_ID}/online",
    "admin.backend.adopt": f"/admin/backends/{_ID}/adopt",
    "admin.adoption": f"/admin/adoptions/{_ID}",
    "admin.adoption.confirm": f"/admin/adoptions/{_ID}/confirm",
    "admin.nodes": "/admin/nodes",
    "admin.node": f"/admin/backends/{_ID}/nodes/{_NODE}",
    "admin.node.migrate": f"/admin/backends/{_ID}/nodes/{_NODE}/migrate",
    "admin.node.evacuate": f"/admin/backends/{_ID}/nodes/{_NODE}/evacuate",
    **{
        f"admin.node.{verb}": f"/admin/backends/{_ID}/nodes/{_NODE}/{verb}"
        for verb in ("drain", "undrain", "offline", "online", "promote", "demote")
    },
    "admin.operations": "/admin/operations",
    "admin.operation": f"/admin/operations/{_ID}",
    "admin.operation.cancel": f"/admin/operations/{_ID}/cancel",
    "admin.operation.retry": f"/admin/operations/{_ID}/retry",
    "admin.reconcile": "/admin/reconcile",
    "admin.reconcile.runs": "/admin/reconcile/runs",
    "admin.reconcile.between": "/admin/reconcile/runs/between",
    "admin.reconcile.compare": "/admin/reconcile/compare",
    "admin.reconcile.mend": "/admin/reconcile/mend",
    "admin.reconcile.remove": f"/admin/reconcile/remove/{_ID}",
    "admin.queues": "/admin/queues",
    "admin.queues.pause": "/admin/queues/pause",
    "admin.queues.resume": "/admin/queues/resume",
    "admin.letters": "/admin/queues/letters",
    "admin.letter": f"/admin/queues/letters/{_ID}",
    "admin.letter.retry": f"/admin/queues/letters/{_ID}/retry",
    "admin.letter.drop": f"/admin/queues/letters/{_ID}/drop",
    "admin.undos": "/admin/undo",
    "admin.undo": f"/admin/undo/{_ID}",
    "admin.audit": "/admin/audit",
    "admin.audit.entry": f"/admin/audit/{_ID}",
    "admin.terms": "/admin/terms",
    "admin.terms.new": "/admin/terms/new",
    "admin.terms.diff": r"/admin/terms/{a:\d{1,18}}..{b:\d{1,18}}",
    "admin.terms.version": f"/admin/terms/{_ID}",
    "admin.terms.edit": f"/admin/terms/{_ID}/edit",
    "admin.terms.drop": f"/admin/terms/{_ID}/drop",
    "admin.terms.publish": f"/admin/terms/{_ID}/publish",
    "admin.terms.unschedule": f"/admin/terms/{_ID}/unschedule",
    "admin.terms.translate": rf"/admin/terms/{_ID}/text/{{language:[A-Za-z0-9-]{{2,20}}}}",
    "admin.terms.withdraw": f"/admin/terms/{_ID}/withdraw",
    "admin.terms.acceptances": f"/admin/terms/{_ID}/acceptances",
    "admin.views": "/admin/views",
    "admin.view.new": "/admin/views/new",
    "admin.view.edit": f"/admin/views/{_ID}/edit",
    "admin.view.remove": f"/admin/views/{_ID}/remove",
    "admin.search": "/admin/search",
    "admin.help": "/admin/help",
    "admin.help.page": "/admin/help/{page:[a-z0-9-]{1,40}}",
    "admin.vms.bulk": "/admin/vms/bulk",
    "admin.vms.choose": "/admin/vms/choose",
    "admin.acts": "/admin/acts",
    "admin.act": "/admin/acts/{key:[0-9a-f]{1,32}}",
    "admin.job": r"/admin/jobs/{backend}/{id:\d{1,18}}",
    "admin.job.cancel": r"/admin/jobs/{backend}/{id:\d{1,18}}/cancel",
    "admin.job.retry": r"/admin/jobs/{backend}/{id:\d{1,18}}/retry",
    "admin.networks": "/admin/networks",
    "admin.network": f"/admin/networks/{_ID}",
    "admin.network.drain": f"/admin/networks/{_ID}/drain",
    "admin.network.undrain": f"/admin/networks/{_ID}/undrain",
    "admin.network.everywhere": f"/admin/networks/{_ID}/everywhere",
    "admin.network.remove": f"/admin/networks/{_ID}/remove",
    "admin.ips": "/admin/ips",
    "admin.ip": r"/admin/ips/{address:[0-9a-fA-F.:]{2,45}}",
    "admin.pools": "/admin/pools",
    "admin.pools.new": "/admin/pools/new",
    "admin.pool": f"/admin/pools/{_ID}",
    "admin.pool.values": f"/admin/pools/{_ID}/values",
    "admin.pool.reserve": f"/admin/pools/{_ID}/reserve",
    "admin.pool.release": f"/admin/pools/{_ID}/release",
    "admin.pool.resize": f"/admin/pools/{_ID}/resize",
    "admin.pool.remove": f"/admin/pools/{_ID}/remove",
    "admin.images": "/admin/images",
    "admin.image": "/admin/images/{id:[0-9a-f-]{1,36}}",
    "admin.flavors": "/admin/flavors",
    "admin.flavor": "/admin/flavors/flavor",
    "admin.flavors.compute": "/admin/flavors/compute",
    "admin.flavors.compute.new": "/admin/flavors/compute/new",
    "admin.flavors.compute.flavor": f"/admin/flavors/compute/{_ID}",
    "admin.flavors.compute.delete": f"/admin/flavors/compute/{_ID}/delete",
    "admin.flavors.compute.restore": f"/admin/flavors/compute/{_ID}/restore",
    "admin.flavors.compare": "/admin/flavors/compare",
    "admin.flavors.promote": "/admin/flavors/promote",
    "admin.flavors.demote": "/admin/flavors/demote",
    "admin.flavors.install": "/admin/flavors/install",
    "admin.install": f"/admin/flavors/installs/{_ID}",
    "admin.install.retry": f"/admin/flavors/installs/{_ID}/retry",
    "admin.regions": "/admin/regions",
    "admin.region": f"/admin/regions/{_ID}",
    "admin.jobs": "/admin/jobs",
    "admin.users": "/admin/users",
    "admin.user": f"/admin/users/{_ID}",
    "admin.user.activate": f"/admin/users/{_ID}/activate",
    "admin.user.reject": f"/admin/users/{_ID}/reject",
    "admin.user.deactivate": f"/admin/users/{_ID}/deactivate",
    "admin.user.send": f"/admin/users/{_ID}/send",
    "admin.user.email": f"/admin/users/{_ID}/email",
    "admin.user.verify": f"/admin/users/{_ID}/verify",
    "admin.user.factor": f"/admin/users/{_ID}/factor",
    "admin.user.sessions": f"/admin/users/{_ID}/sessions",
    "admin.user.mail": f"/admin/users/{_ID}/mail",
    "admin.user.quota": f"/admin/users/{_ID}/quota",
    "admin.user.role": f"/admin/users/{_ID}/role",
}

_LISTS = (
    "vms",
    "backends",
    "operations",
    "acts",
    "users",
    "networks",
    "ips",
    "pools",
    "pool.values",
    "images",
    "flavors",
    "flavors.compute",
    "regions",
    "jobs",
    "audit",
    "terms",
    "terms.acceptances",
    "reconcile.runs",
    "views",
    "letters",
    "nodes",
    "backend.nodes",
    "backend.vms",
    "backend.networks",
    "backend.jobs",
    "backend.history",
    "vm.history",
)
"""What can be had whole, as a file."""


def _cookie_is_credential(request: Request) -> bool:
    return not is_api(request.path_info)


def includeme(config: Configurator) -> None:
    """Routes, files, protection against forged forms, and the headers of every page."""
    secure = config.registry["cloudweb.settings"].session_cookie_secure
    config.set_csrf_storage_policy(
        FormsOfOurs(
            cookie_name="__Host-csrf" if secure else "csrf",
            secure=secure,
            httponly=True,
            samesite="Lax",
        )
    )
    config.set_default_csrf_options(
        require_csrf=True, callback=_cookie_is_credential, check_origin=False
    )
    exports = {
        f"admin.{name}.export": _ROUTES[f"admin.{name}"] + ".{notation:csv|json}" for name in _LISTS
    }
    for name, pattern in {**_ROUTES, **exports}.items():
        config.add_route(name, pattern, factory=AdminContext)
    config.add_route("front", "/")
    config.include(statics)
    config.include(pages)
    config.scan("cloudweb.views.dashboard")
