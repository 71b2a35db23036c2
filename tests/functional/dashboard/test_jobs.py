"""The jobs of all clusters: whoever asked for them, where they are missing, and canceling one."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import webtest

from cloudweb.domain import cluster_jobs, identity, job_cancels, servers
from cloudweb.domain.cluster_jobs import JobReport, JobStatus
from cloudweb.models import (
    Backend,
    ClusterJob,
    Operation,
    OperationState,
    Role,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
BEGAN = utc_now() - dt.timedelta(minutes=5)


def report(job_id: int, status: str = "queued", **values: Any) -> JobReport:
    """What a cluster's list says of a job by hand."""
    began = BEGAN
    defaults: dict[str, Any] = {
        "opcode": "OP_INSTANCE_STARTUP",
        "steps": 1,
        "target": f"web{job_id}.example.org",
        "tool": "gnt-instance",
        "reasons": ("by hand",),
        "received": began,
        "started": None if status in ("queued", "waiting") else began,
        "ended": utc_now() if status in ("success", "error", "canceled") else None,
    }
    return JobReport(job_id=job_id, status=status, **defaults | values)


@pytest.fixture
def keep(sessions: SessionFactory) -> Make:
    """Keeps what the list of a cluster's jobs says."""

    def go(backend: Backend, *reports: JobReport) -> None:
        with unit_of_work(sessions) as session:
            cluster_jobs.keep(session, session.get_one(Backend, backend.id), reports)

    return go


def kept(sessions: SessionFactory, backend: Backend) -> dict[int, str]:
    with unit_of_work(sessions, write=False) as session:
        jobs = session.query(ClusterJob).filter_by(backend_id=backend.id).order_by("job_id")
        return {job.job_id: job.status for job in jobs}


def test_jobs_of_everybody_and_ours_are_in_one_list(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_server: Make,
    make_backend: Make,
    keep: Make,
) -> None:
    server = make_server(name="blue")
    other, silent, away = make_backend(), make_backend(), make_backend(offline=True)
    with unit_of_work(sessions) as session:
        ours = servers.shutdown(session, identity.system("cli"), server.id)
        backend = session.get_one(Backend, server.backend_id)
        session.get_one(Backend, silent.id).unreachable_since = utc_now()
    mine = (f"cloudweb:{ours.key} request:none", "Tidying")
    keep(backend, report(7, target=server.instance_name, reasons=mine), report(8, "running"))
    every = [report(n, status.value) for n, status in enumerate(JobStatus, 20)]
    keep(other, *every, report(60, "new-in-ganeti-9"))
    sign_in(Role.VIEWER)
    page = app.get("/admin/jobs")
    assert "1 of 4 clusters did not answer" in page
    assert silent.name in page
    assert "1 of 4 clusters are offline and not asked" in page
    assert away.name in page
    assert "gnt-instance: by hand" in page
    assert "new-in-ganeti-9" in page, "a status nobody knows is shown as it came"
    row = page.html.find(id=f"jobs-{backend.id}-7")
    assert row.find("a", string="blue")
    assert row.find("a", string=str(ours.id))

    def shown(query: str) -> set[int]:
        return {row["job"] for row in app.get(f"/admin/jobs.json?{query}").json}

    assert shown("ours=yes") == {7}
    assert shown("status=queued&backend=" + other.name) == {20}
    assert shown("open=yes&filter=job>=20,job<60") == {20, 21, 22, 23}
    assert shown("target=web25.example.org") == {25}
    assert shown("since=1m") == set()
    assert len(shown("since=1h&opcode=OP_INSTANCE_STARTUP")) == 10


def test_a_list_of_many_clusters_takes_few_statements(
    app: webtest.TestApp, sign_in: Make, make_backend: Make, keep: Make, count_statements: Make
) -> None:
    for _ in range(16):
        keep(make_backend(), *(report(n, "success") for n in range(1, 1001)))
    sign_in(Role.VIEWER)
    with count_statements() as counter:
        page = app.get("/admin/jobs?sort=-took&status=success")
    assert "of <b>more than 10,000</b> jobs" in page
    assert len(counter) <= 12


