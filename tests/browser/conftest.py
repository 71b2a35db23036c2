"""A real Chromium before the real application, which has a cloud to look at."""

import contextlib
import dataclasses
import datetime as dt
import itertools
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, Response, sync_playwright
from waitress.server import create_server

from cloudweb.models import (
    AuditEntry,
    Backend,
    BackendHour,
    Handover,
    Node,
    Operation,
    OperationState,
    OperState,
    Role,
    Server,
    SessionFactory,
    WebSession,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from tests.applications import application
from tests.browser.furnishing import furnish
from tests.browser.peopling import people, sign_in
from tests.browser.watching import Watched
from tests.browser.writing import moved

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The distribution's Chromium; without one the tests fail.

    It ends with its module: while Playwright runs, its event loop is the thread's, and no other
    test could run one.
    """
    path = os.environ.get("CLOUDWEB_TEST_CHROMIUM") or shutil.which("chromium")
    assert path, "Browser tests need Chromium: install it, or name it in CLOUDWEB_TEST_CHROMIUM."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def dashboard(settings: Settings, sessions: SessionFactory) -> Any:
    """The application."""
    return application(dataclasses.replace(settings, worker_refresh_s=60.0), sessions=sessions)


@pytest.fixture
def routes(dashboard: Any) -> dict[str, str]:
    """The name and pattern of each route that shows a page."""
    introspector = dashboard.registry.introspector
    shown = set()
    for found in introspector.get_category("views"):
        view = found["introspectable"]
        methods = view.get("request_methods") or "GET"
        name = view.get("route_name") or ""
        if "GET" in methods and not view.get("context") and not name.endswith(".export"):
            shown.add(name)
    patterns = (found["introspectable"] for found in introspector.get_category("routes"))
    return {
        route["name"]: route["pattern"]
        for route in patterns
        if route["name"] in shown and route["name"].startswith(("admin.", "account.", "terms"))
    }


@pytest.fixture
def site_url(dashboard: Any) -> Iterator[str]:
    """The application, served."""
    server = create_server(dashboard, host="127.0.0.1", port=0)

    def serve() -> None:
        with contextlib.suppress(OSError):  # closing it below ends its wait so, now and then
            server.run()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)


@dataclasses.dataclass
class World:
    """What there is to see."""

    url: str
    sessions: SessionFactory
    email: str
    cookie: str
    backend: Backend
    server: Server
    failed: Operation
    running: Operation
    unreachable: Backend
    owner: Any
    """Who has the first server."""
    furnished: dict[str, str]
    make_server: Callable
    cookies: dict[str, str]
    """Of the pages that somebody else than the administrator is shown: whose session."""
    became: dict[str, str] = dataclasses.field(default_factory=dict)
    """Other names of what is named in paths."""

    def change(self, table: Any, row_id: int, **values: Any) -> None:
        """Change a row behind the browser's back."""
        with unit_of_work(self.sessions) as session:
            session.execute(sa.update(table).where(table.id == row_id).values(**values))

    def another_server(self, name: str) -> Server:
        """Somebody makes one more server."""
        made: Server = self.make_server(backend=self.backend, name=name, state=OperState.STOPPED)
        return made

    def rows(self, table: Any) -> list[Any]:
        """Every row of a table, by id."""
        with unit_of_work(self.sessions, write=False) as session:
            return list(session.scalars(sa.select(table).order_by(table.id)))

    def row(self, table: Any, row_id: int) -> Any:
        """A row as it is now."""
        with unit_of_work(self.sessions, write=False) as session:
            return session.get_one(table, row_id)

    def days_ago(self, days: int) -> dt.datetime:
        """The time so many days ago."""
        return utc_now() - dt.timedelta(days=days)

    def end_sessions(self) -> None:
        """Every session has rested for too long."""
        with unit_of_work(self.sessions) as session:
            rested = utc_now() - dt.timedelta(hours=2)
            session.execute(sa.update(WebSession).values(last_seen=rested))

    @property
    def pages(self) -> dict[str, str]:
        """A name and the path of each page, error page included."""
        s, b = self.server.id, self.backend.id
        return {
            "login": "/admin/login",
            "overview": "/admin/",
            "vms": "/admin/vms",
            "vms-filtered": "/admin/vms?q=web&state=STARTED",
            "vms-none": "/admin/vms?q=nothing-like-this",
            "vm": f"/admin/vms/{s}",
            "vm-history": f"/admin/vms/{s}/history",
            "vm-shutdown": f"/admin/vms/{s}/shutdown",
            "vm-reboot": f"/admin/vms/{s}/reboot",
            "vm-destroy": f"/admin/vms/{s}/destroy",
            "vm-migrate": f"/admin/vms/{s}/migrate",
            "vm-failover": f"/admin/vms/{s}/failover",
            "backends": "/admin/backends",
            "backend": f"/admin/backends/{b}",
            "backend-month": f"/admin/backends/{b}?span=30d",
            **{
                f"backend-{tab}": f"/admin/backends/{b}/{tab}"
                for tab in ("nodes", "vms", "networks", "jobs", "history")
            },
            "backend-new": "/admin/backends/new",
            "backend-edit": f"/admin/backends/{b}/edit",
            "backend-remove": f"/admin/backends/{b}/remove",
            "backend-unreachable": f"/admin/backends/{self.unreachable.id}",
            "drain": f"/admin/backends/{b}/drain",
            "undrain": f"/admin/backends/{self.unreachable.id}/undrain",
            "backends-bulk": f"/admin/backends/bulk?verb=drain&id={b}&id={self.unreachable.id}",
            "backend-restrict": f"/admin/backends/{b}/restrict",
            "backend-publish": f"/admin/backends/{self.unreachable.id}/publish",
            "backend-offline": f"/admin/backends/{b}/offline",
            "backend-online": f"/admin/backends/{b}/online",
            "node": f"/admin/backends/{b}/nodes/node1.example.org",
            "node-migrate": f"/admin/backends/{b}/nodes/node1.example.org/migrate",
            "evacuate": f"/admin/backends/{b}/nodes/node1.example.org/evacuate",
            **{
                f"node-{verb}": f"/admin/backends/{b}/nodes/node{number}.example.org/{verb}"
                for verb, number in (
                    *(("drain", 1), ("offline", 1), ("demote", 1), ("promote", 2)),
                    *(("undrain", 2), ("online", 2)),
                )
            },
            "reconcile": "/admin/reconcile",
            "operations": "/admin/operations",
            "operation": f"/admin/operations/{self.failed.id}",
            "operation-retry": f"/admin/operations/{self.failed.id}/retry",
            "operation-cancel": f"/admin/operations/{self.running.id}/cancel",
            "help": "/admin/help",
            **{f"help-{page}": f"/admin/help/{page}" for page in ("lists", "vms", "roles", "keys")},
            "missing": "/admin/nothing",
            "vm-missing": "/admin/vms/999999999",
            **self.furnished,
        }

    def show(self, page: Page, name: str) -> Response:
        """Open the page of this name in this tab, as whoever is shown it."""
        cookie = self.cookies.get(name, self.cookie)
        page.context.add_cookies([{"name": "cloudweb", "value": cookie, "url": self.url}])
        response = page.goto(self.url + moved(self.pages[name], self.became))
        assert response is not None
        return response


@pytest.fixture
def world(
    site_url: str,
    sessions: SessionFactory,
    make_user: Callable,
    make_backend: Callable,
    make_flavor: Callable,
    make_server: Callable,
    sealer: Sealer,
) -> World:
    """Three clusters in three conditions, servers in every state, operations of every kind."""
    now = utc_now()
    sized = {
        "memory_total_mb": 524_288,
        "disk_total_mb": 16_777_216,
        "cpu_total": 128,
        "hypervisor": "kvm",
        "ganeti_version": "3.0.2",
    }
    athens = make_backend(
        name="gnt-athens.example.org",
        memory_free_mb=186_000,
        instances=41,
        disk_free_mb=9_100_000,
        nodes_total=8,
        nodes_up=8,
        **sized,
    )
    patras = make_backend(
        name="gnt-patras.example.org",
        memory_free_mb=39_000,
        nodes_total=6,
        disk_free_mb=2_100_000,
        nodes_up=5,
        verify_tls=False,
        disk_templates=["plain", "drbd"],
        instances=63,
        **sized,
    )
    chania = make_backend(
        name="gnt-chania.example.org",
        memory_free_mb=402_000,
        nodes_total=4,
        nodes_up=0,
        disk_free_mb=12_000_000,
        unreachable_since=now - dt.timedelta(minutes=17),
        refreshed=now - dt.timedelta(minutes=18),
        drained=True,
        state_since=now - dt.timedelta(hours=3),
        state_reason="kernel update",
        drained_until=now - dt.timedelta(hours=1),
        public=False,
        last_error="Connection refused on 10.0.3.1:5080",
        **sized,
    )
    flavors = [
        make_flavor(cpu=1, ram_mb=1024, disk_gb=20),
        make_flavor(cpu=4, ram_mb=8192, disk_gb=80),
        make_flavor(cpu=8, ram_mb=32768, disk_gb=200, disk_template="ext_vlmc"),
    ]
    owners = [make_user(email=f"{name}@example.org") for name in ("maria", "nikos", "eleni")]
    states = [
        OperState.STARTED,
        OperState.STARTED,
        OperState.STOPPED,
        OperState.BUILD,
        OperState.STARTED,
        OperState.ERROR,
    ]
    made = []
    for n, name in enumerate(["web-1", "web-2", "mail", "build-agent", "wiki", "database-replica"]):
        made.append(
            make_server(
                owner=owners[n % 3],
                backend=[athens, patras][n % 2],
                flavor=flavors[n % 3],
                name=name,
                state=states[n],
                metadata={"purpose": name},
                build_percentage=40 * (n == 3),
                node="node1.example.org",
            )
        )
    operations = list(_operations(made, now))
    email = "ioanna@example.org"
    person = make_user(role=Role.ADMIN, password=PASSWORD, email=email)
    with unit_of_work(sessions) as session:
        session.add_all(operations)
        session.add_all(_nodes(athens))
        session.add_all(_hours(athens, now))
        told = {"sealed": "never opened here", "expires": now + dt.timedelta(hours=1)}
        session.add(Handover(server_id=made[5].id, digest="of the failed create", **told))
        cookie = sign_in(session, person.user.id)
        session.flush()
        session.add(
            AuditEntry(
                actor="maria@example.org",
                role="user",
                door="api",
                target_kind="server",
                action="server:create",
                target_id=str(made[0].id),
                operation_id=operations[0].id,
            )
        )
    furnished = furnish(sessions, made, [athens, patras])
    peopled, cookies = people(sessions, person.identity, made, [athens, patras], sealer)
    return World(
        site_url,
        sessions,
        email,
        cookie,
        athens,
        made[0],
        operations[4],
        operations[-1],
        chania,
        owners[0],
        furnished | peopled,
        make_server,
        cookies,
    )


def _hours(backend: Backend, now: dt.datetime) -> Iterator[BackendHour]:
    """A month in which it filled up, with a day of which nothing is known."""
    last = now.replace(minute=0, second=0, microsecond=0)
    for ago in range(700):
        if not 9 < ago < 14 and not 300 < ago < 324:
            free = 1 + (ago % 24 + ago / 12) / 100
            yield BackendHour(
                backend_id=backend.id,
                hour=last - dt.timedelta(hours=ago),
                memory_total_mb=backend.memory_total_mb,
                memory_free_mb=int(backend.memory_free_mb * free),
                disk_total_mb=backend.disk_total_mb,
                disk_free_mb=int(backend.disk_free_mb * (1 + ago / 2000)),
                instances=41 - ago // 60,
            )


def _nodes(backend: Backend) -> Iterator[Node]:
    for number in (1, 2):
        yield Node(
            backend_id=backend.id,
            name=f"node{number}.example.org",
            role="CR"[number - 1],
            node_group="default",
            drained=False,
            offline=False,
            vm_capable=True,
            memory_total_mb=65_536,
            memory_free_mb=40_000,
            disk_total_mb=2_000_000,
            disk_free_mb=1_000_000,
            cpus=32,
            primaries=5,
            secondaries=1,
        )


def _operations(made: list[Server], now: dt.datetime) -> Iterator[Operation]:
    kinds = [
        ("CREATE", OperationState.SUCCESS, ""),
        ("CREATE", OperationState.SUCCESS, ""),
        ("SHUTDOWN", OperationState.SUCCESS, ""),
        ("CREATE", OperationState.RUNNING, ""),
        ("CREATE", OperationState.ERROR, "Can't compute nodes using iallocator 'hail': no room"),
        ("STARTUP", OperationState.CANCELED, ""),
        ("REBOOT", OperationState.RUNNING, ""),
    ]
    for n, ((opcode, state, error), server) in enumerate(
        zip(kinds, itertools.cycle(made), strict=False)
    ):
        created = now - dt.timedelta(minutes=60 - 9 * n)
        ended = None if state is OperationState.RUNNING else created + dt.timedelta(seconds=41)
        server = made[5] if error else server
        yield Operation(
            key=f"key{n}",
            backend_id=server.backend_id,
            server_id=server.id,
            user_id=server.user_id,
            opcode=f"OP_INSTANCE_{opcode}",
            target=f"snf-{server.id}",
            state=state,
            job_id=4700 + n,
            attempts=1,
            created=created,
            sent=created,
            submitted=created,
            finished=ended,
            error=error,
            request_id=secrets.token_hex(8),
            error_class="insufficient_resources" if error else None,
        )


@pytest.fixture
def browse(chromium: Browser, world: World) -> Iterator[Callable[..., Watched]]:
    """Opens a signed-in context (options are Playwright's); nothing may go wrong in it."""
    opened: list[Watched] = []

    def make(*, signed_in: bool = True, **options: Any) -> Watched:
        context = chromium.new_context(**options)
        context.set_default_timeout(10_000)
        if signed_in:
            context.add_cookies([{"name": "cloudweb", "value": world.cookie, "url": world.url}])
        opened.append(Watched(context, world.url))
        return opened[-1]

    yield make
    for watched in opened:
        watched.context.close()
    assert [wrong for watched in opened for wrong in watched.wrongs] == []
