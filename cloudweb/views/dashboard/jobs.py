"""Jobs of all clusters, ours and everybody's, as their queues were when last read."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.backend.ganeti import errors, jobs
from cloudweb.backend.ganeti.reading import listed
from cloudweb.domain import audit, cluster_jobs, fleet, job_cancels, job_retries, operation_lists
from cloudweb.domain.cluster_jobs import UNFINISHED, JobRow, JobStatus
from cloudweb.models import (
    Backend,
    ClusterJob,
    SentForm,
    Server,
)
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, figures, lists, pages
from cloudweb.views.dashboard.acts import Preview
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.states import explain, look, verb

JOBS = Listing(
    name="jobs",
    title="Jobs",
    one="job",
    many="jobs",
    section="operations",
    fields=cluster_jobs.FIELDS,
    rows=cluster_jobs.rows,
    row=JobRow,
    key=lambda row: f"{row.job.backend_id}-{row.job.job_id}",
    search=(ClusterJob.target, Server.name, ClusterJob.reason),
    hint="instance, node, VM or reason",
    choices={
        "status": ("Status", {status.value: look(status).word for status in JobStatus}),
        "ours": ("Asked for here", {"yes": "yes", "no": "no"}),
        "since": ("Since", {"10m": "10 minutes", "1h": "an hour", "6h": "6 hours"}),
    },
    sort="-received,backend,job",
    grows="received",
    columns=(
        Column("job", "Job", lambda row: row.job.job_id),
        Column("status", "Status", lambda row: row.job.status),
        Column("opcode", "What", lambda row: row.job.opcode),
        Column("target", "Of what", lambda row: row.job.target, "name"),
        Column("backend", "Backend", lambda row: row.backend.name, "name"),
        Column("by", "By", lambda row: row.whose, "prose"),
        Column("operation", "Operation", lambda row: row.operation_id, "n"),
        Column("received", "Asked", lambda row: row.job.received),
        Column("started", "Started", lambda row: row.job.started),
        Column("took", "Took", lambda row: row.job.took_ms, "n"),
    ),
    nothing="No job in the last 24 hours.",
)


@page_and_files("admin.jobs")
def index(request: Request) -> Response:
    """GET /admin/jobs, .csv, .json: newest first."""
    backends = fleet.list_all(request.db)
    names = {backend.name: backend.name for backend in backends}
    opcodes = {opcode: verb(opcode) for opcode in cluster_jobs.list_opcodes(request.db)}
    return lists.respond(
        request,
        JOBS,
        choices={"backend": ("Backend", names), "opcode": ("What", opcodes)},
        busy=is_any_open,
        missing=_missing(backends),
        took=figures.took,
    )


def is_any_open(rows: Sequence[JobRow]) -> bool:
    """Whether any of these is still to end."""
    return any(row.job.status in UNFINISHED for row in rows)


_WHY = {
    "unreachable": ("did not answer", "Their newest jobs are missing here."),
    "offline": ("are offline and not asked", "What is here of their jobs is as it was."),
    "unread": ("were not asked yet", "Their jobs are missing here."),
}


def _missing(backends: Sequence[Backend]) -> list[tuple[str, Sequence[Backend], str]]:
    """Of which clusters the list is not whole: how many, which, and what that means."""
    return [
        (
            f"{len(found)} of {figures.plural(len(backends), 'cluster')} {_WHY[why][0]}",
            found,
            _WHY[why][1],
        )
        for why, found in cluster_jobs.silent(backends).items()
        if found
    ]


# --- one job ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """An opcode of a job, as its page shows it."""

    opcode: str
    status: object
    target: str
    log: Sequence[tuple[Any, str]]
    error_class: str | None
    error: str
    made: Sequence[int]


def _key(request: Request) -> tuple[str, int]:
    return request.matchdict["backend"], int(request.matchdict["id"])


def _path(request: Request, route: str = "admin.job") -> str:
    backend, job_id = _key(request)
    path: str = request.route_path(route, backend=backend, id=job_id)
    return path


@view_config(route_name="admin.job", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/jobs/{backend}/{job}; of one no longer kept, our operation that it did."""
    row = cluster_jobs.find_row(request.db, *_key(request))
    if row is None:
        return _its_operation(request)
    operation = job_cancels.find_operation(request.db, row.job)
    raw = orjson.loads(row.job.detail) if row.job.detail else None
    return pages.show_live(
        request,
        "job",
        busy=row.job.status in UNFINISHED,
        row=row,
        job=row.job,
        backend=row.backend,
        operation=operation,
        obstacle=job_cancels.obstacle(row.job, row.backend, operation),
        agrees=job_cancels.agrees(row.job, operation),
        way=job_retries.find_way(request.db, row.job, row.backend),
        steps=_steps(raw) if raw else (),
        raw=orjson.dumps(raw, option=orjson.OPT_INDENT_2).decode() if raw else "",
        took=figures.took,
        history=audit.list_for(
            request.db, "job", job_cancels.audit_id(row.backend, row.job.job_id)
        ),
    )


