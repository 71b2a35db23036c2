"""The database that is measured: an owner of ten servers, and one of a thousand."""

import contextlib
import dataclasses
import os
import secrets
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from cloudweb.domain import accounts, cards, identity, images
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    Backend,
    Flavor,
    Nic,
    OperState,
    Role,
    Server,
    ServerMetadata,
    SessionFactory,
    make_engine,
    migrations,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer

SECRET_KEY = "Y2xvdWR3ZWItYmVuY2gtMzItYnl0ZXMta2V5LTAwMDA="
LOCAL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
METADATA = {"role": "web", "team": "blue", "tier": "front"}


@dataclasses.dataclass(frozen=True)
class Owner:
    """Somebody with servers."""

    identity: Identity
    token: str


@dataclasses.dataclass(frozen=True)
class World:
    """A filled database, and who and what is in it."""

    url: str
    sessions: SessionFactory
    few: Owner
    many: Owner
    newcomer: Owner
    flavor: Flavor
    image_id: str
    backends: list[Backend]


def server_url() -> str:
    """The PostgreSQL to measure on."""
    names = ("CLOUDWEB_TEST_DATABASE_URL", "CLOUDWEB_TEST_POSTGRESQL_URL")
    url = next((os.environ[name] for name in names if os.environ.get(name)), LOCAL)
    return sa.make_url(url).set(drivername="postgresql+psycopg").render_as_string(False)


@contextlib.contextmanager
def database() -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    name = f"cloudweb_bench_{secrets.token_hex(4)}"
    engine = sa.create_engine(server_url(), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield sa.make_url(server_url()).set(database=name).render_as_string(False)
        finally:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        engine.dispose()


@contextlib.contextmanager
def filled() -> Iterator[World]:
    """A world in a database of its own."""
    with database() as url:
        migrations.upgrade(url)
        sessions = SessionFactory(make_engine(url, pool_size=8))
        try:
            yield _fill(url, sessions)
        finally:
            sessions.engine.dispose()


def _fill(url: str, sessions: SessionFactory) -> World:
    cli = identity.system("cli")
    with unit_of_work(sessions) as session:
        flavor = Flavor(cpu=1, ram_mb=128, disk_gb=1, disk_template="file")
        backends = [cluster(number) for number in range(2)]
        session.add_all([flavor, *backends])
        image = images.register(session, cli, name="Debian 12", location="debian-12")
        few, many, newcomer = (_owner(session, cli, name) for name in ("few", "many", "newcomer"))
        session.flush()  # servers name their ids
        for owner, count in ((few, 10), (many, 1000)):
            add_servers(session, owner, backends[0], flavor, image.id, count)
    with sessions.engine.connect() as connection:
        vacuum = connection.execution_options(isolation_level="AUTOCOMMIT")
        vacuum.exec_driver_sql("VACUUM (ANALYZE)")
    return World(url, sessions, few, many, newcomer, flavor, image.id, backends)


def _owner(session: Any, cli: Identity, name: str) -> Owner:
    user = accounts.create(session, cli, email=f"{name}@example.org", role=Role.USER)
    token = accounts.add_token(session, cli, user, name="bench", expires=None)
    return Owner(Identity(user.id, user.email, user.role, "api"), token)


def cluster(number: int) -> Backend:
    """A cluster with room for many."""
    return Backend(
        number=number,
        name=f"cluster{number}.example.org",
        url=f"http://127.0.0.1:1/cluster{number}",
        username="cloudweb",
        password_sealed=Sealer(SECRET_KEY).seal("cloudweb"),
        drained=False,
        disk_templates=["file"],
        memory_total_mb=100_000_000,
        memory_free_mb=100_000_000,
        disk_total_mb=1_000_000_000,
        disk_free_mb=1_000_000_000,
        cpu_total=1_000_000,
        nodes_total=2,
        nodes_up=2,
        refreshed=utc_now(),
    )


def add_servers(
    session: Any, owner: Owner, backend: Backend, flavor: Flavor, image_id: str, count: int
) -> None:
    """Active servers with two NICs and three metadata items each."""
    network = cards.public_for(session, 0)[0]
    servers = [
        Server(
            user_id=owner.identity.user_id,
            backend_id=backend.id,
            flavor_id=flavor.id,
            image_ref=image_id,
            name=f"web-{n:04}",
            instance_name=f"snf-{owner.identity.user_id}-{n}",
            state=OperState.STARTED,
            nics=[_nic(network.id, n, index) for index in range(2)],
            metadata_items=[ServerMetadata(key=k, value=v) for k, v in METADATA.items()],
        )
        for n in range(count)
    ]
    session.add_all(servers)


def _nic(network_id: int, n: int, index: int) -> Nic:
    return Nic(
        index=index,
        network_id=network_id,
        mac=f"aa:00:{index:02x}:{n >> 8:02x}:{n & 255:02x}:01",
        ipv4=f"10.{index}.{n >> 8}.{n & 255}",
        firewall_profile="DISABLED",
    )
