"""Jobs as Ganeti writes them, in answers and in its queue, and what is read from them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cloudweb.backend.ganeti.errors import NotFound, UnexpectedAnswer
from cloudweb.backend.ganeti.jobs import (
    Job,
    JobOp,
    OpError,
    error_of,
    job_from_file,
    job_from_rapi,
    last_log_line,
)
from tests.contract.subject import recorded


def at(second: int) -> datetime:
    return datetime(2030, 1, 1, 0, 0, second, tzinfo=UTC)


def test_a_successful_job_is_read_whole() -> None:
    job = job_from_rapi(recorded("job_success"))
    assert (job.id, job.status, job.is_final, job.error) == (6, "success", True, None)
    op = job.ops[0]
    assert (op.opcode, op.instance, op.log) == (
        "OP_INSTANCE_CREATE",
        "snf-1",
        "* starting instance...",
    )
    assert job.event_time() == datetime(2026, 11, 21, 3, 24, 36, 557443, tzinfo=UTC)


def test_a_refused_job_says_why() -> None:
    job = job_from_rapi(recorded("job_error_prereq"))
    assert job.error == OpError(
        "OpPrereqError", "Instance 'snf-1' is already in the cluster", "already_exists"
    )


def test_a_job_that_broke_says_why() -> None:
    error = job_from_rapi(recorded("job_error_exec")).error
    assert error
    assert (error.kind, error.code) == ("OpExecError", None)
    assert error.message.startswith("Could not add os for instance snf-x")


def test_a_canceled_job_says_so() -> None:
    job = job_from_rapi(recorded("job_canceled"))
    assert (job.status, job.is_final) == ("canceled", True)
    assert job.error == OpError("OpError", "Job canceled by request")


def test_a_running_job_has_no_end() -> None:
    job = job_from_rapi(recorded("job_running"))
    assert (job.status, job.is_final, job.ended) == ("running", False, None)
    assert job.event_time() == job.started


def test_a_missing_job_is_not_found() -> None:
    with pytest.raises(NotFound):
        job_from_rapi(recorded("job_missing"))


def test_a_bulk_row_has_no_result_and_no_log() -> None:
    row = {k: v for k, v in recorded("job_error_prereq").items() if k not in {"oplog", "opresult"}}
    op = job_from_rapi(row).ops[0]
    assert op.status == "error"
    assert op.log is None


def test_a_queue_file_has_the_times_of_each_opcode() -> None:
    job = job_from_file(recorded("queue_success"))
    assert (job.status, job.ops[0].instance) == ("success", "gwlab-1")
    op = job.ops[0]
    assert op.started
    assert op.executed
    assert op.ended
    assert op.started <= op.executed <= op.ended
    assert job.event_time() == op.ended
    assert op.reasons[0] == "cw:1"


def test_a_queue_file_of_a_failed_job_says_why() -> None:
    job = job_from_file(recorded("queue_error"))
    assert job.status == "error"
    assert job.error
    assert job.error.code == "already_exists"


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (["OpPrereqError", ["No room", "x"]], OpError("OpPrereqError", "No room", "x")),
        (["OpExecError", ["Broke"]], OpError("OpExecError", "Broke")),
        (["OpExecError", "Broke"], OpError("OpExecError", "Broke")),
        (["OpExecError", []], OpError("OpExecError", "OpExecError")),
        (["HooksAbort", [[["n1", "hook", "output"]]]], OpError("HooksAbort", "n1; hook; output")),
        ("Job canceled by request", OpError("OpError", "Job canceled by request")),
        (None, OpError("OpError", "no reason given")),
        (["OpPrereqError", ["No room", None]], OpError("OpPrereqError", "No room")),
        ({"odd": 1}, OpError("OpError", "{'odd': 1}")),
    ],
)
def test_every_shape_of_an_error_is_read(result: object, error: OpError) -> None:
    assert error_of("error", result) == error


def test_a_successful_result_is_no_error() -> None:
    assert error_of("success", ["OpPrereqError", ["looks", "like"]]) is None


def test_the_last_log_line_skips_what_is_no_text() -> None:
    assert last_log_line([[1, [1, 2], "message", "one"], [2, [1, 2], "other", {"a": 1}]]) == "one"
    assert last_log_line("nonsense") is None


@pytest.mark.parametrize(
    ("status", "second"),
    [("queued", 1), ("waiting", 2), ("canceling", 2), ("running", 3), ("success", 4), ("error", 4)],
)
def test_the_event_time_goes_by_the_status(status: str, second: int) -> None:
    op = JobOp("OP_X", "a", status, started=at(2), executed=at(3), ended=at(4))
    assert Job(1, status, (op,), received=at(1)).event_time() == at(second)


def test_an_unknown_event_time_is_the_newest_known() -> None:
    op = JobOp("OP_X", "a", "canceled", started=at(2))
    assert Job(1, "canceled", (op,), received=at(1)).event_time() == at(2)


def test_the_old_name_of_waiting_is_understood() -> None:
    row = {**recorded("job_running"), "status": "waitlock", "opstatus": ["waitlock"]}
    assert job_from_rapi(row).status == "waiting"


@pytest.mark.parametrize(
    "broken",
    [{"id": 1, "ops": 5}, {"id": True, "ops": []}, {"id": 1, "ops": [7]}, {"id": 1, "ops": [{}]}],
)
def test_a_broken_job_is_unexpected(broken: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedAnswer):
        job_from_rapi(broken)
