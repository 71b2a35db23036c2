"""Adding a backend, changing how it is reached, removing it."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import webtest

from cloudweb.domain import fleet
from cloudweb.domain.fleet import ClusterReport
from cloudweb.models import Backend, Role, SessionFactory, unit_of_work
from cloudweb.sealing import Sealer

Make = Callable[..., Any]


def backends(sessions: SessionFactory) -> list[Backend]:
    with unit_of_work(sessions, write=False) as session:
        return list(session.scalars(sa.select(Backend).order_by(Backend.id)))


def filled(app: webtest.TestApp, **values: str) -> Any:
    form = app.get("/admin/backends").click("Add backend…").forms["act"]
    defaults = {
        "name": "gnt.example.org",
        "url": "https://gnt.example.org:5080/",
        "username": "cloudweb",
        "password": "hunter2",
    }
    for name, value in (defaults | values).items():
        form[name] = value
    return form


def test_a_backend_is_added_drained_and_its_password_is_sealed(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, sealer: Sealer
) -> None:
    sign_in(Role.OPERATOR)
    page = filled(app).submit(status=303).follow()
    assert "Added, and drained." in page
    assert "Not heard yet" in page or "Drained" in page
    assert "hunter2" not in page
    [made] = backends(sessions)
    assert (made.name, made.url, made.drained) == (
        "gnt.example.org",
        "https://gnt.example.org:5080",
        True,
    )
    assert sealer.open(made.password_sealed) == "hunter2"
    refused = filled(app).submit(status=400)
    assert "Backend gnt.example.org exists." in refused
    assert "hunter2" not in refused


def test_an_address_or_fingerprint_that_cannot_be_is_said_beside_its_field(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    answer = filled(app, url="http://gnt.example.org:5080").submit(status=400)
    assert answer.html.find(id="url-error")
    answer = filled(app, fingerprint="12:34").submit(status=400)
    assert answer.html.find(id="fingerprint-error")
    assert "This is needed." in filled(app, password="").submit(status=400)
    assert backends(sessions) == []


def test_there_are_no_more_than_sixteen(
    app: webtest.TestApp, sign_in: Make, make_backend: Make
) -> None:
    for _ in range(16):
        make_backend()
    sign_in(Role.OPERATOR)
    assert "There can be no more than 16" in app.get("/admin/backends/new")


def test_the_first_answer_must_be_of_the_cluster_that_is_meant(
    sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend(name="gnt.example.org", refreshed=None)
    report = ClusterReport("other.example.org", "3.0", "kvm", (), 1, 1, 1, 1, 1, 1, 1, 1)
    with unit_of_work(sessions) as session:
        fleet.refresh(session, session.get_one(Backend, backend.id), report)
    [row] = backends(sessions)
    assert row.last_error == "The cluster that answers is other.example.org, not gnt.example.org."
    assert row.refreshed is None


def test_how_it_is_reached_is_changed_and_an_empty_password_keeps_the_one_it_has(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    sealer: Sealer,
) -> None:
    backend = make_backend(url="https://gnt.example.org:5080")
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/backends/{backend.id}").click("Change…").forms["act"]
    form["username"] = "other"
    assert "Changed." in form.submit(status=303).follow()
    [row] = backends(sessions)
    assert (row.username, sealer.open(row.password_sealed)) == ("other", "cloudweb")
    form = app.get(f"/admin/backends/{backend.id}/edit").forms["act"]
    form["password"] = "hunter2"
    with unit_of_work(sessions) as session:
        session.get_one(Backend, backend.id).username = "third"
    assert "it has changed since" in form.submit(status=409)
    form = app.get(f"/admin/backends/{backend.id}/edit").forms["act"]
    form["password"] = "hunter2"
    form.submit(status=303)
    assert sealer.open(backends(sessions)[0].password_sealed) == "hunter2"


def test_only_an_administrator_removes_a_backend_that_nothing_is_on(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_server: Make
) -> None:
    server = make_server()
    path = f"/admin/backends/{server.backend_id}/remove"
    sign_in(Role.OPERATOR)
    app.get(path, status=403)
    sign_in(Role.ADMIN)
    assert "In the way: 1 servers, it takes new servers." in app.get(path)
    with unit_of_work(sessions) as session:
        session.get_one(type(server), server.id).deleted = True
        session.get_one(Backend, server.backend_id).drained = True
    form = app.get(path).forms["act"]
    form["reason"] = "Sold."
    assert "Type: remove" in form.submit(status=400)
    form["phrase"] = f"remove {backends(sessions)[0].name}"
    form.submit(status=303)
    assert backends(sessions)[0].removed is not None
