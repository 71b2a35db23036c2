"""The one flow of changes: preview, confirm, stale, twice; of pools, networks, flavors, VMs."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, pool_care, pools, servers
from cloudweb.models import (
    AuditEntry,
    Backend,
    CatalogueFlavor,
    Infrastructure,
    InstallResult,
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
    SentForm,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)

CLI = identity.system("cli")


@pytest.fixture
def pool(sessions: SessionFactory) -> Pool:
    """Ten bridges, of which prv1 is held."""
    with unit_of_work(sessions) as session:
        made = pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=10)
        pools.take(session, PoolKind.BRIDGE, holder_kind="network", holder_id=7)
    return made


@pytest.fixture
def uses(sessions: SessionFactory) -> Callable[[], dict[int, str]]:
    """How each value that is not free is used, by number."""

    def go() -> dict[int, str]:
        with unit_of_work(sessions, write=False) as session:
            values = session.scalars(sa.select(PoolValue).where(PoolValue.use != PoolUse.FREE))
            return {value.number: value.use.value for value in values}

    return go


def _form(page: webtest.TestResponse) -> webtest.Form:
    return next(form for form in page.forms.values() if "seen" in form.fields)


# --- pools --------------------------------------------------------------------------------------


def test_values_are_reserved_after_a_look_and_let_go_again(
    app: webtest.TestApp, sign_in: Callable, pool: Pool, uses: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/pools/{pool.id}/reserve?values=prv1-prv3,%20prv9")
    assert "3 of 4 will be done" in page
    assert "It is held by network 7" in page.html.main.text
    form = _form(page)
    form["reason"] = "for the lab"
    form.submit(status=303).follow(status=200)
    form.submit(status=303)
    assert uses() == {0: "held", 1: "reserved", 2: "reserved", 8: "reserved"}
    page = app.get(f"/admin/pools/{pool.id}/release?values=prv2")
    _form(page).submit(status=303)
    assert 1 not in uses()
    with unit_of_work(sessions, write=False) as session:
        acts = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [e.action for e in acts][-2:] == ["pool:reserve", "pool:release"]
    assert acts[-2].reason == "for the lab"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("", "Name the values"),
        ("prv99", "this pool is prv1\N{EN DASH}prv10"),
        ("prv5-prv2", "comes after"),
        ("=1+1", "No value matches"),
        ("prv1 " * 3000, ""),
    ],
)
def test_values_that_are_none_are_refused(
    values: str, sentence: str, app: webtest.TestApp, sign_in: Callable, pool: Pool, uses: Callable
) -> None:
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/pools/{pool.id}/reserve", {"values": values}, status="*")
    assert page.status_int in (200, 400)
    assert sentence in page.html.main.text
    assert uses() == {0: "held"}


def test_a_stale_preview_says_what_has_moved_and_does_nothing(
    app: webtest.TestApp, sign_in: Callable, pool: Pool, uses: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    form = _form(app.get(f"/admin/pools/{pool.id}/reserve?values=prv4"))
    with unit_of_work(sessions) as session:
        pool_care.reserve(session, CLI, session.get_one(Pool, pool.id), ["prv6"], reason="")
    page = form.submit(status=409)
    assert "it has changed since you opened this page" in page
    moved = [" ".join(each.parent.text.split()) for each in page.html.select(".moved")]
    assert moved == ["1 was 0", "8 was 9"]
    assert uses() == {0: "held", 5: "reserved"}
    _form(page).submit(status=303)
    assert 3 in uses()


def test_a_pool_grows_shrinks_and_goes_only_while_nobody_is_in_the_way(
    app: webtest.TestApp, sign_in: Callable, pool: Pool, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/pools/{pool.id}/resize?size=30")
    assert "20 values more" in page
    _form(page).submit(status=303)
    page = app.get(f"/admin/pools/{pool.id}/resize?size=5")
    assert "Only an administrator makes a pool smaller" in page
    sign_in(Role.ADMIN)
    form = _form(app.get(f"/admin/pools/{pool.id}/resize?size=5"))
    assert "Type: shrink to 5" in form.submit(status=400)
    form["phrase"], form["reason"] = "shrink to 5", "too many"
    form.submit(status=303)
    page = app.get(f"/admin/pools/{pool.id}/remove")
    assert "It is held by network 7" in page.html.main.text
    assert "free them first" in page.html.main.text
    with unit_of_work(sessions) as session:
        assert session.get_one(Pool, pool.id).size == 5
        pools.release_holder(session, "network", [7])
    form = _form(app.get(f"/admin/pools/{pool.id}/remove"))
    form["phrase"], form["reason"] = f"remove pool {pool.id}", "not used"
    form.submit(status=303).follow(status=200)
    app.get(f"/admin/pools/{pool.id}", status=404)


@pytest.mark.parametrize("size", ["0", "-1", "x", "99999999999", ""])
def test_sizes_that_are_none_are_refused(
    size: str, app: webtest.TestApp, sign_in: Callable, pool: Pool
) -> None:
    sign_in(Role.ADMIN)
    page = app.get(f"/admin/pools/{pool.id}/resize", {"size": size}, status=400)
    assert "1 to 65536" in page.html.find(id="resize-error").text
    assert page.html.find(id="resize")["value"] == size


def test_what_is_wrong_about_values_is_said_at_their_field(
    app: webtest.TestApp, sign_in: Callable, pool: Pool
) -> None:
    sign_in(Role.ADMIN)
    for verb in ("reserve", "release"):
        page = app.get(f"/admin/pools/{pool.id}/{verb}?values=prv9999", status=400)
        field = page.html.find(id=verb)
        assert field["value"] == "prv9999"
        assert field["aria-invalid"] == "true"
        assert f"{verb}-error" in field["aria-describedby"]
        assert "prv9999" in page.html.find(id=f"{verb}-error").text
        assert "Who holds" in page
    for way, size, words in (("extend", 2, "To extend it"), ("shrink", 60000, "To shrink it")):
        page = app.get(f"/admin/pools/{pool.id}/resize?to={way}&size={size}", status=400)
        assert words in page.html.find(id="resize-error").text


def test_a_form_is_sent_once_however_often_at_the_same_moment(
    app: webtest.TestApp, sign_in: Callable, pool: Pool, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    form = _form(app.get(f"/admin/pools/{pool.id}/reserve?values=prv4"))
    fields = form.submit_fields()
    statuses: list[int] = []

    def send() -> None:
        mine = webtest.TestApp(app.app, cookiejar=app.cookiejar)
        statuses.append(mine.post(form.action, fields, status="*").status_int)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [303] * 6
    with unit_of_work(sessions, write=False) as session:
        [_sent] = session.scalars(sa.select(SentForm)).all()
        entries = session.scalars(sa.select(AuditEntry.action)).all()
    assert entries.count("pool:reserve") == 1


def test_a_key_of_another_form_or_person_is_refused(
    app: webtest.TestApp, sign_in: Callable, pool: Pool, uses: Callable
) -> None:
    sign_in(Role.OPERATOR)
    form = _form(app.get(f"/admin/pools/{pool.id}/reserve?values=prv4"))
    form["key"].force_value("x")
    assert "too old" in form.submit(status=400)
    form = _form(app.get(f"/admin/pools/{pool.id}/reserve?values=prv4"))
    form.submit(status=303)
    sign_in(Role.ADMIN)
    other = _form(app.get(f"/admin/pools/{pool.id}/reserve?values=prv5"))
    other["key"].force_value(form["key"].value)
    other.submit(status=400)
    assert 4 not in uses()


# --- networks -----------------------------------------------------------------------------------


@pytest.fixture
def network(sessions: SessionFactory) -> Network:
    """A public network with a subnet."""
    with unit_of_work(sessions) as session:
        made = Network(
            name="net",
            kind=NetworkKind.IP_LESS_ROUTED,
            public=True,
            cidr="10.9.0.0/28",
            mode="routed",
            link="100",
        )
        session.add(made)
        session.flush()
        pools.create_addresses(session, made)
    return made


def test_a_network_is_drained_made_everywhere_and_removed(
    app: webtest.TestApp,
    sign_in: Callable,
    network: Network,
    make_backend: Callable,
    sessions: SessionFactory,
) -> None:
    make_backend(name="one.example.org")
    sign_in(Role.ADMIN)
    url = f"/admin/networks/{network.id}"
    assert "Drain it first" in app.get(f"{url}/remove")
    page = app.get(f"{url}/everywhere")
    assert "Made and connected on one.example.org" in page
    form = _form(page)
    page = form.submit(status=303).follow()
    assert "Being made" in page
    form.submit(status=303)
    _form(app.get(f"{url}/drain")).submit(status=303)
    assert "It is drained already" in app.get(f"{url}/drain")
    shown = app.get(f"{url}/remove")
    assert "No VM has a card on it." in shown
    form = _form(shown)
    form["phrase"], form["reason"] = f"remove network {network.id}", "not used"
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        opcodes = session.scalars(sa.select(Operation.opcode).order_by(Operation.id)).all()
    assert opcodes[0] == "OP_NETWORK_ADD"
    assert "OP_NETWORK_REMOVE" in opcodes


# --- flavors ------------------------------------------------------------------------------------


@pytest.fixture
def federation(sessions: SessionFactory) -> Infrastructure:
    """A promoted flavor that one of two regions has."""
    with unit_of_work(sessions) as session:
        regions = [Infrastructure(name=n, refreshed=utc_now()) for n in ("Athens", "Crete")]
        flavor = CatalogueFlavor(
            flavor_id="f-1", name="m1.small", vcpus=1, ram_mb=2048, disk_gb=20, promoted=True
        )
        session.add_all([flavor, *regions])
        session.flush()
        for name, ram in (("m1.small", 2048), ("m1.big", 8192)):
            session.add(
                RegionalFlavor(
                    infrastructure_id=regions[0].id,
                    flavor_id=f"r-{name}",
                    name=name,
                    vcpus=1,
                    ram_mb=ram,
                    disk_gb=20,
                )
            )
    return regions[0]


def test_a_flavor_is_installed_where_it_is_missing_with_a_result_each(
    app: webtest.TestApp, sign_in: Callable, federation: Infrastructure, sessions: SessionFactory
) -> None:
    sign_in(Role.FLAVOR_MANAGER)
    page = app.get("/admin/flavors").click("Install everywhere missing")
    assert "1 of 2 will be done" in page
    assert "It is there already" in page.html.main.text
    form = _form(page)
    page = form.submit(status=303).follow()
    assert "Crete" in page.html.main.text
    assert "Athens" not in page.html.main.text
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        assert len(session.scalars(sa.select(InstallResult)).all()) == 1


def test_a_regions_flavor_or_a_new_one_is_promoted_and_demoted(
    app: webtest.TestApp, sign_in: Callable, federation: Infrastructure, sessions: SessionFactory
) -> None:
    sign_in(Role.FLAVOR_MANAGER)
    page = app.get(f"/admin/regions/{federation.id}").click("Promote")
    page = _form(page).submit(status=303).follow()
    assert "m1.big" in page.html.main.text
    new = {"name": "m1.new", "vcpus": "2", "ram": "512", "disk": "0"}
    _form(app.get("/admin/flavors/promote", new)).submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        known = {f.name: f.flavor_id for f in session.scalars(sa.select(CatalogueFlavor))}
    assert set(known) == {"m1.small", "m1.big", "m1.new"}
    page = app.get("/admin/flavors/demote", {"flavor": known["m1.big"]})
    assert "Regions hold it: Athens" in page
    _form(app.get("/admin/flavors/demote", {"flavor": known["m1.new"]})).submit(status=303)
    app.get("/admin/flavors/demote", {"flavor": known["m1.new"]}, status=404)


@pytest.mark.parametrize(
    "changes", [{"name": ""}, {"vcpus": "0"}, {"ram": "x"}, {"disk": "-1"}, {"vcpus": "99999"}]
)
def test_a_flavor_that_cannot_be_is_refused(
    changes: dict[str, str], app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.ADMIN)
    new = {"name": "m1.new", "vcpus": "2", "ram": "512", "disk": "0"} | changes
    app.get("/admin/flavors/promote", new, status=400)


# --- many VMs -----------------------------------------------------------------------------------


@pytest.fixture
def made(make_server: Callable, make_user: Callable, make_backend: Callable) -> list[Any]:
    """Servers in different states of one owner."""
    owner, backend = make_user(email="ann@example.org"), make_backend()
    states = [OperState.STARTED, OperState.STOPPED, OperState.BUILD, OperState.STARTED]
    return [make_server(owner=owner, backend=backend, state=state) for state in states]


def _operations(sessions: SessionFactory) -> list[tuple[str, int]]:
    with unit_of_work(sessions, write=False) as session:
        found = session.scalars(sa.select(Operation).order_by(Operation.id)).all()
    return [(operation.opcode, operation.server_id) for operation in found]


def test_many_vms_are_shut_down_and_each_says_what_became_of_it(
    app: webtest.TestApp, sign_in: Callable, made: list[Any], sessions: SessionFactory
) -> None:
    sign_in(Role.HELPDESK)
    form = app.get("/admin/vms").forms["bulk"]
    assert "destroy" not in [button.attrs.get("value") for button in form.fields["verb"]]
    chosen = [("id", str(server.id)) for server in made]
    page = app.get("/admin/vms/bulk", [("verb", "shutdown"), *chosen])
    assert "2 of 4 will be done" in page
    assert "It is not running" in page.html.main.text
    assert "still being built" in page.html.main.text
    confirm = _form(page)
    page = confirm.submit(status=303).follow()
    results = [chip.text for chip in page.html.select("td[data-label=Result] .chip")]
    assert results == ["Waiting", "Skipped", "Skipped", "Waiting"]
    confirm.submit(status=303)
    assert _operations(sessions) == [
        ("OP_INSTANCE_SHUTDOWN", made[0].id),
        ("OP_INSTANCE_SHUTDOWN", made[3].id),
    ]


def test_all_that_match_are_chosen_by_the_lists_own_filters(
    app: webtest.TestApp, sign_in: Callable, made: list[Any], make_server: Callable
) -> None:
    make_server(state=OperState.STARTED)
    sign_in(Role.OPERATOR)
    query = {"verb": "reboot", "all": "yes", "filter": "owner=ann@example.org", "state": "ACTIVE"}
    assert "2 of 2 will be done" in app.get("/admin/vms/bulk", query)


def test_destroying_many_takes_an_administrator_and_their_number(
    app: webtest.TestApp, sign_in: Callable, made: list[Any], sessions: SessionFactory
) -> None:
    query = [("verb", "destroy"), *(("id", str(server.id)) for server in made[:2])]
    sign_in(Role.OPERATOR)
    app.get("/admin/vms/bulk", query, status=403)
    sign_in(Role.ADMIN)
    form = _form(app.get("/admin/vms/bulk", query))
    assert "Type: destroy 2 vms" in form.submit(status=400)
    form["phrase"], form["reason"] = "destroy 2 vms", "asked for by their owner"
    form.submit(status=303)
    assert [opcode for opcode, _id in _operations(sessions)] == ["OP_INSTANCE_REMOVE"] * 2


def test_of_many_those_that_moved_are_marked_with_what_they_were(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    made = [make_server(name=f"vm-{n}") for n in range(5)]
    query = "&".join(f"id={server.id}" for server in made)
    stale = _form(app.get(f"/admin/vms/bulk?verb=shutdown&{query}"))
    with unit_of_work(sessions) as session:
        servers.reboot(session, CLI, made[1].id, kind="SOFT")
        session.get_one(Server, made[2].id).state = OperState.STOPPED
        session.get_one(Server, made[3].id).name = "other"
    page = stale.submit(status=409)
    assert "what has moved is marked" in page
    told = {row["id"]: " ".join(row.text.split()) for row in page.html.select("tbody tr")}
    marked = {id_ for id_, words in told.items() if "It has changed." in words}
    assert marked == {f"item-{made[n].id}" for n in (1, 2, 3)}
    assert "Active, reboot" in told[f"item-{made[1].id}"]
    assert "It was Active." in told[f"item-{made[1].id}"]
    stopped = told[f"item-{made[2].id}"]
    assert "Stopped Skipped It is not running." in stopped
    assert "It was Active, to be done." in stopped
    assert "It was otherwise in what is not shown" not in told[f"item-{made[3].id}"]
    assert "It was called vm-3" in told[f"item-{made[3].id}"]
    with unit_of_work(sessions, write=False) as session:
        assert len(session.scalars(sa.select(Operation)).all()) == 1
    _form(page).submit(status=303)


def test_many_vms_of_which_one_has_moved_are_asked_for_again(
    app: webtest.TestApp, sign_in: Callable, made: list[Any], sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    form = _form(app.get(f"/admin/vms/bulk?verb=shutdown&id={made[0].id}&id={made[3].id}"))
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Backend).values(offline=True))
    page = form.submit(status=409)
    assert "Its cluster is offline" in page.html.main.text
    assert _operations(sessions) == []


@pytest.mark.parametrize("query", ["", "verb=burn&id=1", "verb=start&all=yes&x=y"])
def test_a_choice_that_is_none_is_refused(
    query: str, app: webtest.TestApp, sign_in: Callable, made: list[Any]
) -> None:
    sign_in(Role.ADMIN)
    app.get(f"/admin/vms/bulk?{query}", status=400)


# --- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        ("pools/{pool}/reserve", {Role.OPERATOR, Role.ADMIN}),
        ("pools/{pool}/release", {Role.OPERATOR, Role.ADMIN}),
        ("pools/{pool}/resize", {Role.OPERATOR, Role.ADMIN}),
        ("pools/{pool}/remove", {Role.ADMIN}),
        ("networks/{network}/drain", {Role.OPERATOR, Role.ADMIN}),
        ("networks/{network}/everywhere", {Role.OPERATOR, Role.ADMIN}),
        ("networks/{network}/remove", {Role.ADMIN}),
        ("flavors/promote", {Role.FLAVOR_MANAGER, Role.ADMIN}),
        ("flavors/install", {Role.FLAVOR_MANAGER, Role.ADMIN}),
        ("flavors/demote", {Role.FLAVOR_MANAGER, Role.ADMIN}),
        ("vms/bulk", {Role.HELPDESK, Role.OPERATOR, Role.ADMIN}),
    ],
)
def test_only_those_who_may_get_to_a_change(
    path: str,
    roles: set[Role],
    app: webtest.TestApp,
    sign_in: Callable,
    pool: Pool,
    network: Network,
) -> None:
    url = "/admin/" + path.format(pool=pool.id, network=network.id)
    for role in (Role.VIEWER, Role.HELPDESK, Role.OPERATOR, Role.FLAVOR_MANAGER, Role.ADMIN):
        sign_in(role)
        app.get("/admin/pools")
        assert (app.get(url, status="*").status_int == 403) is (role not in roles)
        token = app.cookies["csrf"]
        sent = app.post(url, {"csrf_token": token}, status="*")
        assert (sent.status_int == 403) is (role not in roles)
        if role in roles:
            app.post(url, {"csrf_token": "x" * 32}, status=400)


def test_a_pool_is_made_and_that_is_taken_back_while_nobody_has_a_value(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    form = _form(app.get("/admin/pools").click("New pool…"))
    form["kind"], form["base"], form["size"] = "mac-prefix", "zz", "16"
    assert "Nothing was done." in form.submit(status=400)
    form = _form(app.get("/admin/pools/new"))
    form["kind"], form["base"], form["size"] = "mac-prefix", "aa:00:0", "many"
    assert "as digits" in form.submit(status=400)
    form = _form(app.get("/admin/pools/new"))
    form["kind"], form["base"], form["size"] = "mac-prefix", "aa:00:0", "16"
    page = form.submit(status=303).follow()
    form = next(f for f in page.forms.values() if "/admin/undo/" in f.action)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(Pool.size)).all() == [16]
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(Pool.id)).all() == []


def test_what_cannot_be_done_to_a_network_now_is_there_with_the_reason(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    how = {"kind": NetworkKind.CUSTOM, "mode": "bridged", "link": "br0"}
    with unit_of_work(sessions) as session:
        private = Network(name="lan", public=False, **how)
        public = Network(name="wan", public=True, **how)
        session.add_all([private, public])
    sign_in(Role.ADMIN)
    for network, word, why in (
        (private, "Drain…", "Only public networks are drained"),
        (public, "Remove…", "Drain it first"),
    ):
        page = app.get(f"/admin/networks/{network.id}")
        button = page.html.find("button", string=word)
        assert button["aria-disabled"] == "true"
        assert why in page.html.find(id=button["aria-describedby"]).text
    page = app.get(f"/admin/networks/{private.id}")
    assert page.html.find("a", string="Remove…")
    assert "Drain it first" not in page
    sign_in(Role.OPERATOR)
    assert "Drain it first" not in app.get(f"/admin/networks/{public.id}")
