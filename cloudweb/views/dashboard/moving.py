"""Nodes: what is on one, and bringing servers to others after showing what becomes of each."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import (
    fleet,
    moves,
    node_roles,
    nodes,
    operation_lists,
    server_lists,
)
from cloudweb.domain import states as opcodes
from cloudweb.domain.moves import Part, Plan, Step, Verb, Way
from cloudweb.domain.node_roles import ROLES
from cloudweb.domain.operation_lists import OperationRow
from cloudweb.models import OPEN_STATES, Backend, Node, OperState, SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, bulk, pages, silence
from cloudweb.views.dashboard import node_roles as role_words
from cloudweb.views.dashboard.acts import Preview
from cloudweb.views.dashboard.figures import plural

WORDS = {Verb.MIGRATE: "Migrate", Verb.FAILOVER: "Fail over", Verb.EVACUATE: "Evacuate"}


def place(request: Request) -> tuple[Backend, Node]:
    """The node of a page's address, and its cluster. Raises ItemNotFound."""
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    return backend, moves.get_node(request.db, backend, request.matchdict["node"])


def trail(request: Request, backend: Backend, node: Node) -> tuple[tuple[str, str], ...]:
    """The pages above one on which something is done to a node; the last is the node's own."""
    return (
        ("Backends", request.route_path("admin.backends")),
        (backend.name, request.route_path("admin.backend", id=backend.id)),
        (node.name, request.route_path("admin.node", id=backend.id, node=node.name)),
    )


def _verb(request: Request) -> Verb:
    name: str = request.matched_route.name
    return Verb(name.rpartition(".")[2])


