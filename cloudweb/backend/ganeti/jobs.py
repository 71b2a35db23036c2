"""Jobs of a Ganeti cluster, read from its remote API or from a file of its job queue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cloudweb.backend.ganeti import reading
from cloudweb.backend.ganeti.errors import NotFound

FINAL_STATUSES = frozenset({"success", "error", "canceled"})
STATUSES = frozenset({"queued", "waiting", "canceling", "running"}) | FINAL_STATUSES
# Names that older Ganetis write for the same thing.
_OLD_STATUSES = {"waitlock": "waiting"}


@dataclass(frozen=True)
class OpError:
    """Why an opcode failed: Ganeti's class of error, its sentence, and its code where it has one.

    `kind` is `OpPrereqError` (nothing was done), `OpExecError` (something may have been) or another
    name; `code` one of Ganeti's ("already_exists", "insufficient_resources", ...).
    """

    kind: str
    message: str
    code: str | None = None


@dataclass(frozen=True)
class JobOp:
    """One opcode of a job; ``input`` is what it was given. Only queue files hold times."""

    opcode: str
    instance: str | None
    status: str
    error: OpError | None = None
    log: str | None = None
    reasons: tuple[str, ...] = ()
    started: datetime | None = None
    executed: datetime | None = None
    ended: datetime | None = None
    input: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)
    jobs: tuple[int, ...] = ()
    """The jobs that it has put into the queue."""
    target: str | None = None
    """The instance, node, network or group it is about, by its name."""
    tool: str | None = None
    """What asked for it, such as gnt-instance."""


@dataclass(frozen=True)
class Job:
    """A job. An id alone identifies nothing across a reinstalled cluster: ids begin again at 1."""

    id: int
    status: str
    ops: tuple[JobOp, ...]
    received: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES

    @property
    def error(self) -> OpError | None:
        """The first error among its opcodes."""
        return next((op.error for op in self.ops if op.error), None)

    def has_mark(self, mark: str) -> bool:
        """Whether a reason in a trail of it is this, or begins with it and a space."""
        reasons = (reason for op in self.ops for reason in op.reasons)
        return any(reason == mark or reason.startswith(f"{mark} ") for reason in reasons)

    def event_time(self, op: JobOp | None = None) -> datetime:
        """When it (or this opcode of it) came into the status it has, in UTC.

        Where that time is not known, the newest known one; now, if none is.
        """
        if op is None and self.ops:
            op = self.ops[-1]
        status = op.status if op else self.status
        began = (op and op.started) or self.started
        match status:
            case "queued":
                when = self.received
            case "waiting" | "canceling":
                when = began
            case "running":
                when = (op and op.executed) or began
            case _:
                when = (op and op.ended) or self.ended
        return when or self._newest_time() or datetime.now(UTC)

    def _newest_time(self) -> datetime | None:
        known = [self.received, self.started, self.ended]
        for op in self.ops:
            known += [op.started, op.executed, op.ended]
        return max((when for when in known if when), default=None)


def status_of(value: object) -> str:
    """A status under its present name; one that is not known stays as it is."""
    return _OLD_STATUSES.get(str(value), str(value))


def job_from_rapi(row: Mapping[str, object]) -> Job:
    """A job as `/2/jobs/ID` or `/2/jobs?bulk=1` shows it.

    For a job that does not exist Ganeti answers 200 with its id and nothing else: NotFound.
    """
    if row.get("ops") is None:
        raise NotFound("No such job.", status=200)
    ops = reading.listed(row, "ops")
    return Job(
        id=reading.identifier(row["id"], "id"),
        status=status_of(row.get("status")),
        ops=tuple(_op_from_rapi(row, index, raw) for index, raw in enumerate(ops)),
        received=reading.moment(row.get("received_ts")),
        started=reading.moment(row.get("start_ts")),
        ended=reading.moment(row.get("end_ts")),
    )


def _op_from_rapi(row: Mapping[str, object], index: int, raw: object) -> JobOp:
    def column(key: str) -> object:
        """What the job says about this opcode in one of its parallel lists."""
        values = reading.listed(row, key)
        return values[index] if index < len(values) else None

    body = reading.mapping(raw, "opcode")
    status = status_of(column("opstatus") or row.get("status"))
    return JobOp(
        opcode=reading.text(body, "OP_ID"),
        instance=instance_of(body),
        status=status,
        error=error_of(status, column("opresult")),
        log=last_log_line(column("oplog")),
        reasons=reasons_of(body),
        jobs=_jobs_of(column("opresult")),
        target=target_of(body),
        tool=tool_of(body),
    )


def job_from_file(row: Mapping[str, object]) -> Job:
    """A job as a file of Ganeti's queue directory holds it."""
    ops = tuple(_op_from_file(raw) for raw in reading.listed(row, "ops"))
    return Job(
        id=reading.identifier(row.get("id"), "id"),
        status=_status_of_all([op.status for op in ops]),
        ops=ops,
        received=reading.moment(row.get("received_timestamp")),
        started=reading.moment(row.get("start_timestamp")),
        ended=reading.moment(row.get("end_timestamp")),
    )


