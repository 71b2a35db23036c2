"""Reads the queue of a cluster's jobs for the pages: the list, then those jobs that changed."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import orjson

from cloudweb.backend.ganeti import errors
from cloudweb.backend.ganeti.jobs import Job, job_from_rapi
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import cluster_jobs
from cloudweb.domain.cluster_jobs import JobDetail, JobReport
from cloudweb.models import Backend, SessionFactory, unit_of_work

_LONGEST_LOG = 300
_LONGEST_RAW = 200_000
_SECRETS = ("password", "secret", "osparams", "personality")
_UNKNOWN = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
HIDDEN = "(not kept)"


class JobWatch:
    """What is kept of one cluster's jobs."""

    def __init__(self, backend_id: int, sessions: SessionFactory) -> None:
        self._backend_id = backend_id
        self._sessions = sessions

    def run(self, client: RapiClient) -> None:
        """Read the list, and of single jobs what the list does not say. Raises RapiError."""
        reports = [report_of(job) for job in client.jobs_bulk() if job.ops]
        with unit_of_work(self._sessions) as session:
            backend = session.get(Backend, self._backend_id, with_for_update=True)
            if backend is None or backend.removed is not None:
                return
            cluster_jobs.keep(session, backend, reports)
        self.read_some(client)

    def read_some(self, client: RapiClient) -> None:
        """Read what runs and what has changed, a few at a time. Raises RapiError."""
        with unit_of_work(self._sessions, write=False) as session:
            wanted = cluster_jobs.list_to_read(session, self._backend_id)
        details, gone = [], []
        for job_id in wanted:
            try:
                details.append(detail_of(client.job_as_sent(job_id)))
            except errors.NotFound:
                gone.append(job_id)
        if details or gone:
            with unit_of_work(self._sessions) as session:
                cluster_jobs.keep_details(session, self._backend_id, details)
                cluster_jobs.forget(session, self._backend_id, gone)


def report_of(job: Job) -> JobReport:
    """A job of the list, as it is kept."""
    first = job.ops[0]
    return JobReport(
        job_id=job.id,
        status=job.status,
        opcode=first.opcode,
        steps=len(job.ops),
        target=_clean(first.target or ""),
        tool=_clean(first.tool or ""),
        reasons=tuple(map(_clean, first.reasons)),
        received=job.received or job.started or _UNKNOWN,
        started=job.started,
        ended=job.ended,
    )


def detail_of(row: Mapping[str, object]) -> JobDetail:
    """A job that was asked about by itself, as it is kept."""
    job = job_from_rapi(row)
    error = job.error
    return JobDetail(
        job_id=job.id,
        status=job.status,
        raw=_written(row),
        started=job.started,
        ended=job.ended,
        error=(error.code and _clean(error.code), _clean(error.message)) if error else None,
    )


def _written(row: Mapping[str, object]) -> str:
    """All of a job in JSON: without secrets, of a long log the end; nothing if it is too long."""
    kept: dict[str, Any] = _open(row)
    logs = kept.get("oplog")
    if isinstance(logs, list):
        kept["oplog"] = [log[-_LONGEST_LOG:] if isinstance(log, list) else log for log in logs]
    text = orjson.dumps(kept).decode()
    return text if len(text) <= _LONGEST_RAW else ""


def _open(value: Any) -> Any:
    """The value without what is nobody's business; empty ones say nothing and stay."""
    if isinstance(value, Mapping):
        return {
            _clean(str(key)): HIDDEN
            if inner and any(word in str(key).lower() for word in _SECRETS)
            else _open(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_open(inner) for inner in value]
    return _clean(value) if isinstance(value, str) else value


def _clean(text: str) -> str:
    """The text without what no database keeps."""
    return text.replace("\0", "")
