"""Adding a backend, changing how it is reached, removing it."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import fleet, identity, placement, servers
from cloudweb.domain.fleet import ClusterReport
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer

Make = Callable[..., Any]
CLI = identity.system("cli")


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
    assert (
        "Plain http is only for clusters on this machine." in answer.html.find(id="url-error").text
    )
    answer = filled(app, url="gnt.example.org").submit(status=400)
    assert "A cluster's address is a URL with https" in answer.html.find(id="url-error").text
    answer = filled(app, fingerprint="12:34").submit(status=400)
    assert answer.html.find(id="fingerprint-error")
    assert "This is needed." in filled(app, password="").submit(status=400)
    assert backends(sessions) == []


@pytest.mark.parametrize("act", ["added", "changed"])
def test_how_the_first_try_of_the_connection_went_shows_by_itself(
    act: str, app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    sign_in(Role.OPERATOR)
    if act == "added":
        page = filled(app).submit(status=303).follow()
    else:
        backend = make_backend(
            name="gnt.example.org", unreachable_since=utc_now(), last_error="Of before."
        )
        form = app.get(f"/admin/backends/{backend.id}/edit").forms["act"]
        form["url"] = "https://gnt.example.org:5080"
        page = form.submit(status=303).follow()
        assert "Of before." not in page
    assert "The worker tries the connection within seconds" in page
    assert "every 3s" in page
    [made] = backends(sessions)
    again = page.request.path_qs
    with unit_of_work(sessions) as session:
        why = "What answers at its address does not speak TLS: WRONG"
        fleet.note_unreachable(session.get_one(Backend, made.id), why)
    page = app.get(again, headers={"HX-Request": "true"})
    assert "The connection was tried and does not work." in page
    assert page.text.count("does not speak TLS") == 1
    page.click("Change how it is reached")
    report = ClusterReport(made.name, "3.0.2", "kvm", ("drbd", "plain"), 9, 9, 9, 9, 9, 0, 3, 2)
    with unit_of_work(sessions) as session:
        fleet.refresh(session, session.get_one(Backend, made.id), report)
    page = app.get(again, headers={"HX-Request": "true"})
    assert "The connection works:" in page
    assert "Ganeti 3.0.2 with kvm, 2 of 3 nodes up, disk templates drbd, plain." in page
    assert ("public networks" in page) is (act == "added")


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
    page = app.get(path)
    assert "In the way: 1 server, it is not drained." in page
    links = {link.text: link["href"] for link in page.html.select("main section li a")}
    assert list(links) == ["1 server", "It is not drained"]
    assert str(server.id) in app.get(links["1 server"])
    app.get(links["It is not drained"], status=200)
    page = app.get(f"/admin/backends/{server.backend_id}")
    button = page.html.find("button", string="Remove…")
    assert button["aria-disabled"] == "true"
    assert "In the way: 1 server" in page.html.find(id=button["aria-describedby"]).text
    with unit_of_work(sessions) as session:
        session.get_one(type(server), server.id).deleted = True
        session.get_one(Backend, server.backend_id).drained = True
    form = app.get(path).forms["act"]
    form["reason"] = "Sold."
    assert "Type: remove" in form.submit(status=400)
    form["phrase"] = f"remove {backends(sessions)[0].name}"
    form.submit(status=303)
    assert backends(sessions)[0].removed is not None


def test_one_that_is_offline_is_drained_before_it_is_removed_and_leaves_its_networks(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend(offline=True)
    made = {"state": NetworkState.ACTIVE, "updated": utc_now(), "backend_id": backend.id}
    with unit_of_work(sessions) as session:
        how = {"kind": NetworkKind.CUSTOM, "mode": "bridged", "link": "br0"}
        network = Network(name="office", public=True, cidr="10.9.0.0/28", **how)
        session.add(network)
        session.flush()
        session.add(BackendNetwork(network_id=network.id, name="snf-net-9", **made))
    sign_in(Role.ADMIN)
    path = f"/admin/backends/{backend.id}/remove"
    assert "In the way: it is not drained." in app.get(path)
    with unit_of_work(sessions) as session:
        session.get_one(Backend, backend.id).drained = True
    page = app.get(path)
    assert page.html.find("a", string="snf-net-9")["href"] == f"/admin/networks/{network.id}"
    assert "1 network of ours stays there" in page
    form = page.forms["act"]
    form["reason"], form["phrase"] = "Sold.", f"remove {backend.name}"
    form.submit(status=303)
    assert backends(sessions)[0].removed is not None
    with unit_of_work(sessions, write=False) as session:
        assert session.query(BackendNetwork).count() == 0
        assert not session.get_one(Network, network.id).deleted


def test_all_that_is_in_the_way_is_counted_and_leads_there(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_server: Make,
    make_user: Make,
) -> None:
    server, pinned = make_server(), make_user()
    with unit_of_work(sessions) as session:
        backend = session.get_one(Backend, server.backend_id)
        placement.pin(session, CLI, pinned.user, backend)
        for _ in range(2):
            how = {"kind": NetworkKind.CUSTOM, "mode": "bridged", "link": "br0"}
            session.add(Network(name="lab", public=False, backend_id=backend.id, **how))
        servers.shutdown(session, CLI, server.id)
        backend.drained = True
    sign_in(Role.ADMIN)
    page = app.get(f"/admin/backends/{server.backend_id}/remove")
    words = ["1 server", "1 open operation", "2 networks for it alone", "1 pinned user"]
    assert f"In the way: {', '.join(words)}." in page
    links = {link.text: link["href"] for link in page.html.select("main section li a")}
    assert list(links) == words
    for href in links.values():
        app.get(href, status=200)
    assert "Shut down" in app.get(links["1 open operation"])
    assert pinned.user.email in app.get(links["1 pinned user"])
    networks = app.get(links["2 networks for it alone"])
    assert networks.html.main.text.count("lab") >= 2
