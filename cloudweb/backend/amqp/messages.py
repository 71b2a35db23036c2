"""Reads what agents publish about the jobs of clusters."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import orjson

from cloudweb.backend.ganeti.jobs import error_of
from cloudweb.domain.building import DiagnosticReport, ProgressEvent
from cloudweb.domain.hearing_cards import CardsEvent
from cloudweb.domain.states import NetworkEvent, NicReport, StatusEvent
from cloudweb.domain.texts import shown
from cloudweb.faults import ImpossibleMessage, UnreadableMessage
from cloudweb.models import MAX_ID, utc_now

OP_STATUS = "ganeti-op-status"

MAX_BYTES = 1_048_576
_MAX_NICS = 64
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FAILED = frozenset({"error", "canceled"})


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterEvent:
    """A cluster itself was changed, or its agent answered the question that is named ``tag``."""

    cluster: str
    time: dt.datetime
    tag: str | None = None


Event = StatusEvent | NetworkEvent | CardsEvent | ProgressEvent | ClusterEvent


def decode(body: bytes) -> Event:
    """The event in a message.

    Raises:
        ImpossibleMessage: there is none; the sentence says why.
    """
    if len(body) > MAX_BYTES:
        raise UnreadableMessage(f"It is longer than {MAX_BYTES} bytes.")
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableMessage(f"It is not JSON: {error}.") from None
    if type(said) is not dict:
        raise UnreadableMessage("It is not a JSON object.")
    kind = said.get("type")
    if kind == OP_STATUS:
        return _status(said)
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise UnreadableMessage(f"Its type is none that agents send: {str(kind)[:50]!r}.")
    return read(said)


def _status(said: dict[str, Any]) -> StatusEvent:
    get = said.get
    status = _text("status", get("status"), 20)
    cluster, log, result, nics = get("cluster"), get("logmsg"), get("result"), get("nics")
    if log is not None and type(log) is not str:
        raise ImpossibleMessage("Its 'logmsg' is not a text.")
    return StatusEvent(
        _text("instance", get("instance"), 255),
        _text("operation", get("operation"), 64),
        status,
        _job_id(get("jobId")),
        _time(get("event_time")),
        None if cluster is None else _text("cluster", cluster, 128),
        log,
        None if result is None or status not in _FAILED else _error(status, result),
        None if nics is None else _nics(nics),
    )


def _network(said: dict[str, Any]) -> NetworkEvent:
    """How a job about a network goes."""
    status, result = _text("status", said.get("status"), 20), said.get("result")
    return NetworkEvent(
        _text("network", said.get("network"), 255),
        _text("operation", said.get("operation"), 64),
        status,
        _job_id(said.get("jobId")),
        _time(said.get("event_time")),
        _text("cluster", said.get("cluster"), 128),
        None if result is None or status not in _FAILED else _error(status, result),
    )


def _copied(said: dict[str, Any]) -> ProgressEvent:
    """How much of the image is written, from agents of either age."""
    shares = [said[key] for key in ("progress", "rprogress", "wprogress") if said.get(key)]
    if any(type(share) not in (int, float) or not 0 <= share < 1e6 for share in shares):
        raise ImpossibleMessage("Its progress is not a percentage.")
    percent = min(100, int(max(shares, default=0)))
    return ProgressEvent(_text("instance", said.get("instance"), 255), _time_of(said), percent)


_LEVELS = {"image-error": "ERROR", "image-warning": "WARNING", "image-info": "INFO"}
_HELPER_LEVELS = {"error": "ERROR", "warning": "WARNING", "info": "INFO"}


def _helper(said: dict[str, Any]) -> ProgressEvent:
    """Something the image helper said; its words become a diagnostic of the server."""
    kind, subtype = said["type"], said.get("subtype")
    source = kind
    level = _LEVELS.get(kind, "DEBUG")
    words = said.get("messages")
    if kind == "image-helper" and isinstance(subtype, str):
        source = f"{kind}-{subtype}"
        level = _HELPER_LEVELS.get(subtype, "DEBUG")
        if subtype.startswith("task-"):
            words = said.get("task")
    message = " ".join(map(str, words)) if isinstance(words, list) else str(words or "")
    details = said.get("stderr")
    return ProgressEvent(
        _text("instance", said.get("instance"), 255),
        _time_of(said),
        report=DiagnosticReport(
            level,
            source[:50],
            shown(message, " ").strip()[:255] or source.replace("-", " ").capitalize(),
            None if details is None else shown(str(details), " ").strip()[:10_000],
        ),
    )


def _cluster(said: dict[str, Any]) -> ClusterEvent:
    return ClusterEvent(_text("cluster", said.get("cluster"), 128), _time_of(said))


def _heartbeat(said: dict[str, Any]) -> ClusterEvent:
    tag = said.get("tag")
    cluster = _text("cluster", said.get("cluster"), 128)
    return ClusterEvent(cluster, utc_now(), None if tag is None else _text("tag", tag, 128))


def _cards(said: dict[str, Any]) -> CardsEvent:
    cards, cluster = said.get("nics"), said.get("cluster")
    nics = _nics(cards)
    modes = {
        index: card["firewall"]
        for index, card in enumerate(cards or ())
        if isinstance(card.get("firewall"), str)
    }
    return CardsEvent(
        _text("instance", said.get("instance"), 255),
        _time(said.get("event_time")),
        nics,
        modes,
        None if cluster is None else _text("cluster", cluster, 128),
    )


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "ganeti-net-status": _cards,
    "ganeti-create-progress": _copied,
    "image-copy-progress": _copied,
    "image-error": _helper,
    "image-warning": _helper,
    "image-info": _helper,
    "image-helper": _helper,
    "ganeti-network-status": _network,
    "ganeti-cluster-status": _cluster,
    "eventd-heartbeat": _heartbeat,
}


def _time_of(said: dict[str, Any]) -> dt.datetime:
    """When it was said; agents of old do not tell, and what comes last is then the newest."""
    return utc_now() if said.get("event_time") is None else _time(said["event_time"])


def _text(key: str, value: object, longest: int) -> str:
    if type(value) is not str or not value:
        raise ImpossibleMessage(f"Its {key!r} is not a text.")
    if len(value) > longest or "\0" in value:
        raise ImpossibleMessage(f"Its {key!r} is not a name that Ganeti gives.")
    return value


def _job_id(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_ID:
        raise ImpossibleMessage("Its 'jobId' is not the number of a job.")
    return value


def _time(value: object) -> dt.datetime:
    """Ganeti's times are [seconds, microseconds] since 1970, in UTC."""
    if type(value) is list and len(value) == 2:
        seconds, micros = value
        if type(seconds) is int and type(micros) is int and 0 <= micros < 1_000_000:
            try:
                return _EPOCH + dt.timedelta(0, seconds, micros)
            except OverflowError:
                pass
    raise ImpossibleMessage("Its 'event_time' is not [seconds, microseconds].")


