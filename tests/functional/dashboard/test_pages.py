"""Every page: what it says, in how many statements, and to whom."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.domain import identity, pools
from cloudweb.models import (
    Operation,
    OperationState,
    OperState,
    PoolKind,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

MOST_STATEMENTS = 12


@pytest.fixture
def make_operation(sessions: SessionFactory) -> Callable[..., Operation]:
    """Makes an operation on a server."""

    def make(server: Any, **values: Any) -> Operation:
        defaults = {
            "key": f"{utc_now().timestamp()}",
            "backend_id": server.backend_id,
            "server_id": server.id,
            "opcode": "OP_INSTANCE_REBOOT",
            "target": server.instance_name,
        }
        with unit_of_work(sessions) as session:
            operation = Operation(**(defaults | values))
            session.add(operation)
        return operation

    return make


@pytest.fixture
def world(make_server: Callable, make_operation: Callable) -> Any:
    """A server with metadata and one operation."""
    server = make_server(name="web <1>", metadata={"role": "web"})
    server.operation = make_operation(server)
    return server


PAGES = [
    "/admin/",
    "/admin/vms",
    "/admin/vms?q=web&state=STARTED&backend=b{b}&owner=x@example.org&per_page=25",
    "/admin/vms/{s}",
    "/admin/vms/{s}/shutdown",
    "/admin/vms/{s}/reboot",
    "/admin/vms/{s}/destroy",
    "/admin/backends",
    "/admin/backends/{b}",
    "/admin/backends/{b}/drain",
    "/admin/backends/{b}/undrain",
    "/admin/operations",
    "/admin/operations?state=pending",
    "/admin/operations/{o}",
]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_needs_few_statements_and_has_its_headers(
    page: str,
    app: webtest.TestApp,
    sign_in: Callable,
    world: Any,
    make_server: Callable,
    count_statements: Callable,
) -> None:
    for _ in range(5):
        make_server()
    sign_in(Role.ADMIN)
    url = page.format(b=world.backend_id, s=world.id, o=world.operation.id)
    with count_statements() as counter:
        response = app.get(url, status=200)
    assert len(counter) <= MOST_STATEMENTS, counter.statements
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"
    assert "<script>" not in response.text
    assert " style=" not in response.text


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_shown_where_to_sign_in(page: str, app: webtest.TestApp, world: Any) -> None:
    url = page.format(b=world.backend_id, s=world.id, o=world.operation.id)
    response = app.get(url, status=303)
    assert response.location.startswith("http://localhost/admin/login?next=%2Fadmin%2F")


def test_a_part_that_refreshes_stops_with_a_fragment_when_signed_out(app: webtest.TestApp) -> None:
    response = app.get("/admin/vms", headers={"HX-Request": "true"}, status=401)
    assert "<html" not in response.text
    assert "/admin/login?next=%2Fadmin%2Fvms" in response.text


def test_nothing_needs_an_operator_when_all_is_well(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, make_flavor: Callable
) -> None:
    make_backend()
    make_flavor(disk_gb=10)
    sign_in(Role.VIEWER)
    assert "Nothing needs you" in app.get("/admin/")


def test_what_needs_an_operator_comes_worst_first(
    app: webtest.TestApp,
    sign_in: Callable,
    make_backend: Callable,
    make_flavor: Callable,
    make_server: Callable,
    make_operation: Callable,
) -> None:
    now = utc_now()
    flavor = make_flavor(disk_gb=10)
    make_backend(name="dead.example.org", unreachable_since=now, last_error="Connection refused")
    full = make_backend(name="full.example.org", memory_free_mb=0, verify_tls=False)
    make_backend(name="old.example.org", refreshed=now - dt.timedelta(hours=2))
    server = make_server(backend=full, flavor=flavor, state=OperState.ERROR)
    make_operation(server, state=OperationState.ERROR, finished=now)
    make_operation(server, created=now - dt.timedelta(minutes=6))
    sign_in(Role.VIEWER)
    page = app.get("/admin/")
    order = [
        "Connection refused",
        "1 operation</a> failed",
        "its figures are old",
        "1 operation</a> waits",
        "1 VM</a> in error",
        "without checking its certificate",
        "has no room for any flavor",
    ]
    for text in order:
        assert text in page.text, text
    assert max(map(page.text.index, order[:2])) < min(map(page.text.index, order[2:]))


def test_a_pool_that_runs_out_needs_somebody_before_it_is_used_up(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    cli = identity.system("cli")

    def take(number: int) -> None:
        with unit_of_work(sessions) as session:
            for n in range(number):
                pools.take(session, PoolKind.BRIDGE, holder_kind="network", holder_id=n + 1)

    sign_in(Role.VIEWER)
    with unit_of_work(sessions) as session:
        pools.create(session, cli, kind=PoolKind.BRIDGE, base="prv", size=20)
    take(16)
    assert "in use" not in app.get("/admin/")
    take(2)
    page = app.get("/admin/")
    assert "is 90 % in use" in page
    assert "2 values left" in page
    assert "prv1" in page.click("See pool")
    take(2)
    assert "is used up" in app.get("/admin/")


def test_without_any_backend_the_first_step_is_named(
    app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.VIEWER)
    assert "an operator adds the first" in app.get("/admin/")
    assert "There is no VM yet" in app.get("/admin/vms")
    assert "Nothing was asked" in app.get("/admin/operations")


def test_names_are_shown_as_text(app: webtest.TestApp, sign_in: Callable, world: Any) -> None:
    sign_in()
    assert "web &lt;1&gt;" in app.get("/admin/vms").text
    assert "<1>" not in app.get(f"/admin/vms/{world.id}").text


def test_a_list_says_n_of_all_and_pages_by_key(
    app: webtest.TestApp,
    sign_in: Callable,
    make_server: Callable,
    make_backend: Callable,
    make_user: Callable,
    make_flavor: Callable,
) -> None:
    common = {"owner": make_user(), "backend": make_backend(), "flavor": make_flavor()}
    for n in range(30):
        make_server(**common, name=f"vm {n:02}")
    sign_in()
    page = app.get("/admin/vms?per_page=25")
    assert "<b>25</b> of <b>30</b> VMs" in page
    assert "vm 24" in page
    assert "vm 25" not in page
    page = page.click("Next page")
    assert "after=" in page.request.url
    assert "<b>5</b> of <b>30</b>" in page
    assert "vm 29" in page
    assert "vm 00" in page.click("First page")


def test_each_filter_is_a_chip_that_removes_it(
    app: webtest.TestApp, sign_in: Callable, world: Any, make_server: Callable
) -> None:
    make_server(name="other", state=OperState.STOPPED)
    sign_in()
    page = app.get("/admin/vms?q=web&state=STARTED&per_page=33")
    assert "<b>1</b> of <b>1</b> VM" in page
    assert "State: Active" in page
    page = page.click("Contains: web")
    assert "q=" not in page.request.url
    assert "state=ACTIVE" in page.request.url
    assert "No VM matches" in app.get("/admin/vms?q=nowhere")


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=-1", "after=99999999999999999999", "q=%00", "per_page=0"],
)
def test_a_query_that_means_nothing_changes_nothing(
    query: str, app: webtest.TestApp, sign_in: Callable, world: Any
) -> None:
    sign_in()
    assert "web &lt;1&gt;" in app.get(f"/admin/vms?{query}")


@pytest.mark.parametrize(
    "path",
    ["vms/0", "vms/999999999999999999", "backends/77", "operations/77", "nothing", "vms/1e3"],
)
def test_what_is_not_there_is_a_page_of_its_own(
    path: str, app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in()
    page = app.get(f"/admin/{path}", status=404)
    assert "There is no such page" in page
    assert "default-src" in page.headers["Content-Security-Policy"]


def test_an_operation_on_a_network_has_pages_like_any_other(
    app: webtest.TestApp, sign_in: Callable, world: Any, make_operation: Callable
) -> None:
    operation = make_operation(world, server_id=None, opcode="OP_NETWORK_ADD", target="snf-net-1")
    sign_in(Role.VIEWER)
    assert "Make network" in app.get("/admin/operations")
    page = app.get(f"/admin/operations/{operation.id}")
    assert "snf-net-1" in page
    assert "/admin/vms/" not in page.html.find("dl").decode()


def test_a_failed_operation_is_explained_and_quoted(
    app: webtest.TestApp, sign_in: Callable, world: Any, make_operation: Callable
) -> None:
    operation = make_operation(
        world,
        state=OperationState.ERROR,
        error_class="insufficient_resources",
        error="Can't compute nodes <hail>",
        job_id=4711,
    )
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/operations/{operation.id}")
    assert "no room for it" in page
    assert "compute nodes &lt;hail&gt;" in page.text
    assert "4711" in page


def test_a_part_that_has_not_changed_is_not_sent_again(
    app: webtest.TestApp, sign_in: Callable, world: Any, make_operation: Callable
) -> None:
    sign_in()
    for path in ("/admin/", "/admin/vms", f"/admin/vms/{world.id}", "/admin/operations"):
        asks = {"HX-Request": "true"}
        first = app.get(path, headers=asks, status=200)
        assert "<html" not in first.text
        assert 'hx-trigger="every 3s"' in first.text
        asks["HX-PTag"] = first.headers["HX-PTag"]
        assert app.get(path, headers=asks, status=304).body == b""
    make_operation(world, opcode="OP_INSTANCE_SHUTDOWN")
    assert "Shut down" in app.get("/admin/operations", headers=asks, status=200)


def test_a_list_that_refreshes_itself_says_how_many_rows_are_new_and_waits(
    app: webtest.TestApp, sign_in: Callable, world: Any, make_operation: Callable
) -> None:
    sign_in()
    make_operation(world, opcode="OP_INSTANCE_REBOOT")
    asks = {"HX-Request": "true"}
    polled = _polled(app.get("/admin/operations?open=yes"))
    assert "upto=" in polled
    new = make_operation(world, opcode="OP_INSTANCE_SHUTDOWN")
    part = app.get(polled, headers=asks)
    assert "1 new, show" in part
    assert "Shut down" not in part
    assert _polled(part) == polled
    part = app.get(part.html.find(id="newer")["hx-get"], headers=asks)
    assert f'id="operations-{new.id}"' in part
    assert "new, show" not in part
    assert _polled(part) != polled


def test_nothing_waits_where_a_list_is_empty_or_somebody_else_wrote_its_address(
    app: webtest.TestApp, sign_in: Callable, world: Any, make_operation: Callable
) -> None:
    sign_in()
    empty = _polled(app.get("/admin/operations?state=canceled"))
    assert "upto=" not in empty
    operation = make_operation(world, opcode="OP_INSTANCE_REBOOT")
    for upto in ("0", "x", "9" * 40, ""):
        page = app.get(f"/admin/operations?upto={upto}", status=200)
        assert f'id="operations-{operation.id}"' in page
    for upto in ("x", "9" * 40, ""):
        path = f"/admin/operations?upto={upto}"
        assert f'id="operations-{operation.id}"' in app.get(path, headers={"HX-Request": "true"})
        app.get(f"/admin/jobs?upto={upto}", headers={"HX-Request": "true"}, status=200)


def _polled(page: Any) -> str:
    return str(page.html.find("span", attrs={"hx-trigger": True})["hx-get"])


def test_a_quiet_page_asks_seldom(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable
) -> None:
    make_server()
    sign_in()
    assert 'hx-trigger="every 30s"' in app.get("/admin/vms").text
