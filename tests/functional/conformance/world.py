"""Objects for one request to reach, made straight in the database, the same each time."""

import datetime as dt
from typing import Any, TypeVar

import sqlalchemy as sa

from cloudweb import models
from cloudweb.domain import accounts, identity, images, pools
from cloudweb.models import (
    Backend,
    CatalogueFlavor,
    Flavor,
    Image,
    Infrastructure,
    Network,
    NetworkKind,
    Nic,
    OperState,
    PoolKind,
    RegionalFlavor,
    Role,
    Server,
    ServerMetadata,
    SessionFactory,
    User,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer
from tests.conftest import SECRET_KEY
from tests.fake_region import FakeCloud

Row = TypeVar("Row", bound=models.Base)

REGION, REGIONAL_FLAVOR = "Spain2", "1"
LONG_AGO = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)


def empty(sessions: SessionFactory) -> None:
    """Leave nothing in any table."""
    with unit_of_work(sessions) as session:
        for table in reversed(models.Base.metadata.sorted_tables):
            session.execute(sa.delete(table))


class World:
    """A user, another user, a cluster with room, a flavor, an image; the rest as a call needs it.

    Begins with an empty database, so that on SQLite the ids are the same each time. The cluster is
    nowhere, unless ``cluster_url`` says where; ``cloud`` answers for the region, as if new.
    """

    def __init__(
        self, sessions: SessionFactory, cluster_url: str = "", cloud: FakeCloud | None = None
    ) -> None:
        empty(sessions)
        self.sessions, self.cloud = sessions, cloud
        self.owner_role = Role.USER
        self.owner_id, self.owner_token = self.user("alice@example.org")
        self.stranger_id, self.stranger_token = self.user("bob@example.org")
        self.backend = self.add(_backend(cluster_url or "https://cluster1.example.org:5080"))
        self.flavor = self.add(Flavor(cpu=2, ram_mb=2048, disk_gb=20, disk_template="drbd"))
        self.public_network = self.add(
            Network(
                name="Internet",
                kind=NetworkKind.CUSTOM,
                public=True,
                dhcp=False,
                mode="bridged",
                link="br0",
            )
        )

    def user(self, email: str, role: Role = Role.USER) -> tuple[int, str]:
        """A user's id and token."""
        cli = identity.system("cli")
        with unit_of_work(self.sessions) as session:
            user = accounts.create(session, cli, email=email, role=role, password=None)
            token = accounts.add_token(session, cli, user, name="tests", expires=None)
            session.flush()
            return user.id, token

    def read_only(self, user_id: int) -> str:
        """Another token of a user, by which nothing can be changed."""
        cli = identity.system("cli")
        with unit_of_work(self.sessions) as session:
            user = session.get_one(User, user_id)
            return accounts.add_token(
                session, cli, user, name="reads", expires=None, read_only=True
            )

    def owner_is(self, role: Role) -> None:
        """Give the owner another role."""
        self.owner_role = role
        with unit_of_work(self.sessions) as session:
            session.execute(sa.update(User).where(User.id == self.owner_id).values(role=role))

    def add(self, row: Row) -> Row:
        """The row, stored."""
        with unit_of_work(self.sessions) as session:
            session.add(row)
        return row

    def image(self, **values: Any) -> Image:
        """An image everybody may use."""
        given = {"name": "Debian 12", "location": "debian-12"} | values
        with unit_of_work(self.sessions) as session:
            return images.register(session, identity.system("cli"), **given)

    def server(self, **values: Any) -> Server:
        """The owner's server, on the public network."""
        card = Nic(
            index=0,
            network_id=self.public_network.id,
            mac="aa:00:00:49:2e:7e",
            ipv4="203.0.113.6",
            ipv6="2001:db8::6",
            firewall_profile="DISABLED",
        )
        defaults: dict[str, Any] = {
            "user_id": self.owner_id,
            "backend_id": self.backend.id,
            "flavor_id": self.flavor.id,
            "image_ref": "5f0c1f0e-0f6c-4f0e-9d5c-0123456789ab",
            "name": "web-1",
            "state": OperState.STARTED,
            "created": LONG_AGO,
            "updated": LONG_AGO,
            "instance_name": "snf-1",
            "nics": [card],
            "metadata_items": [ServerMetadata(key="role", value="front")],
        }
        return self.add(Server(**(defaults | values)))

    def network(self) -> Network:
        """A private network of the owner, with addresses, and nobody on it."""
        network = self.add(
            Network(
                user_id=self.owner_id,
                name="private_net",
                kind=NetworkKind.MAC_FILTERED,
                cidr="192.168.1.0/24",
                mode="bridged",
                link="prv0",
                mac_prefix="aa:00:1",
                created=LONG_AGO,
                updated=LONG_AGO,
            )
        )
        with unit_of_work(self.sessions) as session:
            pools.create_addresses(session, network)
        return network

    def region(self) -> FakeCloud:
        """A region that the owner registered, with a flavor that is known of it; its cloud."""
        assert self.cloud is not None
        self.cloud.reset()
        row = self.add(
            Infrastructure(
                name=REGION,
                owner="alice@example.org",
                keystone_url=self.cloud.keystone_url,
                username="admin",
                password_sealed=Sealer(SECRET_KEY).seal("adminpw"),
                tenant="admin",
                region_name=REGION,
                refreshed=LONG_AGO,
                tried=LONG_AGO,
            )
        )
        known = {"name": "m1.tiny", "vcpus": 1, "ram_mb": 512, "disk_gb": 1}
        self.add(
            RegionalFlavor(
                infrastructure_id=row.id, flavor_id=REGIONAL_FLAVOR, extra_specs={}, **known
            )
        )
        return self.cloud

    def promoted(self) -> CatalogueFlavor:
        """A promoted flavor that is in no region."""
        sizes = {"vcpus": 1, "ram_mb": 64, "disk_gb": 1}
        return self.add(CatalogueFlavor(flavor_id="nano", name="m1.nano", promoted=True, **sizes))

    def mac_prefixes(self) -> None:
        """Prefixes for networks to be made."""
        with unit_of_work(self.sessions) as session:
            pools.create(
                session,
                identity.system("cli"),
                kind=PoolKind.MAC_PREFIX,
                base="aa:00:0",
                size=16,
            )


def _backend(url: str) -> Backend:
    return Backend(
        number=0,
        name="cluster1.example.org",
        url=url,
        username="cloudweb",
        password_sealed=Sealer(SECRET_KEY).seal("cloudweb"),
        drained=False,
        disk_templates=["diskless", "drbd", "plain", "file", "ext"],
        memory_total_mb=1_000_000,
        memory_free_mb=1_000_000,
        disk_total_mb=10_000_000,
        disk_free_mb=10_000_000,
        cpu_total=1000,
        nodes_total=2,
        nodes_up=2,
        refreshed=utc_now(),
    )
