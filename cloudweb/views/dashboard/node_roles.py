"""Draining a node, taking it offline and back, and making it a master candidate or none."""

from collections.abc import Sequence

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import flavors, node_roles
from cloudweb.domain.node_roles import ROLES, Change, Impact
from cloudweb.models import Node, SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, figures, moving
from cloudweb.views.dashboard.acts import Preview

WORDS = {
    Change.DRAIN: "Drain",
    Change.UNDRAIN: "Undrain",
    Change.OFFLINE: "Take offline",
    Change.ONLINE: "Take back",
    Change.PROMOTE: "Make candidate",
    Change.DEMOTE: "Make regular",
}


def _follows(change: Change, impact: Impact, node: Node) -> Sequence[str]:
    match change:
        case Change.DRAIN:
            return (
                "Ganeti places no new instance on it, and moves none there.",
                "What is there stays and runs on. To empty it, evacuate it.",
                *_lost(impact),
            )
        case Change.UNDRAIN | Change.ONLINE:
            asks = ("Ganeti asks it again; the change fails if it does not answer.",)
            return (
                "Ganeti may place instances on it again.",
                *(asks if change is Change.ONLINE else ()),
                "Nothing that runs is moved to it by that.",
            )
        case Change.OFFLINE:
            return (
                "Ganeti asks it nothing any more: say this of a machine that is, or will be, off.",
                *_left(impact, node),
                *_lost(impact),
            )
        case Change.PROMOTE:
            return ("It keeps a copy of the cluster's configuration, and may become its master.",)
        case Change.DEMOTE:
            return (
                "It keeps no copy of the cluster's configuration any more.",
                "If the cluster needs as many candidates, Ganeti makes another node one.",
            )


def _left(impact: Impact, node: Node) -> Sequence[str]:
    said = []
    if node.primaries:
        there = figures.plural(node.primaries, "instance")
        said.append(
            f"{there} on it can then neither be started nor stopped there. If the machine is off"
            " they are down until they are failed over: evacuate the node for that."
        )
        if impact.running:
            said.append(f"By our records {figures.plural(impact.running, 'VM')} of it run now.")
    if node.secondaries:
        mirrored = figures.plural(node.secondaries, "instance")
        said.append(f"Mirrors there, of the disks of {mirrored}, are not kept up while it is off.")
    return said or ["No instance is on it."]


def _lost(impact: Impact) -> Sequence[str]:
    if not impact.lost:
        return ()
    names = ", ".join(flavor.name for flavor in impact.lost)
    return (f"No other node of the cluster has room for: {names}.",)


@view_config(
    route_name="admin.node.drain",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
@view_config(
    route_name="admin.node.undrain",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
@view_config(
    route_name="admin.node.offline",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
@view_config(
    route_name="admin.node.online",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
@view_config(
    route_name="admin.node.promote",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
@view_config(
    route_name="admin.node.demote",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
def set_role(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/nodes/{node}/CHANGE, for each that there is."""
    db = request.db
    backend, node = moving.place(request)
    change = Change(request.matched_route.name.rpartition(".")[2])

    def make() -> Preview:
        impact = node_roles.impact(db, backend, node, change, flavors.list_active(db))
        danger = change is Change.OFFLINE and node.primaries > 0
        short = node.name.partition(".")[0]
        return Preview(
            title=f"{WORDS[change]}: {node.name}",
            verb=WORDS[change],
            section="backends",
            up=moving.trail(request, backend, node),
            facts={
                "Role": ROLES.get(node_roles.role(node), node.role),
                "Instances": str(node.primaries),
                "Our VMs": str(len(impact.plan.steps)),
                "Mirrors": str(node.secondaries),
                "Nodes with room": f"{impact.nodes}, then {impact.nodes_after}",
                "Free memory": f"{figures.gib(impact.free_mb)}, then"
                f" {figures.gib(impact.free_after_mb)}",
            },
            follows=_follows(change, impact, node),
            obstacle=impact.obstacle,
            reason="required",
            danger=danger,
            harsh=change in (Change.DRAIN, Change.OFFLINE),
            phrase=f"offline {short}" if danger else "",
            versions=impact.token,
            part="leaving" if change in (Change.DRAIN, Change.OFFLINE) else "",
            values={"steps": impact.plan.steps},
            command=f"cloudweb node {change.value} {node.name} --backend {backend.name} --reason …",
        )

    def do(preview: Preview, reason: str, _form: SentForm) -> str:
        node_roles.change(
            *(db, request.identity, backend, node),
            to=change,
            reason=reason,
            seen=str(preview.versions),
        )
        page: str = request.route_path("admin.node", id=backend.id, node=node.name)
        return page

    return acts.respond(request, make, do)
