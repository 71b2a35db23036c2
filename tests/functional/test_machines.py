"""Pages for machines, and that nothing else answers strangers."""

import dataclasses
from collections.abc import Callable

import pytest
import sqlalchemy as sa
import webob
import webtest
from pyramid.security import NO_PERMISSION_REQUIRED

from cloudweb import __version__
from cloudweb.domain import consumers, pools
from cloudweb.domain.identity import system
from cloudweb.models import (
    ClusterJob,
    Flavor,
    PoolKind,
    SessionFactory,
    make_engine,
    migrations,
    unit_of_work,
    utc_now,
)
from cloudweb.security import Permission
from cloudweb.settings import Secret, Settings
from tests.applications import application


def test_a_living_process_says_so(app: webtest.TestApp) -> None:
    assert app.get("/healthz").json == {"status": "ok"}


def test_a_process_is_ready_when_its_database_answers(app: webtest.TestApp) -> None:
    answer = app.get("/readyz").json
    assert answer["status"] == "ready"
    parts = {name: part["status"] for name, part in answer.items() if name != "status"}
    assert parts == {"database": "up", "migrations": "newest", "broker": "none"}
    assert all(answer[name]["ms"] >= 0 for name in parts)


@pytest.mark.parametrize(
    ("current", "status", "where"), [("0001", 503, "behind"), ("9999", 200, "ahead")]
)
def test_a_process_is_not_ready_while_its_database_is_behind_its_migrations(
    current: str, status: int, where: str, app: webtest.TestApp, sessions: SessionFactory
) -> None:
    newest = migrations.names()[0]

    def move(to: str) -> None:
        with unit_of_work(sessions) as session:
            session.execute(sa.text("UPDATE alembic_version SET version_num = :to"), {"to": to})

    move(current)
    try:
        answer = app.get("/readyz", status=status).json
    finally:
        move(newest)
    assert answer["migrations"]["status"] == where
    assert answer["migrations"]["at"] == current
    assert answer.get("failing", []) == (["migrations"] if status == 503 else [])


def test_a_process_before_an_empty_database_is_not_ready(settings: Settings) -> None:
    app = webtest.TestApp(application(settings, sessions=SessionFactory(make_engine("sqlite://"))))
    answer = app.get("/readyz", status=503).json
    assert (answer["failing"], answer["database"]["status"]) == (["migrations"], "up")


def test_a_broker_that_is_away_is_told_and_makes_no_process_unready(
    settings: Settings, sessions: SessionFactory
) -> None:
    listening = dataclasses.replace(settings, amqp_hosts=("amqp://127.0.0.1:1/",))
    app = webtest.TestApp(application(listening, sessions=sessions))

    def told() -> str:
        return str(app.get("/readyz").json["broker"]["status"])

    assert told() == "no consumer"
    for host, words in (("", "no broker"), ("rabbit-1", "listening")):
        with unit_of_work(sessions) as session:
            consumers.note(session, "c1", broker=host)
        assert told() == words


def test_a_process_says_which_cloudweb_it_is(app: webtest.TestApp) -> None:
    assert app.get("/version").json == {"name": "cloudweb", "version": __version__}


