"""Operations: what clusters were asked to do, and what became of it."""

import dataclasses

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import (
    accounts,
    acts_on_many,
    audit,
    fleet,
    interventions,
    operation_lists,
    undos,
)
from cloudweb.domain import states as opcodes
from cloudweb.domain.operation_lists import OperationRow
from cloudweb.models import OPEN_STATES, Operation, OperationState, SentForm, Server
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, lists, pages
from cloudweb.views.dashboard.acts import Preview
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.states import look
from cloudweb.views.dashboard.states import verb as word_of

OPERATIONS = Listing(
    name="operations",
    title="Operations",
    one="operation",
    many="operations",
    fields=operation_lists.FIELDS,
    rows=operation_lists.rows,
    row=OperationRow,
    key=lambda row: row.operation.id,
    search=(Operation.target, Server.name, Operation.request_id),
    hint="VM, instance, request or id",
    choices={
        "state": ("State", {state.value: look(state).word for state in OperationState}),
        "open": ("Still to be done", {"yes": "yes", "no": "no"}),
    },
    sort="-id",
    columns=(
        Column("id", "Operation", lambda row: row.operation.id),
        Column("state", "State", lambda row: row.operation.state.value),
        Column("opcode", "What", lambda row: row.operation.opcode),
        Column("target", "VM", lambda row: row.server_name or row.operation.target, "name"),
        Column("backend", "Backend", lambda row: row.backend_name, "name"),
        Column("by", "By", lambda row: row.by, "name"),
        Column("job", "Job", lambda row: row.operation.job_id, "n"),
        Column("created", "Asked", lambda row: row.operation.created),
        Column("finished", "Finished", lambda row: row.operation.finished),
    ),
    nothing="Nothing was asked of a cluster yet.",
)


@page_and_files("admin.operations")
def index(request: Request) -> Response:
    """GET /admin/operations, .csv, .json: newest first."""
    names = {backend.name: backend.name for backend in fleet.list_all(request.db)}
    return lists.respond(
        request,
        OPERATIONS,
        choices={"backend": ("Backend", names)},
        busy=lambda rows: any(row.operation.state in OPEN_STATES for row in rows),
    )


@view_config(
    route_name="admin.operation", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show(request: Request) -> Response:
    """GET /admin/operations/{id}."""
    row = operation_lists.find_row(request.db, _id(request))
    return pages.show_live(
        request,
        "operation",
        busy=row.operation.state in OPEN_STATES,
        row=row,
        operation=row.operation,
        by=accounts.email_of(request.db, row.operation.user_id),
        obstacle=interventions.obstacle_to_cancel(row.operation),
        retry_id=interventions.find_retry(request.db, row.operation.id),
        part_of=acts_on_many.find_of(request.db, row.operation.user_id, row.operation.request_id),
        history=audit.list_for(request.db, "operation", row.operation.id),
        undoable=undos.find_of(request.db, request.identity, operation_id=row.operation.id),
    )


def _id(request: Request) -> int:
    return int(request.matchdict["id"])


# --- acting -------------------------------------------------------------------------------------


def _preview(request: Request, verb: str) -> tuple[Preview, Operation]:
    row = operation_lists.find_row(request.db, _id(request))
    operation = row.operation
    facts = {
        "What": word_of(operation.opcode),
        "Target": f"{row.server_name or ''} {operation.target}".strip(),
        "Backend": row.backend_name,
        "State": look(operation.state).word,
    }
    if operation.error:
        facts["Said"] = operation.error
    preview = Preview(
        title=f"{verb} operation {operation.id}",
        verb=f"{verb} operation",
        section="operations",
        up=(
            ("Operations", request.route_path("admin.operations")),
            (str(operation.id), request.route_path("admin.operation", id=operation.id)),
        ),
        facts=facts,
        reason="required",
        versions=(operation.sent is None, operation.cancel_wanted),
        command=f"cloudweb operation {verb.lower()} {operation.id} --reason …",
    )
    return preview, operation


@view_config(
    route_name="admin.operation.cancel",
    request_method=("GET", "POST"),
    permission=Permission.OPERATION_MANAGE,
)
def cancel(request: Request) -> Response:
    """GET, POST /admin/operations/{id}/cancel, with a reason."""

    def make() -> Preview:
        preview, operation = _preview(request, "Cancel")
        return dataclasses.replace(
            preview,
            follows=(_after_canceling(operation),),
            obstacle=interventions.obstacle_to_cancel(operation),
            harsh=True,
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        interventions.cancel(request.db, request.identity, _id(request), reason=reason)
        path: str = request.route_path("admin.operation", id=_id(request))
        return path

    return acts.respond(request, make, do)


def _after_canceling(operation: Operation) -> str:
    if operation.state is not OperationState.PENDING or operation.sent is not None:
        return (
            "The cluster may have it already, so it is asked to drop the job. It does so only if"
            " the job has not begun: how the job ends is what counts."
        )
    if operation.opcode == opcodes.CREATE:
        return (
            "The server will be gone: nothing of it was made yet. Its addresses and quota are"
            " given back."
        )
    return "No cluster heard of it yet, so it is canceled at once."


@view_config(
    route_name="admin.operation.retry",
    request_method=("GET", "POST"),
    permission=Permission.OPERATION_MANAGE,
)
def retry(request: Request) -> Response:
    """GET, POST /admin/operations/{id}/retry, with a reason: leads to the new operation."""

    def make() -> Preview:
        preview, operation = _preview(request, "Retry")
        newer = interventions.find_retry(request.db, operation.id)
        obstacle = f"Operation {newer} does it again already." if newer else ""
        if operation.state not in interventions.RETRIABLE:
            obstacle = "It did not fail."
        return dataclasses.replace(
            preview,
            follows=(
                "A new operation with the same arguments is written down; this one stays as it is.",
            ),
            obstacle=obstacle,
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        made = interventions.retry(request.db, request.identity, _id(request), reason=reason)
        path: str = request.route_path("admin.operation", id=made.id)
        return path

    return acts.respond(request, make, do)
