"""What was done is undone within ten minutes, once, if nothing has moved since."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import pools, reverses
from cloudweb.models import (
    AuditEntry,
    Backend,
    CatalogueFlavor,
    Infrastructure,
    Network,
    NetworkKind,
    Operation,
    OperState,
    Pool,
    PoolKind,
    PoolUse,
    PoolValue,
    RegionalFlavor,
    Role,
    SavedView,
    Server,
    SessionFactory,
    Undo,
    User,
    UserState,
    unit_of_work,
    utc_now,
)
from cloudweb.security import Permission
from tests.functional.dashboard.audited import CLI


@pytest.fixture
def rows(sessions: SessionFactory) -> Callable[..., Any]:
    """Every row of a table."""

    def read(table: Any) -> Any:
        with unit_of_work(sessions, write=False) as session:
            return session.scalars(sa.select(table).order_by(table.id)).all()

    return read


def _form(page: Any, path: str = "") -> Any:
    """The form in the middle of a page that leads there."""
    forms = {id(form): form for form in page.forms.values()}.values()
    return next(form for form in forms if "key" in form.fields and path in form.action)


def _send(app: webtest.TestApp, page: str, path: str = "", **values: str) -> Any:
    form = _form(app.get(page), path)
    for name, value in values.items():
        form[name] = value
    return form.submit(status=303).follow()


def _undo(page: Any, **options: Any) -> Any:
    answer = _form(page, "/admin/undo/").submit(**options)
    return answer.follow() if answer.status_int == 303 else answer


def _actions(rows: Callable) -> list[str]:
    return [e.action for e in rows(AuditEntry) if e.door == "dashboard"]


# --- what holds for all -------------------------------------------------------------------------


def test_draining_is_undone_once_and_the_audit_says_of_what(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, rows: Callable
) -> None:
    backend = make_backend()
    make_backend()
    sign_in(Role.OPERATOR)
    page = _send(app, f"/admin/backends/{backend.id}/drain", reason="kernel")
    assert f"Drain {backend.name}" in page.html.main.text
    assert "It can be undone until" in page
    undone = _undo(page)
    assert undone.request.path == f"/admin/backends/{backend.id}"
    assert "Undone:" in undone
    assert not rows(Backend)[0].drained
    _undo(page)
    first, second = (e for e in rows(AuditEntry) if e.target_kind == "backend")
    assert (first.action, second.action) == ("backend:drain", "backend:undrain")
    assert second.details["undoes"] == first.id
    assert f"Undoes Drain {backend.name} (entry {first.id})" in second.reason
    assert f"entry {first.id}" in app.get(f"/admin/audit/{second.id}").html.main.text
    assert "/admin/undo/" not in str(undone.html.find_all("form"))


def test_nothing_is_undone_when_the_world_has_moved(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, rows: Callable
) -> None:
    backend = make_backend()
    make_backend()
    sign_in(Role.OPERATOR)
    page = _send(app, f"/admin/backends/{backend.id}/drain", reason="kernel")
    _send(app, f"/admin/backends/{backend.id}/offline", reason="moving house")
    refused = _undo(page, status=409)
    assert "Nothing was undone." in refused
    assert "has changed since" in refused
    assert rows(Backend)[0].drained
    assert _actions(rows)[-1] != "backend:undrain"


def test_after_ten_minutes_it_is_too_late(
    app: webtest.TestApp,
    sign_in: Callable,
    make_backend: Callable,
    rows: Callable,
    sessions: SessionFactory,
) -> None:
    backend = make_backend()
    make_backend()
    sign_in(Role.OPERATOR)
    page = _send(app, f"/admin/backends/{backend.id}/drain", reason="kernel")
    assert f"Drain {backend.name}" in app.get("/admin/").click("What you can undo")
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Undo).values(created=utc_now() - dt.timedelta(minutes=11)))
    assert "It is too late" in _undo(page, status=409)
    assert rows(Backend)[0].drained
    assert "It can be undone" not in app.get(page.request.path_qs)
    assert "Nothing." in app.get("/admin/undo").html.main.text


def test_nobody_undoes_for_another_nor_what_their_role_does_not_give(
    app: webtest.TestApp,
    sign_in: Callable,
    make_backend: Callable,
    rows: Callable,
    sessions: SessionFactory,
) -> None:
    backend = make_backend()
    make_backend()
    me = sign_in(Role.OPERATOR)
    page = _send(app, f"/admin/backends/{backend.id}/drain", reason="kernel")
    path = page.request.path_qs
    with unit_of_work(sessions) as session:
        session.get_one(User, me.user.id).role = Role.HELPDESK
    assert "Your role may not do this" in _undo(page, status=403)
    sign_in(Role.ADMIN)
    app.get(f"/admin/undo/{rows(Undo)[0].id}", status=404)
    assert "It can be undone" not in app.get(path)
    assert rows(Backend)[0].drained


def test_an_act_that_cannot_be_undone_offers_nothing(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server()
    sign_in(Role.ADMIN)
    page = _send(app, f"/admin/vms/{server.id}/shutdown")
    assert "undo=" not in page.request.path_qs
    assert rows(Undo) == []


def test_it_is_offered_beside_the_act_as_well(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server(state=OperState.STOPPED)
    sign_in(Role.OPERATOR)
    _send(app, f"/admin/vms/{server.id}", f"/{server.id}/start")
    [operation] = rows(Operation)
    entry = next(e for e in rows(AuditEntry) if e.action == "server:start")
    for page in ("/admin/undo", f"/admin/operations/{operation.id}", f"/admin/audit/{entry.id}"):
        assert "/admin/undo/" in _form(app.get(page), "/admin/undo/").action
    page = app.get("/admin/undo").click(f"Start {server.name}")
    assert "It is shut down." in page


def test_who_may_undo_is_who_may_do() -> None:
    known = {each.value for each in Permission}
    assert {reverse.permission for reverse in reverses.REVERSES.values()} <= known


# --- each of them -------------------------------------------------------------------------------


def test_a_start_is_undone_by_shutting_down_unless_something_else_was_asked(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    sign_in(Role.HELPDESK)
    one, other = (make_server(state=OperState.STOPPED) for _ in range(2))
    _undo(_send(app, f"/admin/vms/{one.id}", f"/{one.id}/start"))
    page = _send(app, f"/admin/vms/{other.id}", f"/{other.id}/start")
    with unit_of_work(app.app.registry["cloudweb.sessions"]) as session:
        session.execute(sa.update(type(other)).values(state=OperState.STARTED))
    _send(app, f"/admin/vms/{other.id}/reboot")
    _undo(page, status=409)
    assert [(o.server_id, o.opcode) for o in rows(Operation)] == [
        (one.id, "OP_INSTANCE_STARTUP"),
        (one.id, "OP_INSTANCE_SHUTDOWN"),
        (other.id, "OP_INSTANCE_STARTUP"),
        (other.id, "OP_INSTANCE_REBOOT"),
    ]


def test_many_are_started_and_all_shut_down_again_or_none(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    sign_in(Role.OPERATOR)
    ids = [make_server(state=OperState.STOPPED).id for _ in range(3)]
    query = "&".join(f"id={id_}" for id_ in ids)
    page = _send(app, f"/admin/vms/bulk?verb=start&{query}")
    _undo(page)
    asked = [(o.server_id, o.opcode.rpartition("_")[2]) for o in rows(Operation)]
    assert sorted(asked[3:]) == [(id_, "SHUTDOWN") for id_ in ids]


def test_suspending_is_undone_and_what_it_shut_down_started(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    sign_in(Role.HELPDESK)
    servers = [make_server(), make_server(state=OperState.STOPPED)]
    query = "&".join(f"id={server.id}" for server in servers)
    page = _send(app, f"/admin/vms/bulk?verb=suspend&{query}", reason="spam", mail=True)
    assert [s.suspended for s in rows(Server)] == [True, True]
    _undo(page)
    assert [s.suspended for s in rows(Server)] == [False, False]
    asked = [(o.server_id, o.opcode.rpartition("_")[2]) for o in rows(Operation)]
    assert asked == [(servers[0].id, "SHUTDOWN"), (servers[0].id, "STARTUP")]
    _send(app, f"/admin/vms/bulk?verb=suspend&{query}", reason="spam")
    url = f"/admin/vms/{servers[0].id}"
    _undo(_send(app, url, "/unsuspend"))
    assert [s.suspended for s in rows(Server)] == [True, True]


@pytest.mark.parametrize(
    ("verb", "values", "flag"),
    [
        ("undrain", {"drained": True}, "drained"),
        ("offline", {}, "offline"),
        ("online", {"offline": True}, "offline"),
    ],
)
def test_what_was_done_to_a_cluster_is_undone(
    verb: str,
    values: dict[str, bool],
    flag: str,
    app: webtest.TestApp,
    sign_in: Callable,
    make_backend: Callable,
    rows: Callable,
) -> None:
    backend = make_backend(**values)
    make_backend()
    before = getattr(rows(Backend)[0], flag)
    sign_in(Role.OPERATOR)
    page = _send(app, f"/admin/backends/{backend.id}/{verb}", reason="why not")
    assert getattr(rows(Backend)[0], flag) is not before
    _undo(page)
    assert getattr(rows(Backend)[0], flag) is before


def test_a_backend_that_was_added_is_removed_unless_it_was_put_to_use(
    app: webtest.TestApp, sign_in: Callable, rows: Callable
) -> None:
    sign_in(Role.OPERATOR)
    given = {"username": "cloudweb", "password": "hunter2"}

    def add(name: str) -> Any:
        url = f"https://{name}:5080"
        return _send(app, "/admin/backends/new", name=name, url=url, **given)

    undone = _undo(add("one.example.org"), status=303)
    assert "The page it led to" not in undone
    assert "Undone" in undone
    assert rows(Backend)[0].removed is not None
    page = add("two.example.org")
    _send(app, f"/admin/backends/{rows(Backend)[1].id}/undrain")
    _undo(page, status=409)
    assert rows(Backend)[1].removed is None


def test_what_was_done_to_a_network_is_undone(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory, rows: Callable
) -> None:
    how = {"kind": NetworkKind.IP_LESS_ROUTED, "mode": "routed", "link": "100"}
    with unit_of_work(sessions) as session:
        session.add(Network(name="net", public=True, cidr="10.9.0.0/28", **how))
    url = f"/admin/networks/{rows(Network)[0].id}"
    sign_in(Role.OPERATOR)
    _undo(_send(app, f"{url}/drain"))
    assert not rows(Network)[0].drained
    _send(app, f"{url}/drain")
    _undo(_send(app, f"{url}/undrain"))
    assert rows(Network)[0].drained


def test_what_was_done_to_a_pool_is_undone_while_nobody_has_taken_of_it(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory, rows: Callable
) -> None:
    with unit_of_work(sessions) as session:
        pool = pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=10)

    def reserved() -> list[int]:
        query = sa.select(PoolValue.number).where(PoolValue.use == PoolUse.RESERVED)
        with unit_of_work(sessions, write=False) as session:
            return list(session.scalars(query.order_by(PoolValue.number)))

    url = f"/admin/pools/{pool.id}"
    sign_in(Role.OPERATOR)
    _undo(_send(app, f"{url}/reserve?values=prv4-prv6"))
    assert reserved() == []
    _send(app, f"{url}/reserve?values=prv4-prv6")
    _undo(_send(app, f"{url}/release?values=prv5"))
    assert reserved() == [3, 4, 5]
    _undo(_send(app, f"{url}/resize?size=30"))
    assert rows(Pool)[0].size == 10
    page = _send(app, f"{url}/resize?size=30")
    with unit_of_work(sessions) as session:
        late = (PoolValue.number == 20,)
        taken = {"use": PoolUse.HELD, "holder_kind": "network", "holder_id": 1}
        session.execute(sa.update(PoolValue).where(*late).values(**taken))
    _undo(page, status=409)
    assert rows(Pool)[0].size == 30


@pytest.mark.parametrize(
    ("act", "state", "after"),
    [
        ("activate", UserState.PENDING, UserState.ACTIVE),
        ("activate", UserState.REJECTED, UserState.ACTIVE),
        ("reject", UserState.PENDING, UserState.REJECTED),
        ("deactivate", UserState.ACTIVE, UserState.DEACTIVATED),
        ("verify", UserState.UNVERIFIED, UserState.PENDING),
    ],
)
def test_what_was_done_to_a_user_is_undone(
    act: str,
    state: UserState,
    after: UserState,
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    sessions: SessionFactory,
) -> None:
    user_id = make_user().user.id
    with unit_of_work(sessions) as session:
        user = session.get_one(User, user_id)
        user.state = state
        user.verified = None if act == "verify" else utc_now()
    sign_in(Role.ADMIN)
    url = f"/admin/users/{user_id}"
    at_once = act in ("activate", "verify")
    given = {} if at_once else {"reason": "why not"}
    page = _send(app, url if at_once else f"{url}/{act}", f"/{act}", **given)
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(User, user_id).state is after
    assert "Mails that were sent stay sent" in app.get(f"/admin/undo/{_number(page)}")
    _undo(page)
    with unit_of_work(sessions, write=False) as session:
        user = session.get_one(User, user_id)
    assert user.state is state
    assert (user.verified is None) == (act == "verify")


def _number(page: Any) -> str:
    return str(page.request.GET["undo"])


def test_what_was_done_to_the_catalogue_is_undone(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory, rows: Callable
) -> None:
    sizes = {"vcpus": 1, "ram_mb": 2048, "disk_gb": 20}
    with unit_of_work(sessions) as session:
        region = Infrastructure(name="Crete", refreshed=utc_now())
        session.add(region)
        session.add(CatalogueFlavor(flavor_id="f-1", name="m1.small", promoted=True, **sizes))
        session.add(CatalogueFlavor(flavor_id="f-2", name="m1.known", **sizes))
        session.flush()
        there = {"infrastructure_id": region.id, **sizes}
        session.add(RegionalFlavor(flavor_id="r-1", name="m1.there", **there))
        session.add(RegionalFlavor(flavor_id="f-2", name="m1.known", **there))
    sign_in(Role.FLAVOR_MANAGER)

    def known() -> dict[str, bool]:
        return {each.name: each.promoted for each in rows(CatalogueFlavor)}

    before = known()
    for query in (
        "name=m1.new&vcpus=2&ram=512&disk=0",
        "region=Crete&id=r-1",
        "region=Crete&id=f-2",
    ):
        page = _send(app, f"/admin/flavors/promote?{query}")
        assert known() != before
        _undo(page)
        assert known() == before
    page = _send(app, "/admin/flavors/demote?flavor=f-1")
    assert "m1.small" not in known()
    _undo(page)
    assert known() == before
    [again] = [each for each in rows(CatalogueFlavor) if each.name == "m1.small"]
    assert (again.flavor_id, again.vcpus, again.ram_mb, again.disk_gb) == ("f-1", 1, 2048, 20)


def test_a_view_that_was_removed_is_there_again(
    app: webtest.TestApp, sign_in: Callable, rows: Callable
) -> None:
    sign_in(Role.VIEWER)
    _send(app, "/admin/views/new?list=vms&query=q%3Dweb", name="Web")
    page = _send(app, f"/admin/views/{rows(SavedView)[0].id}/remove")
    assert rows(SavedView) == []
    _undo(page)
    assert [(v.name, v.query, v.listing) for v in rows(SavedView)] == [("Web", "q=web", "vms")]