def test_what_is_over_stays_for_a_day_and_what_is_lost_goes(
    sessions: SessionFactory, make_backend: Make, keep: Make
) -> None:
    backend = make_backend()
    long_ago = utc_now() - dt.timedelta(hours=25)
    keep(backend, report(1, "success", ended=long_ago), report(2, "success"), report(3, "running"))
    assert kept(sessions, backend) == {2: "success", 3: "running"}
    keep(backend, report(3, "error"), report(4))
    assert kept(sessions, backend) == {2: "success", 3: "error", 4: "queued"}
    keep(backend)
    assert kept(sessions, backend) == {2: "success", 3: "error"}
    anew = utc_now()
    keep(backend, report(2, "queued", received=anew))
    assert kept(sessions, backend) == {2: "queued", 3: "error"}, "the queue began anew"


def test_the_page_of_a_job_tells_its_steps_and_whether_trying_again_can_help(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make, keep: Make
) -> None:
    backend = make_backend(name="gnt.example.org")
    keep(backend, report(5, "error", opcode="OP_INSTANCE_CREATE"))
    sign_in(Role.VIEWER)
    page = app.get("/admin/jobs").click("5", index=0)
    assert "Its steps were not read yet" in page
    raw = {
        "id": 5,
        "status": "error",
        "ops": [{"OP_ID": "OP_INSTANCE_CREATE", "instance_name": "web<5>", "reason": []}],
        "opstatus": ["error"],
        "opresult": [["OpPrereqError", ["No room", "temp_insufficient_resources"]]],
        "oplog": [[[1, [1780000000, 0], "message", "Selecting <nodes>"]]],
    }
    detail = cluster_jobs.JobDetail(
        job_id=5,
        status="error",
        raw=orjson.dumps(raw).decode(),
        error=("temp_insufficient_resources", "No room"),
    )
    with unit_of_work(sessions) as session:
        cluster_jobs.keep_details(session, backend.id, [detail])
    page = app.get("/admin/search?q=gnt:5", status=303).follow()
    assert "Asking again may help" in page
    assert "Selecting &lt;nodes&gt;" in page
    assert "&#34;OP_ID&#34;: &#34;OP_INSTANCE_CREATE&#34;" in page
    assert "Cancel…" not in page
    assert "No job 6 of gnt.example.org is known" in app.get(
        "/admin/jobs/gnt.example.org/6", status=404
    )


def test_a_job_of_others_is_canceled_with_a_reason_by_the_worker(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make, keep: Make
) -> None:
    backend = make_backend()
    keep(backend, report(5), report(6, "running"))
    sign_in(Role.OPERATOR)
    assert "It is running" in app.get(f"/admin/jobs/{backend.name}/6/cancel")
    form = app.get(f"/admin/jobs/{backend.name}/5").click("Cancel…").forms["act"]
    assert "Say why" in form.submit(status=400)
    form["reason"] = "Asked by mistake."
    page = form.submit(status=303).follow()
    assert "It is to be canceled" in page
    assert "That was asked for already." in page
    assert "Asked by mistake." in page
    with unit_of_work(sessions) as session:
        assert job_cancels.claim(session, backend.id, every_s=60) == [5]
        assert job_cancels.claim(session, backend.id, every_s=60) == []
    keep(backend, report(5, "running"))
    assert "It was to be canceled, but it had begun." in app.get(f"/admin/jobs/{backend.name}/5")


def test_a_preview_that_the_job_outran_is_refused(
    app: webtest.TestApp, sign_in: Make, make_backend: Make, keep: Make
) -> None:
    backend = make_backend()
    keep(backend, report(5))
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/jobs/{backend.name}/5/cancel").forms["act"]
    form["reason"] = "Asked by mistake."
    keep(backend, report(5, "running"))
    assert "Nothing was done" in form.submit(status=409)


