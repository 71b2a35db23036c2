"""Reads what agents publish about the jobs of clusters."""

import datetime as dt
from typing import Any

import orjson

from cloudweb.backend.ganeti.jobs import error_of
from cloudweb.domain.states import NicReport, StatusEvent
from cloudweb.faults import ImpossibleMessage
from cloudweb.models import MAX_ID

OP_STATUS = "ganeti-op-status"

MAX_BYTES = 1_048_576
_MAX_NICS = 64
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FAILED = frozenset({"error", "canceled"})


def decode(body: bytes) -> StatusEvent:
    """The event in a ``ganeti-op-status`` message.

    Raises:
        ImpossibleMessage: it is not one; the sentence says why.
    """
    if len(body) > MAX_BYTES:
        raise ImpossibleMessage(f"It is longer than {MAX_BYTES} bytes.")
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ImpossibleMessage(f"It is not JSON: {error}.") from None
    if type(said) is not dict:
        raise ImpossibleMessage("It is not a JSON object.")
    if said.get("type") != OP_STATUS:
        raise ImpossibleMessage(f"Its type is not {OP_STATUS!r}.")
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
    return NicReport(index, _address(said, "mac"), _address(said, "ip"))


def _address(said: dict[str, Any], key: str) -> str | None:
    value = said.get(key)
    if value is None or value == "":
        return None
    if type(value) is not str or len(value) > 20 or not value.isascii() or "\0" in value:
        raise ImpossibleMessage(f"The {key!r} of a network card is not an address.")
    return value