def _op_from_file(raw: object) -> JobOp:
    row = reading.mapping(raw, "opcode")
    body = reading.mapping(row.get("input"), "input")
    status = status_of(row.get("status"))
    return JobOp(
        opcode=reading.text(body, "OP_ID"),
        instance=instance_of(body),
        status=status,
        error=error_of(status, row.get("result")),
        log=last_log_line(row.get("log")),
        reasons=reasons_of(body),
        started=reading.moment(row.get("start_timestamp")),
        executed=reading.moment(row.get("exec_timestamp")),
        ended=reading.moment(row.get("end_timestamp")),
        input=body,
    )


def _status_of_all(statuses: list[str]) -> str:
    """A job's status from those of its opcodes, which run one after the other."""
    if all(status == "success" for status in statuses):
        return "success"
    for status in ("error", "canceled"):
        if status in statuses:
            return status
    return next(status for status in statuses if status != "success")


def instance_of(body: Mapping[str, object]) -> str | None:
    """The one instance that an opcode is about; opcodes about tags call it otherwise."""
    name = body.get("name") if body.get("kind") == "instance" else body.get("instance_name")
    return name if isinstance(name, str) and name else None


def target_of(body: Mapping[str, object]) -> str | None:
    """The name of what an opcode is about, if it is one thing."""
    names = (body.get(key) for key in _TARGETS)
    return next((name for name in names if isinstance(name, str) and name), None)


_TARGETS = ("instance_name", "node_name", "network_name", "group_name", "name")


def tool_of(body: Mapping[str, object]) -> str | None:
    """What asked for an opcode, from its reason trail: a command, the remote API or a daemon."""
    trail = body.get("reason")
    sources = [
        entry[0]
        for entry in (trail if isinstance(trail, list) else [])
        if isinstance(entry, list) and entry and isinstance(entry[0], str)
    ]
    for source in sources:
        if source.startswith("gnt:client:"):
            return source.removeprefix("gnt:client:")
        if source.startswith("gnt:library:rlib2"):
            return "remote API"
    return next((s.removeprefix("gnt:") for s in sources if s != "gnt:user"), None)


def reasons_of(body: Mapping[str, object]) -> tuple[str, ...]:
    """The texts of an opcode's reason trail, oldest first: each entry is [source, text, time]."""
    trail = body.get("reason")
    entries = trail if isinstance(trail, list) else []
    return tuple(
        entry[1]
        for entry in entries
        if isinstance(entry, list) and len(entry) > 1 and isinstance(entry[1], str) and entry[1]
    )


def last_log_line(log: object) -> str | None:
    """The newest message of an opcode's log: each entry is [serial, time, kind, message]."""
    entries = log if isinstance(log, list) else []
    for entry in reversed(entries):
        if isinstance(entry, list) and entry and isinstance(entry[-1], str) and entry[-1]:
            return entry[-1]
    return None


def log_of(log: object) -> tuple[tuple[datetime | None, str], ...]:
    """All messages of an opcode's log with their times, oldest first."""
    entries = log if isinstance(log, list) else []
    return tuple(
        (reading.moment(entry[1]) if len(entry) > 2 else None, entry[-1])
        for entry in entries
        if isinstance(entry, list) and entry and isinstance(entry[-1], str) and entry[-1]
    )


def error_of(status: str, result: object) -> OpError | None:
    """The error in an opcode's result, if its status says that there is one.

    Ganeti writes [kind, [message, code]], [kind, [message]], [kind, message] or a bare text.
    """
    if status not in {"error", "canceled"}:
        return None
    match result:
        case [str(kind), [str(message), str(code), *_]]:
            return OpError(kind, message, code)
        case [str(kind), [str(message), *_]] | [str(kind), str(message)]:
            return OpError(kind, message)
        case [str(kind), details, *_]:
            return OpError(kind, "; ".join(_leaves(details)) or kind)
        case None if status == "canceled":
            return None
        case _:
            return OpError("OpError", "; ".join(_leaves(result)) or "no reason given")


def _jobs_of(result: object) -> tuple[int, ...]:
    """The jobs in a result: {"jobs": [[whether it was taken, its id or why not], ...]}."""
    listed = result.get("jobs") if isinstance(result, dict) else None
    entries = listed if isinstance(listed, list) else []
    return tuple(
        reading.identifier(entry[1], "jobs")
        for entry in entries
        if isinstance(entry, list) and len(entry) > 1 and entry[0] is True
    )


def _leaves(value: object) -> list[str]:
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [] if value is None else [str(value)]
