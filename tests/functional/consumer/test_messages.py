"""What agents publish, old ones and new ones, to the byte; and what is none of it."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudweb.backend.agents.messages import messages_of
from cloudweb.backend.amqp.messages import MAX_BYTES, decode
from cloudweb.backend.ganeti.jobs import Job, JobOp, OpError
from cloudweb.domain.states import NetworkEvent, NicReport, StatusEvent
from cloudweb.faults import ImpossibleMessage

SAID: dict[str, Any] = {
    "event_time": [1364312345, 678901],
    "type": "ganeti-op-status",
    "instance": "snf-12",
    "operation": "OP_INSTANCE_STARTUP",
    "status": "running",
    "cluster": "cluster.example.com",
    "logmsg": None,
    "jobId": 1234,
}
TIME = dt.datetime(2013, 3, 26, 15, 39, 5, 678901, tzinfo=dt.UTC)


def message(**changes: Any) -> bytes:
    said = {key: value for key, value in (SAID | changes).items() if value is not ...}
    return json.dumps(said).encode()


def test_a_message_of_an_agent_is_an_event() -> None:
    assert decode(message()) == StatusEvent(
        "snf-12", "OP_INSTANCE_STARTUP", "running", 1234, TIME, "cluster.example.com"
    )


def test_a_message_about_a_network_is_an_event() -> None:
    told = {
        "type": "ganeti-network-status",
        "network": "snf-net-5",
        "operation": "OP_NETWORK_REMOVE",
        "status": "error",
        "result": ["OpPrereqError", ["Network still connected", "wrong_state"]],
        "subnet": None,
    }
    assert decode(message(instance=..., **told)) == NetworkEvent(
        "snf-net-5",
        "OP_NETWORK_REMOVE",
        "error",
        1234,
        TIME,
        "cluster.example.com",
        ("wrong_state", "Network still connected"),
    )


@pytest.mark.parametrize("nothing", [None, ...], ids=["null", "absent"])
def test_an_old_agent_says_no_cluster(nothing: Any) -> None:
    assert decode(message(cluster=nothing, logmsg=nothing)).cluster is None


def test_older_clusters_wait_under_another_name() -> None:
    assert decode(message(status="waitlock")).status == "waitlock"


def test_unknown_keys_and_opcodes_are_let_be() -> None:
    event = decode(message(operation="OP_TO_COME", job_fields={"hvparams": {}}, disks=[]))
    assert event.opcode == "OP_TO_COME"


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (["OpPrereqError", ["Not known", "unknown_entity"]], ("unknown_entity", "Not known")),
        (["OpExecError", ["Broken"]], (None, "Broken")),
        (["OpExecError", "Broken"], (None, "Broken")),
        (["OpExecError", [["Node", 3], None]], (None, "Node; 3")),
        ("Broken", (None, "Broken")),
        ({"odd": 1}, (None, "{'odd': 1}")),
        (["OpExecError", ["a\0b", "c\0d"]], ("cd", "ab")),
        (None, None),
        (..., None),
    ],
)
def test_a_failure_says_why(result: Any, error: Any) -> None:
    assert decode(message(status="error", result=result)).error == error


def test_the_result_of_a_success_is_not_an_error() -> None:
    assert decode(message(status="success", result=["fine", ["fine"]])).error is None


def test_cards_come_in_their_order() -> None:
    nics = [
        {"mac": "aa:00:00:00:00:01", "ip": "10.0.0.1", "network": "net-1", "link": "br0"},
        {"mac": "aa:00:00:00:00:02", "ip": "", "name": "snf-nic-7"},
        {"name": 7, "network": ""},
    ]
    assert decode(message(nics=nics)).nics == (
        NicReport(0, "aa:00:00:00:00:01", "10.0.0.1", network="net-1"),
        NicReport(1, "aa:00:00:00:00:02", name="snf-nic-7"),
        NicReport(2, None),
    )


BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "ganeti-poem-status"}, "type"),
    ({"type": ...}, "type"),
    ({"type": ["ganeti-op-status"]}, "type"),
    *[({"event_time": time}, "event_time") for time in (..., None, 1, [1], [1, 2, 3], "1,2")],
    *[({"event_time": [1, micros]}, "event_time") for micros in (-1, 1_000_000, 1.5, True, None)],
    *[({"event_time": [seconds, 0]}, "event_time") for seconds in (2**40, -(2**40), 2**62, "1")],
    *[({"jobId": job}, "jobId") for job in (..., None, -1, 2**63, 1.0, True, "1234", [1])],
    *[({"instance": name}, "instance") for name in (..., None, "", 12, "x" * 256, "a\0b")],
    *[({"operation": name}, "operation") for name in (..., None, "", {}, "O" * 65)],
    *[({"status": status}, "status") for status in (..., None, "", ["success"], "s" * 21)],
    *[({"cluster": name}, "cluster") for name in ("", 7, "c" * 129)],
    ({"logmsg": ["line"]}, "logmsg"),
    ({"nics": "none"}, "nics"),
    ({"nics": [{}] * 65}, "nics"),
    ({"nics": [None]}, "card 0"),
    ({"nics": [{}, {"mac": 5}]}, "mac"),
    ({"nics": [{"ip": "1" * 21}]}, "ip"),
    ({"nics": [{"ip": "ä"}]}, "ip"),
]


@pytest.mark.parametrize(("changes", "named"), BAD)
def test_what_is_not_right_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ImpossibleMessage, match=named):
        decode(message(**changes))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff",
        b'{"type": "\xff"}',
        b'{"type": "\\ud800"}',
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"jobId": 1e400}',
        b" " * (MAX_BYTES + 1),
    ],
    ids=repr,
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ImpossibleMessage):
        decode(body)


UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@UNHURRIED
@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_refused(body: bytes) -> None:
    try:
        decode(body)
    except ImpossibleMessage:
        return


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("aä\0", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner),
    max_leaves=6,
)


@UNHURRIED
@given(
    st.dictionaries(
        st.sampled_from([*SAID, "nics", "result"]).filter(lambda key: key != "type"), _json
    )
)
def test_any_values_are_an_event_or_refused(changes: dict[str, Any]) -> None:
    try:
        decode(message(**changes))
    except ImpossibleMessage:
        return


def test_what_our_agent_publishes_is_heard_as_it_was_meant() -> None:
    error = OpError("OpPrereqError", "Not known", "unknown_entity")
    op = JobOp("OP_INSTANCE_REMOVE", "snf-12", "error", error, log="line", ended=TIME)
    (published,) = messages_of(Job(7, "error", (op,), ended=TIME), "cluster.example.com")
    assert decode(published.body) == StatusEvent(
        "snf-12",
        "OP_INSTANCE_REMOVE",
        "error",
        7,
        TIME,
        "cluster.example.com",
        "line",
        ("unknown_entity", "Not known"),
    )
