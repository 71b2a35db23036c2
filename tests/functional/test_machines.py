"""Pages for machines, and that nothing else answers strangers."""

import dataclasses

import pytest
import webob
import webtest
from pyramid.security import NO_PERMISSION_REQUIRED

from cloudweb.models import SessionFactory, make_engine
from cloudweb.security import Permission
from cloudweb.settings import Secret, Settings
from tests.applications import application


def test_a_living_process_says_so(app: webtest.TestApp) -> None:
    assert app.get("/healthz").json == {"status": "ok"}


def test_a_process_is_ready_when_its_database_answers(app: webtest.TestApp) -> None:
    assert app.get("/readyz").json["status"] == "ready"


def test_a_process_without_its_database_is_not_ready_and_names_it(settings: Settings) -> None:
    engine = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    app = webtest.TestApp(application(settings, sessions=SessionFactory(engine)))
    answer = app.get("/readyz", status=503)
    assert answer.json == {"status": "unready", "database": "OperationalError"}
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
