"""A real Chromium before the real application, which has a cloud to look at."""

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
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from waitress.server import create_server

from cloudweb.app import make_app
from cloudweb.domain.accounts import digest
from cloudweb.models import (
    AuditEntry,
    Backend,
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
from cloudweb.settings import Settings

PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The distribution's Chromium; without one the tests fail."""
    path = os.environ.get("CLOUDWEB_TEST_CHROMIUM") or shutil.which("chromium")
    assert path, "Browser tests need Chromium: install it, or name it in CLOUDWEB_TEST_CHROMIUM."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def site_url(settings: Settings, sessions: SessionFactory) -> Iterator[str]:
    """The application, served."""
    calm = dataclasses.replace(settings, worker_refresh_s=60.0)
    server = create_server(make_app(calm, sessions=sessions), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
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

    def change(self, table: Any, row_id: int, **values: Any) -> None:
        """Change a row behind the browser's back."""
        with unit_of_work(self.sessions) as session:
            session.execute(sa.update(table).where(table.id == row_id).values(**values))

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
            "vm-reboot": f"/admin/vms/{s}/reboot",
            "vm-destroy": f"/admin/vms/{s}/destroy",
            "backends": "/admin/backends",
            "backend": f"/admin/backends/{b}",
            "drain": f"/admin/backends/{b}/drain",
            "operations": "/admin/operations",
            "operation": f"/admin/operations/{self.failed.id}",
            "missing": "/admin/nothing",
        }


@pytest.fixture
def world(
    site_url: str,
    sessions: SessionFactory,
    make_user: Callable,
    make_backend: Callable,
    make_flavor: Callable,
    make_server: Callable,
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
    make_backend(
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
        last_error="Connection refused on 10.0.3.1:5080",
        **sized,
    )
    flavors = [
        make_flavor(cpu=1, ram_mb=1024, disk_gb=20),
        make_flavor(cpu=4, ram_mb=8192, disk_gb=80),
        make_flavor(cpu=8, ram_mb=32768, disk_gb=200, disk_template="ext_vlmc"),
    ]
    people = [make_user(email=f"{name}@example.org") for name in ("maria", "nikos", "eleni")]
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
                owner=people[n % 3],
                backend=[athens, patras][n % 2],
                flavor=flavors[n % 3],
                name=name,
                state=states[n],
                metadata={"purpose": name},
                build_percentage=40 * (n == 3),
            )
        )
    operations = list(_operations(made, now))
    email = "ioanna@example.org"
    person = make_user(role=Role.ADMIN, password=PASSWORD, email=email)
    cookie = secrets.token_urlsafe()
    with unit_of_work(sessions) as session:
        session.add_all(operations)
        session.add(
            WebSession(
                user_id=person.user.id,
                digest=digest(cookie),
                last_seen=now,
                expires=now + dt.timedelta(hours=1),
            )
        )
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
    return World(site_url, sessions, email, cookie, athens, made[0], operations[4], operations[-1])


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


class Watched:
    """A context of the browser that remembers what a good page never does."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.wrongs: list[str] = []
        self.url = url

    def open(self, path: str) -> Page:
        """A new tab on this path."""
        page = self.context.new_page()
        page.on("console", lambda m: m.type in ("error", "warning") and self._note(m.text))
        page.on("pageerror", lambda e: self._note(str(e)))
        page.on("request", lambda r: self._check_host(r.url))
        page.goto(self.url + path)
        return page

    def _note(self, text: str) -> None:
        # Chromium itself reports every answer of 400 and more: pages that refuse are meant to.
        if "Failed to load resource" not in text:
            self.wrongs.append(text)

    def _check_host(self, url: str) -> None:
        if not url.startswith((self.url, "data:")):
            self.wrongs.append(f"asked {url}")


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
