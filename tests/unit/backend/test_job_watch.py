"""What is kept of a job that a cluster tells all of: no secrets, no end of a log, not too much."""

from typing import Any

import orjson

from cloudweb.backend.job_watch import HIDDEN, detail_of


def job(**op: Any) -> dict[str, Any]:
    body = {"OP_ID": "OP_INSTANCE_CREATE", "instance_name": "web", "reason": [], **op}
    return {"id": 5, "status": "error", "ops": [body], "opstatus": ["error"]}


def test_secrets_are_hidden_wherever_they_are_and_nothing_else_is() -> None:
    row = job(
        osparams={"img_passwd": "hunter2"},
        osparams_private={"key": "hunter2"},
        osparams_secret={},
        nics=[{"name": "eth0", "vnc_password": "hunter2"}],
        hypervisor="kvm",
    )
    kept = orjson.loads(detail_of(row).raw)["ops"][0]
    assert "hunter2" not in str(kept)
    assert kept["osparams"] == HIDDEN
    assert kept["osparams_secret"] == {}, "what is empty hides nothing"
    assert kept["nics"] == [{"name": "eth0", "vnc_password": HIDDEN}]
    assert kept["hypervisor"] == "kvm"


def test_of_a_long_log_the_end_is_kept_and_of_a_huge_job_only_how_it_went() -> None:
    row = job() | {"oplog": [[[n, [n, 0], "message", f"line {n}"] for n in range(5000)]]}
    kept = orjson.loads(detail_of(row).raw)["oplog"][0]
    assert (len(kept), kept[-1][-1]) == (300, "line 4999")
    row = job(note="x" * 300_000) | {"opresult": [["OpPrereqError", ["No room", "wrong_state"]]]}
    detail = detail_of(row)
    assert detail.raw == ""
    assert (detail.status, detail.error) == ("error", ("wrong_state", "No room"))


def test_what_no_database_keeps_is_left_out() -> None:
    kept = orjson.loads(detail_of(job(note="a\0b", other="c\\u0000")).raw)["ops"][0]
    assert (kept["note"], kept["other"]) == ("ab", "c\\u0000")
