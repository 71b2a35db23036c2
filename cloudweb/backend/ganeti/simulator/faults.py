"""What a simulated cluster can be told to do wrong."""

import threading
from dataclasses import asdict, dataclass, field, fields
from typing import Any

_SENTENCES = {
    "insufficient_resources": "Can't compute nodes using iallocator 'hail': no room",
    "temp_insufficient_resources": "Not enough resources available at the moment",
    "already_exists": "The instance is already in the cluster",
    "unknown_entity": "The instance is not known",
    "wrong_state": "The instance is in the wrong state",
    "wrong_input": "A parameter is not acceptable",
}


@dataclass
class Failure:
    """The next `count` jobs of an opcode end in this error."""

    count: int = 1
    kind: str = "OpPrereqError"
    code: str | None = None
    message: str = ""


@dataclass
class Faults:
    """Everything that is wrong with a cluster; as it is made, nothing.

    delay_s: every answer comes this late. hang_s: requests are held this long, then cut off, and
    nothing was done. refuse: "close" cuts connections off, "503" answers that. unauthorized:
    credentials are wrong. read_only: the user may change nothing. queue_drained: no job is taken.
    drop_after_accept: the answer to the next N jobs is lost, the jobs are not.
    delay_after_accept_s: the answer to a job comes this late. fail: jobs of an opcode that end in
    error.
    """

    delay_s: float = 0.0
    hang_s: float = 0.0
    refuse: str = ""
    unauthorized: bool = False
    read_only: bool = False
    queue_drained: bool = False
    drop_after_accept: int = 0
    delay_after_accept_s: float = 0.0
    fail: dict[str, Failure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def update(self, given: dict[str, Any]) -> None:
        """Sets what is given and leaves the rest; ValueError for what is no fault."""
        known = {each.name: type(getattr(Faults(), each.name)) for each in fields(self)}
        wanted: dict[str, Any] = {}
        for key, value in given.items():
            if key not in known:
                raise ValueError(f"{key!r} is no fault; these are: {', '.join(known)}")
            wanted[key] = _failures(value) if key == "fail" else _typed(key, value, known[key])
        with self._lock:
            for key, value in wanted.items():
                setattr(self, key, value)

    def clear(self) -> None:
        self.update(asdict(Faults()))

    def show(self) -> dict[str, Any]:
        with self._lock:
            return asdict(self)

    def take_drop(self) -> bool:
        """Whether this answer is to be lost; counts it."""
        with self._lock:
            if self.drop_after_accept <= 0:
                return False
            self.drop_after_accept -= 1
            return True

    def take_failure(self, opcode: str) -> list[Any] | None:
        """What a new job of this opcode is to end in, as its result; counts it."""
        with self._lock:
            failure = self.fail.get(opcode)
            if failure is None or failure.count <= 0:
                return None
            failure.count -= 1
            message = failure.message or _SENTENCES.get(failure.code or "", "Failed as told to")
            return [failure.kind, [message, failure.code] if failure.code else [message]]


def _typed(key: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key} takes a {kind.__name__}")
    if key == "refuse" and value not in {"", "close", "503"}:
        raise ValueError('refuse is "", "close" or "503"')
    return value


def _failures(value: Any) -> dict[str, Failure]:
    try:
        return {opcode: Failure(**failure) for opcode, failure in value.items()}
    except (AttributeError, TypeError):
        raise ValueError(
            'fail is {"OP_...": {"count": 1, "kind": "...", "code": "...", "message": "..."}}'
        ) from None