def test_metrics_tell_of_clusters_pools_jobs_and_consumers(
    app: webtest.TestApp, sessions: SessionFactory, make_server: Callable, make_backend: Callable
) -> None:
    backend = make_backend(name="gnt-1.example.org", memory_total_mb=2048, memory_free_mb=512)
    server = make_server(backend=backend)
    with unit_of_work(sessions) as session:
        flavor = session.get_one(Flavor, server.flavor_id)
        pools.create(session, system("cli"), kind=PoolKind.BRIDGE, base="prv", size=20)
        pools.take(session, PoolKind.BRIDGE, holder_kind="network", holder_id=1)
        lag = {"gnt-1.example.org": (1.5, utc_now().isoformat())}
        consumers.note(session, "c1", broker="rabbit-1", lags=lag)
        session.add(
            ClusterJob(
                backend_id=backend.id, job_id=7, opcode="OP_X", status="error", received=utc_now()
            )
        )
    text = app.get("/metrics", extra_environ={"REMOTE_ADDR": "127.0.0.1"}).text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    found = {name: float(value) for name, _, value in lines}
    of = 'backend="gnt-1.example.org"'
    assert found[f'cloudweb_backend_memory_bytes{{{of},what="total"}}'] == 2048 * 2**20
    assert found[f'cloudweb_backend_memory_bytes{{{of},what="free"}}'] == 512 * 2**20
    promised = found[f'cloudweb_backend_memory_bytes{{{of},what="promised"}}']
    assert promised == flavor.ram_mb * 2**20
    assert found[f'cloudweb_backend_cpus{{{of},what="promised"}}'] == flavor.cpu
    assert found[f'cloudweb_backend_servers{{{of},state="{server.state.value}"}}'] == 1
    assert found[f"cloudweb_backend_takes_servers{{{of}}}"] == 1
    assert found[f'cloudweb_jobs{{{of},status="error"}}'] == 1
    assert found[f"cloudweb_backend_lag_seconds{{{of}}}"] == 1.5
    assert found['cloudweb_consumers{state="listening"}'] == 1
    uses = {name.rpartition('use="')[2][:4]: n for name, n in found.items() if 'base="prv"' in name}
    assert uses == {"held": 1, "rese": 0, "free": 19}
    assert found["cloudweb_dead_letters_waiting"] == 0


def test_a_process_without_its_database_is_not_ready_and_names_it(settings: Settings) -> None:
    engine = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    app = webtest.TestApp(application(settings, sessions=SessionFactory(engine)))
    answer = app.get("/readyz", status=503)
    assert (answer.json["status"], answer.json["failing"]) == ("unready", ["database"])
    assert answer.json["database"]["error"] == "OperationalError"
    answer = app.get("/api/v1.1/servers", headers={"X-Auth-Token": "any"}, status=503)
    assert answer.json["serviceUnavailable"]["code"] == 503
    assert answer.headers["Retry-After"] == "10"


def test_metrics_are_for_this_machine_or_for_who_has_the_token(
    app: webtest.TestApp, settings: Settings, sessions: SessionFactory
) -> None:
    app.get("/metrics", extra_environ={"REMOTE_ADDR": "192.0.2.1"}, status=403)
    assert "cloudweb_operations" in app.get("/metrics", extra_environ={"REMOTE_ADDR": "127.0.0.1"})
    guarded = dataclasses.replace(settings, metrics_token=Secret("let-me-see"))
    app = webtest.TestApp(application(guarded, sessions=sessions))
    app.get("/metrics", extra_environ={"REMOTE_ADDR": "127.0.0.1"}, status=401)
    app.get("/metrics", headers={"Authorization": "Bearer let-me-see"}, status=200)


@pytest.mark.parametrize("given", ["abc-123", "", "x" * 51, "a b", "\xe9"])
def test_every_answer_has_a_request_id_and_a_good_one_is_kept(
    app: webtest.TestApp, given: str
) -> None:
    request = webob.Request.blank("/healthz", headers={"X-Request-Id": given})
    answered = request.get_response(app.app).headers["X-Request-Id"]
    assert (answered == given) is (given == "abc-123")
    assert answered


def test_every_view_names_who_may_use_it(app: webtest.TestApp) -> None:
    known = {permission.value for permission in Permission} | {NO_PERMISSION_REQUIRED, "closed"}
    introspector = app.app.registry.introspector
    for item in introspector.get_category("permissions"):
        assert str(item["introspectable"]["value"]) in known
    views = [v["introspectable"] for v in introspector.get_category("views")]
    closed = [
        view["derived_callable"]
        for view in views
        if view["exception_only"] is False and view.get("permission") == "closed"
    ]
    assert closed == []
