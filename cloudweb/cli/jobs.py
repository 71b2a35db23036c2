"""``cloudweb job``: the jobs in the queues of clusters, ours and everybody's."""

from typing import Any

import click
import orjson

from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, pass_door, required_reason
from cloudweb.cli.lists import Wanted
from cloudweb.domain import cluster_jobs, fleet
from cloudweb.domain.cluster_jobs import JobRow, JobStatus
from cloudweb.models import Backend, ClusterJob

_COLUMNS = {
    "job": "JOB",
    "backend": "BACKEND",
    "status": "STATUS",
    "opcode": "OPCODE",
    "target": "TARGET",
    "received": "RECEIVED",
    "started": "STARTED",
    "took_ms": "TOOK MS",
    "operation": "OPERATION",
    "by": "BY",
}
_KEYS = ("status", "opcode", "steps", "target", "tool", "reason", "received", "started", "ended")
_MORE = ("error_class", "error", "cancel_wanted", "cancel_asked", "retry_id")


@click.group()
def job() -> None:
    """Jobs in the queues of clusters, as the worker last read them: ours and everybody's."""


@job.command("list")
@click.option("--backend", "key", metavar="BACKEND", help="Only those of this cluster.")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]))
@lists.options(cluster_jobs.FIELDS, limit=50)
@pass_door
def list_(door: Door, key: str | None, status: str | None, wanted: Wanted) -> None:
    """Show jobs that are not over, and those that ended in the last 24 hours; newest first."""
    query = cluster_jobs.rows()
    if status is not None:
        query = query.where(ClusterJob.status == status)
    with door.reading() as session:
        if key is not None:
            query = query.where(ClusterJob.backend_id == fleet.by_key(session, key).id)
        found = [JobRow(*row) for row in wanted.select(session, query, then="job")]
        silent = cluster_jobs.silent(fleet.list_all(session))
    wanted.show([_row(each) for each in found], _COLUMNS)
    missing = [backend.name for backends in silent.values() for backend in backends]
    if missing:
        printing.warn(f"The newest jobs are missing of: {', '.join(missing)}.")


def _row(each: JobRow) -> dict[str, Any]:
    """A job as it is printed."""
    return {
        "job": each.job.job_id,
        "backend": each.backend.name,
        "operation": each.operation_id,
        "server": each.job.server_id,
        "by": each.whose,
        "took_ms": each.job.took_ms,
    } | {key: getattr(each.job, key) for key in _KEYS}


_id = click.argument("job_id", type=click.IntRange(min=1), metavar="JOB")
_backend = click.option(
    "--backend", "key", metavar="BACKEND", required=True, help="Its cluster, by id or name."
)


@job.command()
@_id
@_backend
@printing.as_json
@pass_door
def show(door: Door, job_id: int, key: str, as_json: bool) -> None:
    """Show all of one job, with what its steps have said; --json: also as Ganeti has it."""
    with door.reading() as session:
        found = cluster_jobs.get_row(session, fleet.by_key(session, key).name, job_id)
    detail = orjson.loads(found.job.detail) if found.job.detail else {}
    row = _details(found)
    if as_json:
        printing.record(row | {"detail": detail}, as_json=True)
        return
    printing.record(row, as_json=False)
    for log in detail.get("oplog") or ():
        for entry in log or ():
            click.echo(f"  {printing.escape(str(entry[-1]))}")


def _details(found: JobRow) -> dict[str, Any]:
    return _row(found) | {key: getattr(found.job, key) for key in _MORE}


@job.command()
@_id
@_backend
@required_reason
@dry_run
@printing.as_json
@pass_door
def cancel(door: Door, job_id: int, key: str, reason: str, as_json: bool) -> None:
    """Have a cluster drop a job that has not begun, whoever asked for it.

    Where the job does an operation, `operation cancel` says the same of that.
    """
    from cloudweb.domain import job_cancels

    with door.changing() as session:
        backend: Backend = fleet.by_key(session, key)
        job_cancels.cancel(session, door.identity, backend, job_id, reason=reason)
        session.flush()
        row = _details(cluster_jobs.get_row(session, backend.name, job_id))
    said = f"Job {job_id} is to be canceled; {backend.name} is asked to."
    printing.done(said, row, as_json=as_json)


@job.command()
@_id
@_backend
@required_reason
@dry_run
@printing.as_json
@pass_door
def retry(door: Door, job_id: int, key: str, reason: str, as_json: bool) -> None:
    """Have done again, as something new, what a job failed to do or was canceled before.

    Where the job does an operation, or is about a server of ours, as `operation retry` and the
    verbs of `server` do; else the cluster is given the same again, where its remote API can.
    """
    from cloudweb.domain import job_retries

    with door.changing() as session:
        backend: Backend = fleet.by_key(session, key)
        made = job_retries.retry(session, door.identity, backend, job_id, reason=reason)
        session.flush()
        row = _details(cluster_jobs.get_row(session, backend.name, job_id))
    said = f"Operation {made.id} does job {job_id} of {backend.name} again."
    printing.done(said, row, as_json=as_json)