def _its_operation(request: Request) -> Response:
    backend, job_id = _key(request)
    operation_id = operation_lists.find_by_job(request.db, backend, job_id)
    if operation_id is None:
        cluster_jobs.get_row(request.db, backend, job_id)
    return HTTPSeeOther(request.route_path("admin.operation", id=operation_id))


def _steps(raw: Mapping[str, Any]) -> Sequence[Step]:
    try:
        job = jobs.job_from_rapi(raw)
        logs = listed(raw, "oplog")
    except errors.RapiError:
        return ()
    return [
        Step(
            opcode=op.opcode,
            status=cluster_jobs.status_of(op.status),
            target=op.target or "",
            log=jobs.log_of(logs[place]) if place < len(logs) else (),
            error_class=op.error.code if op.error else None,
            error=op.error.message if op.error else "",
            made=op.jobs,
        )
        for place, op in enumerate(job.ops)
    ]


# --- acting -------------------------------------------------------------------------------------


def _preview(request: Request, row: JobRow, verb_: str) -> Preview:
    job = row.job
    return Preview(
        title=f"{verb_} job {job.job_id} of {row.backend.name}",
        verb=f"{verb_} job",
        section="operations",
        up=(
            ("Jobs", request.route_path("admin.jobs")),
            (str(job.job_id), _path(request)),
        ),
        facts={
            "What": verb(job.opcode),
            "Of what": f"{row.server_name or ''} {job.target}".strip() or "the cluster",
            "Backend": row.backend.name,
            "Status": look(row.status).word,
            "By": row.whose,
        },
        reason="required",
        command=f"cloudweb job {verb_.lower()} {job.job_id} --backend {row.backend.name}"
        " --reason …",
    )


@view_config(
    route_name="admin.job.cancel",
    request_method=("GET", "POST"),
    permission=Permission.OPERATION_MANAGE,
)
def cancel(request: Request) -> Response:
    """GET, POST /admin/jobs/{backend}/{job}/cancel, with a reason; the worker asks the cluster."""
    row = cluster_jobs.get_row(request.db, *_key(request))
    operation = job_cancels.find_operation(request.db, row.job)
    job = row.job

    def make() -> Preview:
        follows = ["The worker asks the cluster to drop the job. It does if that has not begun."]
        if row.operation_id is None:
            follows.append("Nobody asked for it here: whoever did is not told.")
        else:
            follows.append(f"Operation {row.operation_id} does not do its work then, or not all.")
        return dataclasses.replace(
            _preview(request, row, "Cancel"),
            follows=follows,
            obstacle=job_cancels.obstacle(row.job, row.backend, operation),
            harsh=True,
            versions=(str(job.received), str(job.cancel_wanted)),
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        job_cancels.cancel(request.db, request.identity, row.backend, job.job_id, reason=reason)
        return _path(request)

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.job.retry",
    request_method=("GET", "POST"),
    permission=Permission.OPERATION_MANAGE,
)
def retry(request: Request) -> Response:
    """GET, POST /admin/jobs/{backend}/{job}/retry, with a reason: leads to the operation."""
    row = cluster_jobs.get_row(request.db, *_key(request))

    def make() -> Preview:
        way = job_retries.find_way(request.db, row.job, row.backend)
        preview = _preview(request, row, "Retry")
        facts = dict(preview.facts)
        if row.job.error:
            facts |= {"Said": row.job.error, "Which means": explain(row.job.error_class)}
        return dataclasses.replace(
            preview,
            facts=facts,
            follows=() if way.obstacle else _after_retrying(row, way),
            obstacle=way.obstacle,
            versions=(str(row.job.received), way.given, way.operation and way.operation.state),
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        made = job_retries.retry(
            request.db, request.identity, row.backend, row.job.job_id, reason=reason
        )
        path: str = request.route_path("admin.operation", id=made.id)
        return path

    return acts.respond(request, make, do)


def _after_retrying(row: JobRow, way: job_retries.Way) -> Sequence[str]:
    """What comes of doing a job again, in sentences."""
    if way.operation is not None:
        said = (
            f"Operation {way.operation.id}, whose job it is, is retried: a new operation with the"
        )
        return (f"{said} same arguments is written down.",)
    if way.server is not None:
        said = f"It is asked for as an act on our server {way.server.name}: its locks and states"
        more = ", ".join(way.left_out)
        rest = (f"What else the job was given is not passed on: {more}.",) if more else ()
        return (f"{said} hold.", *rest)
    given = (key if value is True else f"{key} {value}" for key, value in sorted(way.given.items()))
    same = ", ".join((row.job.opcode, *given))
    return (
        f"The worker gives {row.backend.name} the same again, as a new job: {same}.",
        "It is about none of our servers: nothing is known here of what else would follow.",
    )
