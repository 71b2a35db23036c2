"""What every test may ask for: a clean database, its rows, the application, the broker."""

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import argon2
import pytest
import sqlalchemy as sa
import webtest

from cloudweb import models
from cloudweb.domain import accounts, identity
from cloudweb.domain.identity import Identity
from cloudweb.domain.servers import Site
from cloudweb.models import (
    Backend,
    Flavor,
    Image,
    Network,
    NetworkKind,
    Nic,
    OperState,
    Role,
    Server,
    ServerMetadata,
    SessionFactory,
    User,
    migrations,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer
from cloudweb.settings import Secret, Settings
from tests.applications import application, take_back

SECRET_KEY = "Y2xvdWR3ZWItdGVzdHMtMzItYnl0ZXMta2V5LTAwMDA="
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated database of this test run: the one of the environment, else a SQLite file."""
    url = os.environ.get("CLOUDWEB_TEST_DATABASE_URL")
    if url is None:
        url = f"sqlite:///{tmp_path_factory.mktemp('database')}/cloudweb.sqlite"
    migrations.upgrade(url)
    return url


@pytest.fixture(scope="session")
def _factory(database_url: str) -> Iterator[SessionFactory]:
    factory = SessionFactory.for_web(database_url, pool_size=10, statement_timeout_s=30)
    yield factory
    factory.dispose()


@pytest.fixture
def sessions(_factory: SessionFactory) -> SessionFactory:
    """Sessions on an empty database."""
    _empty(_factory)
    return _factory


def _empty(factory: SessionFactory) -> None:
    with unit_of_work(factory) as session:
        for table in reversed(models.Base.metadata.sorted_tables):
            session.execute(sa.delete(table))


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings for tests: quick, on the test database."""
    return Settings(
        database_url=Secret(database_url),
        secret_key=Secret(SECRET_KEY),
        session_cookie_secure=False,
        totp_required_roles=(),
        terms_languages=("en", "el"),
        instance_os="noop+default",
        stats_url="https://stats.example.org/{server}/{graph}.png",
        stats_secret=Secret("tests"),
        log_format="text",
        log_level="INFO",
        worker_poll_s=0.05,
        worker_follow_s=0.1,
        worker_lease_s=4.0,
        rapi_connect_timeout_s=0.5,
        rapi_read_timeout_s=1.4,
        worker_refresh_s=1.0,
        worker_compare_s=1.0,
        worker_jobs_s=1.0,
        worker_backoff_max_s=1.0,
    )


@pytest.fixture
def sealer() -> Sealer:
    """Seals cluster passwords with the tests' key."""
    return Sealer(SECRET_KEY)


@pytest.fixture
def app(settings: Settings, sessions: SessionFactory) -> webtest.TestApp:
    """The real application, in this process."""
    return webtest.TestApp(application(settings, sessions=sessions))


@pytest.fixture(autouse=True)
def _applications() -> Iterator[None]:
    """Each test may have all applications that were made."""
    yield
    take_back()


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Hashing passwords as slowly as it should be done would take most of the tests' time."""
    quick = functools.partial(argon2.PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2, "PasswordHasher", quick)
        yield


@pytest.fixture
def site(settings: Settings) -> Site:
    """What new servers get in tests."""
    from cloudweb.app import site_of

    return site_of(settings)


@pytest.fixture
def amqp_url() -> str:
    """The broker of the tests; without one the test fails."""
    return os.environ.get("CLOUDWEB_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")


@dataclasses.dataclass(frozen=True)
class Person:
    """A user with their token and what they are to the domain."""

    user: User
    token: str
    identity: Identity

    @property
    def headers(self) -> dict[str, str]:
        """What their client sends."""
        return {"X-Auth-Token": self.token}


@pytest.fixture
def make_user(sessions: SessionFactory) -> Callable[..., Person]:
    """Makes a user with a token (and a password)."""

    def make(
        *, role: Role = Role.USER, password: str | None = None, email: str | None = None
    ) -> Person:
        cli = identity.system("cli")
        with unit_of_work(sessions) as session:
            user = accounts.create(
                session,
                cli,
                email=email or f"user{next(_numbers)}@example.org",
                role=role,
                password=password,
            )
            token = accounts.add_token(session, cli, user, name="tests", expires=None)
        return Person(user, token, Identity(user.id, user.email, role, "api"))

    return make


@pytest.fixture
def make_backend(sessions: SessionFactory, sealer: Sealer) -> Callable[..., Backend]:
    """Makes a backend that takes servers, with room for many."""

    def make(**values: Any) -> Backend:
        number = next(_numbers)
        with unit_of_work(sessions) as session:
            used = set(session.scalars(sa.select(Backend.number)))
            defaults: dict[str, Any] = {
                "number": next(n for n in range(16) if n not in used),
                "name": f"cluster{number}.example.org",
                "url": f"http://127.0.0.1:1/cluster{number}",
                "username": "cloudweb",
                "password_sealed": sealer.seal("cloudweb"),
                "drained": False,
                "disk_templates": ["diskless", "drbd", "plain", "file", "ext"],
                "memory_total_mb": 1_000_000,
                "memory_free_mb": 1_000_000,
                "disk_total_mb": 10_000_000,
                "disk_free_mb": 10_000_000,
                "cpu_total": 1000,
                "nodes_total": 2,
                "nodes_up": 2,
                "refreshed": utc_now(),
            }
            backend = Backend(**(defaults | values))
            session.add(backend)
        return backend

    return make


@pytest.fixture
def make_flavor(sessions: SessionFactory) -> Callable[..., Flavor]:
    """Makes a flavor."""

    def make(**values: Any) -> Flavor:
        # Another each time, and never more than a cluster of these tests has.
        size = {"cpu": 1, "ram_mb": 1024, "disk_gb": 1 + next(_numbers) % 500}
        defaults = size | {"disk_template": "drbd"}
        with unit_of_work(sessions) as session:
            flavor = Flavor(**(defaults | values))
            session.add(flavor)
        return flavor

    return make


@pytest.fixture
def make_image(sessions: SessionFactory) -> Callable[..., Image]:
    """Makes a public image."""

    def make(**values: Any) -> Image:
        from cloudweb.domain import images

        with unit_of_work(sessions) as session:
            return images.register(
                session,
                identity.system("cli"),
                **({"name": "Debian 12", "location": "debian-12"} | values),
            )

    return make


@pytest.fixture
def public_network(sessions: SessionFactory) -> Network:
    """The public network: a bridge, without addresses of ours."""
    with unit_of_work(sessions) as session:
        network = Network(
            name="Internet",
            kind=NetworkKind.CUSTOM,
            public=True,
            dhcp=False,
            mode="bridged",
            link="br0",
        )
        session.add(network)
    return network


@pytest.fixture
def make_server(
    sessions: SessionFactory,
    public_network: Network,
    make_user: Callable[..., Person],
    make_backend: Callable[..., Backend],
    make_flavor: Callable[..., Flavor],
) -> Callable[..., Server]:
    """Makes a server row, ACTIVE unless told otherwise, with a NIC and metadata."""

    def make(
        *,
        owner: Person | None = None,
        backend: Backend | None = None,
        flavor: Flavor | None = None,
        metadata: dict[str, str] | None = None,
        **values: Any,
    ) -> Server:
        owner = owner or make_user()
        backend = backend or make_backend()
        flavor = flavor or make_flavor()
        with unit_of_work(sessions) as session:
            server = Server(
                user_id=owner.user.id,
                backend_id=backend.id,
                flavor_id=flavor.id,
                image_ref="debian",
                nics=[
                    Nic(
                        index=0,
                        network_id=public_network.id,
                        mac="aa:00:00:49:2e:7e",
                        ipv4="192.168.32.6",
                        firewall_profile="DISABLED",
                    )
                ],
                metadata_items=[
                    ServerMetadata(key=k, value=v) for k, v in (metadata or {}).items()
                ],
                **({"name": "My Server", "state": OperState.STARTED} | values),
            )
            session.add(server)
            session.flush()
            server.instance_name = server.instance_name or f"snf-{server.id}"
        return server

    return make


@dataclasses.dataclass
class Cloud:
    """A backend, a flavor, an image and a user: what a create needs."""

    owner: Person
    backend: Backend
    flavor: Flavor
    image: Image

    def order(self, **changes: Any) -> dict[str, Any]:
        """The body of a create."""
        server = {"name": "web-1", "imageRef": self.image.id, "flavorRef": self.flavor.id}
        return {"server": server | changes}


@pytest.fixture
def cloud(
    make_user: Callable[..., Person],
    make_backend: Callable[..., Backend],
    make_flavor: Callable[..., Flavor],
    make_image: Callable[..., Image],
    public_network: Network,
) -> Cloud:
    """A cloud somebody can ask for a server."""
    return Cloud(make_user(), make_backend(), make_flavor(), make_image())


class StatementCounter:
    """Counts the SQL statements of a block; transaction control is not counted."""

    def __init__(self, engines: Sequence[sa.Engine]) -> None:
        self.engines = engines
        self.statements: list[str] = []

    def __enter__(self) -> "StatementCounter":
        for engine in self.engines:
            sa.event.listen(engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        for engine in self.engines:
            sa.event.remove(engine, "before_cursor_execute", self._note)

    def _note(self, _conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            self.statements.append(statement)

    def __len__(self) -> int:
        return len(self.statements)


@pytest.fixture
def count_statements(sessions: SessionFactory) -> Callable[[], StatementCounter]:
    """``with count_statements() as counter: …; len(counter)``."""
    return lambda: StatementCounter(sessions.engines)


@pytest.fixture
def project() -> Path:
    """The root of the checkout."""
    return Path(__file__).parent.parent