def _error(status: str, result: object) -> tuple[str | None, str] | None:
    """Ganeti's class of the failure and its sentence; None when the message does not say."""
    error = error_of(status, result)
    if error is None:
        return None
    code = None if error.code is None else error.code.replace("\0", "")
    return code, error.message.replace("\0", "")


def _nics(value: object) -> tuple[NicReport, ...]:
    if type(value) is not list or len(value) > _MAX_NICS:
        raise ImpossibleMessage("Its 'nics' is not a list of network cards.")
    return tuple(_nic(index, item) for index, item in enumerate(value))


def _nic(index: int, said: object) -> NicReport:
    if type(said) is not dict:
        raise ImpossibleMessage(f"Its network card {index} is not an object.")
    name, network = _name(said, "name"), _name(said, "network")
    return NicReport(index, _address(said, "mac"), _address(said, "ip"), name, network)


def _name(said: dict[str, Any], key: str) -> str | None:
    """A name that Ganeti gives; agents need not tell it, and some tell other things."""
    value = said.get(key)
    return value if type(value) is str and 0 < len(value) <= 255 and "\0" not in value else None


def _address(said: dict[str, Any], key: str) -> str | None:
    value = said.get(key)
    if value is None or value == "":
        return None
    if type(value) is not str or len(value) > 20 or not value.isascii() or "\0" in value:
        raise ImpossibleMessage(f"The {key!r} of a network card is not an address.")
    return value