@view_config(route_name="admin.node", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/backends/{id}/nodes/{node}: its room, its servers, and the moves off it."""
    backend, node = place(request)
    made = moves.list_moves(request.db, backend, node)
    open_ones = [each for each in made if each.state in OPEN_STATES]
    names = operation_lists.server_names(request.db, {each.server_id for each in made})
    rows = [OperationRow(each, backend.name, names.get(each.server_id or 0), None) for each in made]
    return pages.show_live(
        request,
        "node",
        busy=bool(open_ones),
        backend=backend,
        node=node,
        state=nodes.state(node),
        plan=moves.plan_node(request.db, backend, node, verb=Verb.EVACUATE),
        made=[row for row in rows if row.operation.opcode != opcodes.SET_ROLE],
        left=sum(each.opcode != opcodes.SET_ROLE for each in open_ones),
        changes=[row for row in rows if row.operation.opcode == opcodes.SET_ROLE],
        role=ROLES.get(node_roles.role(node), node.role),
        possible=node_roles.possible(backend, node),
        words=role_words.WORDS,
    )


# --- moving -------------------------------------------------------------------------------------


def _preview(
    verb: Verb, subject: str, steps: Sequence[Step], up: Sequence[tuple[str, str]], backend: Backend
) -> Preview:
    """What becomes of each; ``subject`` is what is emptied or moved."""
    done = [step for step in steps if step.done]
    down = [
        step for step in done if step.way is Way.FAILOVER and step.server.state is OperState.STARTED
    ]
    stay = len(steps) - len(done)
    stays = f", {stay} stay{'s' if stay == 1 else ''}" if stay else ""
    follows = [f"{_vms(done)} moved{stays}."]
    if down:
        follows.append(f"{_vms(down)} shut down for it, and started on another node.")
    if done:
        follows.append(_NO_PROMISE)
    return Preview(
        title=f"{WORDS[verb]} {subject}",
        verb=WORDS[verb],
        section="vms",
        up=up,
        facts={"Moved": str(len(done)), "Shut down for it": str(len(down))} | silence.fact(backend),
        follows=follows,
        obstacle=_obstacle(backend, anything=bool(done)),
        reason="required",
        harsh=bool(down),
        part="moving",
        values={"steps": steps, "targets": (), "to": "", "parts": (), "which": ""},
    )


_NO_PROMISE = (
    "This is our own check, by what the cluster last told, and no promise: Ganeti was not asked,"
    " and decides when it comes to each. Its dry run would be no promise either."
)
_PARTS = {
    Part.ALL: "All: VMs, and mirrors of disks",
    Part.PRIMARIES: "The VMs there (primaries)",
    Part.SECONDARIES: "The mirrors of disks there (secondaries)",
}


def _obstacle(backend: Backend, *, anything: bool) -> str:
    if backend.offline:
        return f"{backend.name} is offline."
    return "" if anything else "There is nothing to be moved so."


def _vms(steps: Sequence[Step]) -> str:
    return f"{plural(len(steps), 'VM')} {'is' if len(steps) == 1 else 'are'}"


def _beside(plan: Plan) -> list[str]:
    """What is said of the instances there that are no servers of ours."""
    said = []
    if plan.foreign:
        is_one = plan.foreign == 1
        said.append(
            f"{plural(plan.foreign, 'instance')} there {'is' if is_one else 'are'} none of our VMs,"
            f" and stay{'s' if is_one else ''}."
        )
    if plan.mirrors:
        many = plural(plan.mirrors, "instance")
        said.append(f"Mirrors of the disks of {many} are made on other nodes.")
    return said


def _items(
    verb: Verb, steps: Sequence[Step], made: Mapping[int, int]
) -> Iterator[Mapping[str, Any]]:
    """What becomes of each VM there was on a node: its operation, or why it stays."""
    for step in steps:
        server, operation = step.server, made.get(step.server.id)
        yield {
            "id": server.id,
            "name": f"{server.name} ({server.id})",
            "of": "vms",
            "verb": verb.value,
            "result": "asked" if operation else "skipped",
            "operation": operation,
            "why": "" if operation else step.why,
        }


@view_config(
    route_name="admin.node.migrate",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
@view_config(
    route_name="admin.node.evacuate",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
def empty_node(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/nodes/{node}/migrate, evacuate: what was shown, or nothing.

    It is dangerous where VMs that run are shut down for it.
    """
    backend, node = place(request)
    page: str = request.route_path("admin.node", id=backend.id, node=node.name)
    parts = _PARTS if _verb(request) is Verb.EVACUATE else {}
    part = next((each for each in parts if each == request.params.get("part")), Part.ALL)

    def make() -> Preview:
        plan = moves.plan_node(request.db, backend, node, verb=_verb(request), part=part)
        up = trail(request, backend, node)
        preview = _preview(_verb(request), node.name, plan.steps, up, backend)
        only = "" if part is Part.ALL else f" --only {part}"
        follows = [*(preview.follows if part is not Part.SECONDARIES else ()), *_beside(plan)]
        if plan.mirrors and _NO_PROMISE not in follows:
            follows.append(_NO_PROMISE)
        return dataclasses.replace(
            preview,
            section="backends",
            follows=follows,
            obstacle=_obstacle(backend, anything=bool(plan.mirrors or not preview.obstacle)),
            versions=plan.token,
            values={**preview.values, "parts": parts, "which": part},
            kept={"part": [part.value]} if part is not Part.ALL else {},
            danger=preview.harsh,
            phrase=f"shut down {preview.facts['Shut down for it']}" if preview.harsh else "",
            command=f"cloudweb node {_verb(request).value} {node.name} --backend {backend.name}"
            f"{only} --reason …",
        )

    def do(preview: Preview, reason: str, form: SentForm) -> str:
        verb, steps = _verb(request), preview.values["steps"]
        made = moves.empty(
            *(request.db, request.identity, backend, node),
            verb=verb,
            reason=reason,
            seen=str(preview.versions),
            part=part,
        )
        items = _items(verb, steps, {each.server_id: each.id for each in made if each.server_id})
        bulk.keep(request, form, preview.title, items)
        return page

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.vm.migrate",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
@view_config(
    route_name="admin.vm.failover",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_MOVE,
)
def move_server(request: Request) -> Response:
    """GET, POST /admin/vms/{id}/migrate, failover: what was shown; ?to= names a node."""
    row = server_lists.get_row(request.db, int(request.matchdict["id"]))
    server, verb = row.server, _verb(request)
    backend = fleet.get(request.db, server.backend_id)
    page: str = request.route_path("admin.vm", id=server.id)
    name = request.params.get("to", "")
    to = moves.get_node(request.db, backend, name).name if name else None

    def make() -> Preview:
        step = moves.plan_server(request.db, server, backend, verb=verb, to=to)
        others = [row.node.name for row in nodes.list_all(request.db, backend_id=backend.id)]
        targets = [each for each in others if each != server.node]
        up = (("VMs", request.route_path("admin.vms")), (server.name, page))
        return dataclasses.replace(
            _preview(verb, server.name, [step], up, backend),
            versions=moves.token([step]),
            values={
                "steps": [step],
                "targets": targets,
                "to": to or "",
                "parts": (),
                "which": "",
            },
            kept={"to": [to]} if to else {},
            command=f"cloudweb server {verb.value} {server.id} --reason …",
        )

    def do(preview: Preview, reason: str, _form: SentForm) -> str:
        moves.move(
            *(request.db, request.identity, server.id),
            verb=verb,
            to=to,
            reason=reason,
            seen=str(preview.versions),
        )
        return f"{page}?done={verb.value}"

    return acts.respond(request, make, do)
