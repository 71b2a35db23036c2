"""``cloudweb demo``: two simulated clusters, flavors, images and two users to try cloudweb with."""

import secrets

import click
from sqlalchemy.orm import Session

from cloudweb.app import network_rules
from cloudweb.backend.cluster_report import report_of
from cloudweb.backend.ganeti.objects import cluster_from_rapi, node_from_rapi
from cloudweb.backend.ganeti.simulator import DEFAULT_PORT, ClusterSpec, answers
from cloudweb.backend.ganeti.simulator.cluster import Cluster
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.simulator import DEMO_CLUSTERS
from cloudweb.domain import (
    accounts,
    flavors,
    fleet,
    images,
    network_lists,
    operator_networks,
    pool_lists,
    pools,
)
from cloudweb.domain.fleet import ClusterReport
from cloudweb.domain.networks import Subnets
from cloudweb.faults import Conflict
from cloudweb.models import NetworkKind, PoolKind, Role

OPERATOR = "operator@example.org"
USER = "user@example.org"
TOKEN_NAME = "demo"  # noqa: S105  (what the token is called)

FLAVORS = (
    (1, 512, 5, "plain"),
    (1, 1024, 20, "plain"),
    (2, 4096, 40, "plain"),
    (2, 2048, 20, "drbd"),
    (4, 8192, 40, "drbd"),
    (4, 8192, 80, "ext_vlmc"),
)
"""CPUs, MiB of memory, GiB of disk, disk template."""

IMAGES = (
    ("Debian 12", "debian-12", "debian"),
    ("Ubuntu 24.04", "ubuntu-24.04", "ubuntu"),
    ("Fedora 41", "fedora-41", "fedora"),
)
"""Name, location, operating system."""

POOLS = ((PoolKind.BRIDGE, "prv", 20), (PoolKind.MAC_PREFIX, "aa:00:0", 4096))
"""What users' networks take from: kind, base, size."""

PUBLIC = {
    "cidr": "203.0.113.0/24",
    "gateway": "203.0.113.1",
    "cidr6": "2001:db8::/64",
    "gateway6": "2001:db8::1",
}
"""The network that servers get their first card on."""

KEPT = f"""\
The demo data is there already and is kept; passwords and tokens are shown only when they are made.
For another token or another operator run
  cloudweb token add --user {USER} --name another
  cloudweb user add NAME@example.org --role admin
"""


@click.group()
def demo() -> None:
    """Something to try cloudweb with."""


@demo.command()
@pass_door
def seed(door: Door) -> None:
    """Fill an empty database; what is there is kept, and secrets are shown only once.

    The clusters are those that "cloudweb serve-simulator" serves.
    """
    with door.changing() as session:
        _add_clusters(session, door)
        _add_flavors(session, door)
        _add_images(session, door)
        _add_networks(session, door)
        password = _add_operator(session, door)
        token = _add_user(session, door)
    click.echo(_made(password, token) if password or token else KEPT, nl=False)


def report(spec: ClusterSpec) -> ClusterReport:
    """What the simulated cluster says of itself when nothing runs on it yet."""
    cluster = Cluster(spec)
    nodes = cluster.show(answers.nodes)
    groups = {row["name"]: row["node_list"] for row in cluster.show(answers.groups)}
    return report_of(
        cluster_from_rapi(cluster.show(answers.info)),
        [node_from_rapi(row) for row in nodes],
        groups,
    )


def _add_clusters(session: Session, door: Door) -> None:
    wanted = {spec.full_name: spec for spec in DEMO_CLUSTERS}
    known = {backend.name for backend in fleet.list_all(session)}
    if strange := sorted(known - set(wanted)):
        raise Conflict(f"This database has a cluster {strange[0]}: the demo wants one of its own.")
    for name, spec in wanted.items():
        if name in known:
            continue
        backend = fleet.add(
            session,
            door.identity,
            name=name,
            url=f"http://127.0.0.1:{DEFAULT_PORT}/{spec.name}",
            username=spec.user,
            password_sealed=door.sealer.seal(spec.password),
            report=report(spec),
        )
        fleet.set_drained(session, door.identity, backend, drained=False, reason="demo")


def _add_flavors(session: Session, door: Door) -> None:
    known = {(f.cpu, f.ram_mb, f.disk_gb, f.disk_template) for f in flavors.list_active(session)}
    for cpu, ram_mb, disk_gb, template in FLAVORS:
        if (cpu, ram_mb, disk_gb, template) not in known:
            flavors.create(
                session,
                door.identity,
                cpu=cpu,
                ram_mb=ram_mb,
                disk_gb=disk_gb,
                disk_template=template,
            )


def _add_images(session: Session, door: Door) -> None:
    known = {image.name for image in images.list_all(session)}
    for name, location, system in IMAGES:
        if name not in known:
            images.register(
                session, door.identity, name=name, location=location, properties={"os": system}
            )


def _add_networks(session: Session, door: Door) -> None:
    known = {row.pool.kind for row in pool_lists.list_all(session)}
    for kind, base, size in POOLS:
        if kind not in known:
            pools.create(session, door.identity, kind=kind, base=base, size=size)
    public = [row.network for row in network_lists.list_rows(session, public=True)]
    if any(network.cidr for network in public):
        return
    operator_networks.create(
        session,
        door.identity,
        network_rules(door.settings),
        name="Internet",
        kind=NetworkKind.CUSTOM,
        wanted=Subnets(**PUBLIC),
        public=True,
        link="br0",
    )
    for network in public:  # the one without addresses that every database begins with
        operator_networks.modify(session, door.identity, network, drained=True)


def _add_operator(session: Session, door: Door) -> str | None:
    """The password of the operator, if there was none yet."""
    if accounts.find(session, OPERATOR) is not None:
        return None
    password = secrets.token_urlsafe(12)
    accounts.create(
        session,
        door.identity,
        email=OPERATOR,
        name="Demo operator",
        role=Role.ADMIN,
        password=password,
    )
    return password


def _add_user(session: Session, door: Door) -> str | None:
    """A token of the user, if there was none yet."""
    if accounts.find(session, USER) is not None:
        return None
    user = accounts.create(session, door.identity, email=USER, name="Demo user")
    return accounts.add_token(session, door.identity, user, name=TOKEN_NAME, expires=None)


def _made(password: str | None, token: str | None) -> str:
    lines = ["Demo data is in the database. Write this down, it is not shown again:"]
    if password:
        lines += [f"  operator:  {OPERATOR} (dashboard)", f"  password:  {password}"]
    if token:
        lines += [f"  user:      {USER} (API)", f"  token:     {token}"]
    return "\n".join(lines) + "\n"
