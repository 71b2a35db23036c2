"""Adopting a cluster from the dashboard: asked, shown, confirmed, and done by the worker."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.backend.adopting import Adopting
from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.domain import adoption_orders
from cloudweb.models import (
    Adoption,
    AdoptionState,
    AuditEntry,
    Backend,
    Role,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from tests.functional.processes import wait_for

Make = Callable[..., Any]


@pytest.fixture
def client() -> Iterator[RapiClient]:
    """A cluster with two instances that nobody here has heard of, and one named like ours."""
    with (
        Simulator(["alpha"], port=0, time_factor=0.01) as simulator,
        RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client,
    ):
        for name in ("web1.<b>", "db1.example.org", "snf-9"):
            add(client, name)
        yield client


def add(client: RapiClient, name: str, **changes: Any) -> None:
    values: dict[str, Any] = {"vcpus": 1, "ram_mb": 256, "disk_gb": 1, "disk_template": "file"}
    body = create_body(
        name=name, os="noop", osparams={}, nics=[{"mode": "bridged", "link": "br0"}],
        **(values | changes),
    )  # fmt: skip
    job = client.create_instance(body, "by hand")
    wait_for(lambda: client.job(job).status == "success")


def remove(client: RapiClient, name: str) -> None:
    job = client.delete_instance(name, "by hand")
    wait_for(lambda: client.job(job).status == "success")


@pytest.fixture
def alpha(client: RapiClient, make_backend: Make) -> Backend:
    backend: Backend = make_backend(name="alpha.ganeti.test", url=client.url)
    return backend


@pytest.fixture
def work(alpha: Backend, client: RapiClient, sessions: SessionFactory) -> Callable[[], None]:
    """What the worker does when it next looks at the cluster."""
    return lambda: Adopting(alpha.id, sessions, "snf-").run(client)


def ask(app: webtest.TestApp, backend: Backend, **fields: str) -> Any:
    """Fill in the form; what came back."""
    form = app.get(f"/admin/backends/{backend.id}").click("Adopt instances").forms["act"]
    for name, value in fields.items():
        form[name] = value
    return form.submit(expect_errors=True)


def confirmation(page: webtest.TestResponse) -> webtest.Form:
    """The form that has done what an adoption's page shows."""
    return page.click("Adopt .* instance").forms["act"]


def set_taken(sessions: SessionFactory, taken: dt.datetime) -> dt.datetime:
    """Say that the cluster was asked then; when it was said to be before."""
    with unit_of_work(sessions) as session:
        order = session.scalars(sa.select(Adoption)).one()
        before, order.taken = order.taken, taken
        assert before is not None
        return before


def instances(sessions: SessionFactory) -> dict[str, int]:
    with unit_of_work(sessions, write=False) as session:
        rows = session.execute(sa.select(Server.instance_name, Server.user_id))
        return {row[0]: row[1] for row in rows}


def test_an_operator_is_shown_what_would_follow_and_confirms_it(
    app: webtest.TestApp,
    sign_in: Make,
    make_user: Make,
    alpha: Backend,
    work: Callable[[], None],
    sessions: SessionFactory,
    client: RapiClient,
) -> None:
    operator = sign_in(Role.OPERATOR)
    webs, rest = make_user().user, make_user().user
    jobs = len(client.jobs_bulk())

    page = ask(app, alpha, owner=rest.email, rules=f"web* {webs.email}").follow()
    assert "is being asked what it has" in page
    work()
    page = app.get(page.request.path)
    assert "<b>2</b> would be adopted, <b>0</b> ours already, <b>1</b> refused" in page
    assert "web1.&lt;b&gt;" in page
    assert "reconcile servers" in page
    assert instances(sessions) == {}

    form = confirmation(page)
    assert "Say why" in form.submit(status=400)
    form["reason"] = "Moving in."
    page = form.submit(status=303).follow()
    assert "<b>1</b> of <b>3</b> are done" in page
    work()
    page = app.get(page.request.path)
    assert "<b>2</b> adopted, <b>0</b> ours already, <b>1</b> refused" in page
    assert instances(sessions) == {"web1.<b>": webs.id, "db1.example.org": rest.id}
    assert len(client.jobs_bulk()) == jobs
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        entry = session.scalars(
            sa.select(AuditEntry).where(AuditEntry.action == "server:import").limit(1)
        ).one()
    assert (entry.actor, entry.reason) == (operator.user.email, "Moving in.")

    page = ask(app, alpha, owner=rest.email).follow()
    work()
    assert "<b>0</b> would be adopted, <b>2</b> ours already" in app.get(page.request.path)


def test_what_has_changed_since_it_was_shown_is_left_as_it_is(
    app: webtest.TestApp,
    sign_in: Make,
    make_user: Make,
    alpha: Backend,
    work: Callable[[], None],
    sessions: SessionFactory,
    client: RapiClient,
) -> None:
    sign_in(Role.ADMIN)
    add(client, "third.example.org")
    page = ask(app, alpha, owner=make_user().user.email).follow()
    work()
    form = confirmation(app.get(page.request.path))
    form["reason"] = "Moving in."
    form.submit(status=303)
    remove(client, "web1.<b>")
    remove(client, "db1.example.org")
    add(client, "db1.example.org", vcpus=4)
    add(client, "new.example.org")
    work()
    page = app.get(page.request.path)
    assert "it is gone" in page
    assert "it has changed since it was shown" in page
    assert list(instances(sessions)) == ["third.example.org"]