def test_canceling_the_job_of_an_operation_cancels_that(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_server: Make, keep: Make
) -> None:
    server = make_server()
    with unit_of_work(sessions) as session:
        ours = servers.shutdown(session, identity.system("cli"), server.id)
        ours.state, ours.job_id, ours.sent = OperationState.SUBMITTED, 9, utc_now()
        backend = session.get_one(Backend, server.backend_id)
    keep(backend, report(9, reasons=(f"cloudweb:{ours.key} request:none",)))
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/jobs/{backend.name}/9/cancel").forms["act"]
    form["reason"] = "Not wanted."
    assert "That was asked for already." in form.submit(status=303).follow()
    assert "to be canceled" in app.get(f"/admin/operations/{ours.id}")


# --- again --------------------------------------------------------------------------------------


@pytest.fixture
def failed(sessions: SessionFactory, keep: Make) -> Make:
    """Keeps a job that failed, or was canceled, with what it was given; the address of its page."""

    def go(
        backend: Backend, opcode: str, target: str, *, status: str = "error", **given: Any
    ) -> str:
        keep(backend, report(5, status, opcode=opcode, target=target))
        raw = {"id": 5, "status": status, "ops": [{"OP_ID": opcode, "reason": [], **given}]}
        detail = cluster_jobs.JobDetail(5, status, orjson.dumps(raw).decode())
        with unit_of_work(sessions) as session:
            cluster_jobs.keep_details(session, backend.id, [detail])
        return f"/admin/jobs/{backend.name}/5"

    return go


def newest(sessions: SessionFactory) -> Operation:
    with unit_of_work(sessions, write=False) as session:
        query = session.query(Operation).order_by(Operation.id.desc())
        return query.first() or pytest.fail("Nothing was asked for.")


def retried(app: webtest.TestApp, page: str) -> webtest.TestResponse:
    """What follows when the button of the page is pressed and a reason is given."""
    form = app.get(page).click("Retry as new…").forms["act"]
    form["reason"] = "There is memory again."
    return form.submit(status="*").maybe_follow()


def test_what_failed_on_anothers_instance_is_given_to_the_cluster_again_once(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make, failed: Make
) -> None:
    backend = make_backend()
    given = {"instance_name": "web1", "timeout": 60, "force": False, "no_remember": True}
    page = failed(backend, "OP_INSTANCE_SHUTDOWN", "web1", **given)
    sign_in(Role.OPERATOR)
    assert "OP_INSTANCE_SHUTDOWN, no_remember, timeout 60." in app.get(page).click("Retry as new…")
    stale = app.get(f"{page}/retry").forms["act"]
    assert "There is memory again." in retried(app, page)
    made = newest(sessions)
    assert (made.opcode, made.target, made.server_id) == ("OP_INSTANCE_SHUTDOWN", "web1", None)
    assert made.arguments == {"again": {"timeout": 60, "no_remember": True}}
    shown = app.get(page)
    assert shown.html.find("a", string=f"operation {made.id}")
    assert "Retry as new…" not in shown
    assert "There is memory again." in shown
    stale["reason"] = "Again."
    assert "does it again already" in stale.submit(status=409)
    assert newest(sessions).id == made.id


def test_what_failed_on_a_server_of_ours_is_done_as_its_own_act(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_server: Make, failed: Make
) -> None:
    server = make_server(locked=True)
    with unit_of_work(sessions, write=False) as session:
        backend = session.get_one(Backend, server.backend_id)
    given = {"reboot_type": "soft", "ignore_secondaries": True, "shutdown_timeout": 120}
    page = failed(backend, "OP_INSTANCE_REBOOT", server.instance_name, **given)
    sign_in(Role.OPERATOR)
    assert "not passed on: ignore_secondaries" in app.get(f"{page}/retry")
    assert "Server is locked." in retried(app, page)
    with unit_of_work(sessions) as session:
        session.get_one(Server, server.id).locked = False
    retried(app, page)
    made = newest(sessions)
    assert (made.server_id, made.arguments) == (server.id, {"type": "SOFT"})


