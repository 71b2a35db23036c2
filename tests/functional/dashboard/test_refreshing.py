"""Having the worker get newer figures of a backend: asked for on its page, shown when there."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.models import AuditEntry, Backend, Role, SessionFactory, unit_of_work, utc_now
from cloudweb.settings import Settings
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import running, wait_for, write_ini

WORKER = "cloudweb.backend.worker"
Make = Callable[..., Any]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A cluster of two nodes."""
    with Simulator(["alpha:nodes=2,memory=32G,disk=100G"], port=0, time_factor=0.02) as running:
        yield running


@pytest.fixture
def ini(tmp_path: Path, settings: Settings) -> Path:
    """The settings of a worker that looks at clusters once an hour by itself."""
    seldom = {"worker_refresh_s": 3600.0, "worker_compare_s": 3600.0, "worker_jobs_s": 3600.0}
    return write_ini(tmp_path, settings, **seldom)


@pytest.fixture
def alpha(simulator: Simulator, make_backend: Make) -> Backend:
    """The backend that is this cluster, and was never asked."""
    backend: Backend = make_backend(
        url=simulator.url("alpha"),
        name=simulator.clusters["alpha"].spec.full_name,
        refreshed=None,
        nodes_up=0,
    )
    return backend


def now(sessions: SessionFactory, backend: Backend) -> Backend:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Backend, backend.id)


def actions(sessions: SessionFactory) -> list[tuple[str, str]]:
    with unit_of_work(sessions, write=False) as session:
        rows = session.execute(
            sa.select(AuditEntry.action, AuditEntry.door)
            .where(AuditEntry.target_kind == "backend")
            .order_by(AuditEntry.id)
        )
        return [(row[0], row[1]) for row in rows]


def pressed(page: Any) -> Any:
    """What follows when Refresh figures is pressed on a backend's page."""
    form = next(f for f in page.forms.values() if f.action.endswith("/refresh"))
    return form.submit(status=303).follow()


def test_the_worker_gets_newer_figures_when_somebody_asks(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    simulator: Simulator,
    alpha: Backend,
    ini: Path,
) -> None:
    sign_in(Role.OPERATOR)
    path = f"/admin/backends/{alpha.id}"
    with running(WORKER, ini):
        wait_for(lambda: now(sessions, alpha).nodes_up == 2)
        before = now(sessions, alpha).refreshed
        simulator.clusters["alpha"].set_node("n2.alpha.ganeti.test", offline=True, drained=None)
        pressed(app.get(path))
        wait_for(lambda: now(sessions, alpha).nodes_up == 1)
        wait_for(lambda: now(sessions, alpha).refresh_asked is None)
    after = now(sessions, alpha).refreshed
    assert before is not None
    assert after is not None
    assert after > before
    page = app.get(path)
    assert "1 of 2 up" in page
    assert "Newer figures were asked for" not in page


def test_the_page_says_when_it_was_asked_for_and_pressing_twice_asks_once(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend(refreshed=utc_now() - dt.timedelta(minutes=5))
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}")
    told = pressed(page)
    asked = now(sessions, backend).refresh_asked
    assert asked is not None
    assert f"asked for at {asked:%H:%M:%S}" in " ".join(told.html.main.text.split())
    pressed(page)
    pressed(told)
    assert now(sessions, backend).refresh_asked == asked
    assert actions(sessions) == [("backend:refresh", "dashboard")]
    assert f"newer asked for at {asked:%H:%M:%S}" in app.get("/admin/backends").html.main.text


def test_a_cluster_that_did_not_answer_is_asked_again(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend(unreachable_since=utc_now())
    sign_in(Role.OPERATOR)
    told = pressed(app.get(f"/admin/backends/{backend.id}"))
    assert "The cluster has not given them yet." in told
    first = now(sessions, backend).refresh_asked
    pressed(told)
    second = now(sessions, backend).refresh_asked
    assert first is not None
    assert second is not None
    assert second > first


def test_one_that_is_offline_is_not_asked(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend()
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}")
    with unit_of_work(sessions) as session:
        session.get_one(Backend, backend.id).offline = True
    form = next(f for f in page.forms.values() if f.action.endswith("/refresh"))
    form.submit(status=409)
    assert now(sessions, backend).refresh_asked is None
    assert "/refresh" not in app.get(f"/admin/backends/{backend.id}")


def test_a_backend_is_compared_from_its_page(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend, other = make_backend(), make_backend()
    sign_in(Role.HELPDESK)
    page = app.get(f"/admin/backends/{backend.id}")
    form = next(f for f in page.forms.values() if f.action.endswith("/compare"))
    shown = form.submit(status=303).follow()
    rows = {row.th.text: row.text for row in shown.html.select("table tbody tr")}
    assert "To be compared" in rows[backend.name]
    assert "To be compared" not in rows[other.name]
    sign_in(Role.VIEWER)
    assert "/compare" not in app.get(f"/admin/backends/{backend.id}")


def test_a_terminal_leaves_it_to_the_worker(
    sessions: SessionFactory, simulator: Simulator, alpha: Backend, ini: Path
) -> None:
    cli = Terminal(ini)
    with running(WORKER, ini):
        wait_for(lambda: now(sessions, alpha).nodes_up == 2)
        simulator.clusters["alpha"].set_node("n2.alpha.ganeti.test", offline=True, drained=None)
        said = cli("backend", "refresh", alpha.id, "--later")
        assert said == "The worker is about to ask alpha.ganeti.test.\n"
        wait_for(lambda: now(sessions, alpha).nodes_up == 1)
    assert actions(sessions) == [("backend:refresh", "cli")]