def test_an_adoption_that_was_interrupted_goes_on_where_it_was(
    app: webtest.TestApp,
    sign_in: Make,
    make_user: Make,
    alpha: Backend,
    work: Callable[[], None],
    sessions: SessionFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(Role.OPERATOR)
    page = ask(app, alpha, owner=make_user().user.email).follow()
    work()
    form = confirmation(app.get(page.request.path))
    form["reason"] = "Moving in."
    form.submit(status=303)
    monkeypatch.setattr("cloudweb.domain.adoption._LEAST", 1)
    settle, calls = adoption_orders.settle, iter(range(9))

    def dies(*arguments: Any) -> None:
        if next(calls) == 1:
            raise OSError("The worker is gone.")
        settle(*arguments)

    monkeypatch.setattr("cloudweb.domain.adoption_orders.settle", dies)
    with pytest.raises(OSError, match="gone"):
        work()
    assert "<b>2</b> of <b>3</b> are done" in app.get(page.request.path)
    assert len(instances(sessions)) == 1
    work()
    assert "<b>2</b> adopted" in app.get(page.request.path)
    assert len(instances(sessions)) == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Say whose they are."),
        ({"owner": "nobody@example.org"}, "Nobody here has this address."),
        ({"rules": "web* nobody@example.org"}, "Nobody here has the address nobody@example.org."),
        ({"rules": "web*"}, "Line 1 is not a pattern and an address."),
    ],
)
def test_owners_that_are_none_are_refused(
    app: webtest.TestApp,
    sign_in: Make,
    make_backend: Make,
    sessions: SessionFactory,
    fields: dict[str, str],
    sentence: str,
) -> None:
    sign_in(Role.OPERATOR)
    page = ask(app, make_backend(), **fields)
    assert page.status_int == 400
    assert sentence in page
    with unit_of_work(sessions, write=False) as session:
        assert session.query(Adoption).count() == 0


def test_a_cluster_that_does_not_answer_ends_the_asking_and_not_the_adopting(
    app: webtest.TestApp,
    sign_in: Make,
    make_user: Make,
    alpha: Backend,
    work: Callable[[], None],
    sessions: SessionFactory,
) -> None:
    sign_in(Role.OPERATOR)
    owner = make_user().user.email
    away = Adopting(alpha.id, sessions, "snf-")
    page = ask(app, alpha, owner=owner).follow()
    away.note_failed("Connection refused")
    assert "The cluster did not answer: Connection refused" in app.get(page.request.path)

    page = ask(app, alpha, owner=owner).follow()
    work()
    form = confirmation(app.get(page.request.path))
    form["reason"] = "Moving in."
    form.submit(status=303)
    away.note_failed("Connection refused")
    assert "it is gone on with when it does" in app.get(page.request.path)
    work()
    with unit_of_work(sessions, write=False) as session:
        newest = adoption_orders.list_newest(session, alpha.id)
    assert [order.state for order in newest] == [AdoptionState.DONE, AdoptionState.FAILED]


def test_only_operators_adopt_and_nothing_is_contacted_offline(
    app: webtest.TestApp, sign_in: Make, make_backend: Make, make_user: Make
) -> None:
    backend, offline = make_backend(), make_backend(offline=True)
    sign_in(Role.HELPDESK)
    assert "Adopt instances" not in app.get(f"/admin/backends/{backend.id}")
    app.get(f"/admin/backends/{backend.id}/adopt", status=403)
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{offline.id}/adopt")
    assert "is offline" in page
    assert "act" not in page.forms
    app.get("/admin/adoptions/77", status=404)
    app.get("/admin/adoptions/77/confirm", status=404)


def test_what_was_shown_too_long_ago_or_has_been_answered_is_not_confirmed(
    app: webtest.TestApp,
    sign_in: Make,
    make_user: Make,
    alpha: Backend,
    work: Callable[[], None],
    sessions: SessionFactory,
) -> None:
    sign_in(Role.OPERATOR)
    page = ask(app, alpha, owner=make_user().user.email).follow()
    work()
    late = confirmation(app.get(page.request.path))
    taken = set_taken(sessions, utc_now() - adoption_orders.GOOD_FOR)
    late["reason"] = "Moving in."
    moved = late.submit(status=409)
    assert "was asked too long ago" in moved
    assert instances(sessions) == {}
    set_taken(sessions, taken)
    second = confirmation(app.get(page.request.path))
    second["reason"] = "Moving in."
    there = second.submit(status=303).location
    assert second.submit(status=303).location == there, "pressed twice"
    other = app.get(f"{page.request.path}/confirm")
    assert "not waiting for an answer" in other
    late.submit(status=409)


def test_a_page_of_rules_comes_back_with_what_was_wrong_in_it(
    app: webtest.TestApp, sign_in: Make, make_backend: Make, make_user: Make
) -> None:
    sign_in(Role.OPERATOR)
    lines = "\r\n".join(f"web{n}* {make_user().user.email}" for n in range(60)) + "\r\nweb"
    page = ask(app, make_backend(), rules=lines)
    assert page.status_int == 400
    assert "Line 61 is not" in page
    given = page.forms["act"]["rules"].value
    assert given.split() == lines.split()
    assert "At most 20,000 characters" in ask(app, make_backend(), rules="x" * 20_001)