def test_the_job_of_an_operation_is_retried_as_that(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_server: Make, keep: Make
) -> None:
    server = make_server()
    with unit_of_work(sessions) as session:
        ours = servers.shutdown(session, identity.system("cli"), server.id)
        ours.state, ours.job_id, ours.sent = OperationState.SUBMITTED, 9, utc_now()
        backend = session.get_one(Backend, server.backend_id)
    keep(backend, report(9, "canceled", reasons=(f"cloudweb:{ours.key} request:none",)))
    sign_in(Role.OPERATOR)
    page = f"/admin/jobs/{backend.name}/9"
    assert f"Operation {ours.id}, of which it is, goes on." in app.get(page)
    assert "differs from the job" in app.get(page)
    with unit_of_work(sessions) as session:
        row = session.get_one(Operation, ours.id)
        row.state, row.finished = OperationState.CANCELED, utc_now()
    assert "differs from the job" not in app.get(page)
    assert f"operation {ours.id}" in retried(app, page)
    assert newest(sessions).retry_of_id == ours.id
    assert app.get(page).html.find("a", string=f"operation {newest(sessions).id}")


@pytest.mark.parametrize(
    ("opcode", "given", "why"),
    [
        ("OP_CLUSTER_VERIFY", {"skip_checks": []}, "has no call that gives OP_CLUSTER_VERIFY"),
        ("OP_INSTANCE_STARTUP", {"hvparams": {"a": "b"}}, "all that it was given: hvparams"),
        ("OP_INSTANCE_MIGRATE", {"dry_run": True}, "all that it was given: dry_run"),
        ("OP_INSTANCE_REBOOT", {"depends": [[-1, []]]}, "all that it was given: depends"),
    ],
)
def test_what_no_call_can_give_again_says_so_instead_of_a_button(
    app: webtest.TestApp,
    sign_in: Make,
    make_backend: Make,
    failed: Make,
    opcode: str,
    given: dict[str, Any],
    why: str,
) -> None:
    page = failed(make_backend(), opcode, "web1", **given)
    sign_in(Role.OPERATOR)
    shown = app.get(page)
    assert shown.html.find("span", string="Retry as new…")["aria-disabled"] == "true"
    assert why in shown
    form = app.get(f"{page}/retry").forms
    assert "act" not in form or why in form["act"].submit(status="*")


def test_what_did_not_fail_or_is_not_asked_or_moves_servers_of_ours_is_not_retried(
    app: webtest.TestApp,
    sign_in: Make,
    make_server: Make,
    make_backend: Make,
    keep: Make,
    failed: Make,
) -> None:
    backend = make_backend()
    make_server(backend=backend, node="n1")
    page = failed(backend, "OP_NODE_EVACUATE", "n1", mode="all")
    away = make_backend(offline=True)
    keep(away, report(1, "error"), report(2, "success"), report(3, "error", steps=2))
    sign_in(Role.OPERATOR)
    assert "Servers of ours are on this node" in app.get(page)
    assert app.get(page).html.find("a", string="Node n1")["href"].endswith("/nodes/n1")
    assert "is offline" in app.get(f"/admin/jobs/{away.name}/1")
    assert "Retry as new" not in app.get(f"/admin/jobs/{away.name}/2")
    assert "It did not fail." in app.get(f"/admin/jobs/{away.name}/2/retry")
    page = failed(backend, "OP_NODE_EVACUATE", "n1", mode="secondary-only")
    assert "mode secondary-only" in app.get(f"{page}/retry")
    sign_in(Role.HELPDESK)
    assert "Retry as new" not in app.get(page)
    app.get(f"{page}/retry", status=403)
