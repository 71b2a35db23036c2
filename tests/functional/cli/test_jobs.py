"""``cloudweb job``: what is in the queues of clusters, and dropping one of it."""

from collections.abc import Callable
from typing import Any

from cloudweb.models import ClusterJob, SessionFactory, unit_of_work, utc_now
from tests.functional.cli.conftest import Terminal


def test_jobs_are_shown_and_canceled(
    cli: Terminal, sessions: SessionFactory, make_backend: Callable[..., Any]
) -> None:
    backend, silent = make_backend(jobs_read=utc_now()), make_backend(unreachable_since=utc_now())
    with unit_of_work(sessions) as session:
        for job_id, status in ((85, "queued"), (86, "running")):
            job = ClusterJob(
                backend_id=backend.id,
                job_id=job_id,
                status=status,
                opcode="OP_CLUSTER_VERIFY",
                tool="gnt-cluster",
                received=utc_now(),
                detail='{"oplog": [[[1, [1780000000, 0], "message", "* Verifying"]]]}',
            )
            session.add(job)
    listed = cli.run("job", "list", "--status", "queued")
    assert "85" in listed.stdout
    assert "86" not in listed.stdout
    assert f"missing of: {silent.name}" in listed.stderr
    assert [row["job"] for row in cli.json("job", "list", "--backend", backend.name)] == [86, 85]
    where = ("--backend", backend.name)
    assert "* Verifying" in cli("job", "show", 85, *where)
    assert cli.json("job", "show", 85, *where)["detail"]["oplog"]
    assert "is to be canceled" in cli("job", "cancel", 85, *where, "--reason", "Not now.")
    assert cli.json("job", "show", 85, *where)["cancel_wanted"]
    assert "It is running" in cli.refusal("job", "cancel", 86, *where, "--reason", "Not now.")
    assert "No job 87" in cli.refusal("job", "show", 87, *where)
