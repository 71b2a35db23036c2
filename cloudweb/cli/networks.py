"""``cloudweb network``: the public networks, and everybody's."""

from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.cli import lists, printing, waiting
from cloudweb.cli.door import Door, dry_run, given_reason, pass_door, reason_option
from cloudweb.cli.late import LateGroup
from cloudweb.cli.lists import Wanted
from cloudweb.cli.pools import split_values
from cloudweb.domain import (
    accounts,
    fleet,
    network_lists,
    operator_networks,
    pool_care,
    pool_lists,
    subnets,
)
from cloudweb.domain.network_lists import NetworkRow
from cloudweb.domain.networks import Rules, Subnets
from cloudweb.faults import ItemNotFound
from cloudweb.models import Network, NetworkKind, User

_COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "kind": "KIND",
    "public": "PUBLIC",
    "state": "STATE",
    "owner": "OWNER",
    "backend": "BACKEND",
    "subnet": "SUBNET",
    "free": "FREE",
    "servers": "SERVERS",
    "link": "LINK",
    "drained": "DRAINED",
}
_LATE = {
    "inspect": ("inspecting:network", "Show a network, and what clusters have of it."),
}
_CLUSTERS = {"backend": "BACKEND", "name": "NAME THERE", "state": "STATE"}

_id = click.argument("network_id", type=int, metavar="ID")


@click.group(cls=LateGroup, late=_LATE)
def network() -> None:
    """The public networks, and everybody's."""


@network.command()
@click.argument("name")
@click.option("--public", is_flag=True, help="New servers get a card on it.")
@click.option("--owner", metavar="EMAIL", help="Whose it is, if it is not public.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in NetworkKind]),
    help="How it is kept apart. Default: CUSTOM for a public one, else MAC_FILTERED.",
)
@click.option("--backend", metavar="BACKEND", help="The only cluster it is on. Default: all.")
@click.option("--subnet", metavar="CIDR", help="Such as 203.0.113.0/24, from /16 to /29.")
@click.option("--gateway", metavar="ADDRESS", help="Kept from use.")
@click.option("--subnet6", metavar="CIDR", help="Such as 2001:db8::/64.")
@click.option("--gateway6", metavar="ADDRESS")
@click.option("--dhcp/--no-dhcp", default=True, help="Whether cards get addresses of the subnet.")
@click.option("--mode", type=click.Choice(["bridged", "routed"]), help="How cards are attached.")
@click.option("--link", metavar="LINK", help="To which bridge or routing table.")
@click.option("--everywhere", is_flag=True, help="Make it on its clusters now.")
@waiting.option
@reason_option
@dry_run
@printing.as_json
@pass_door
def create(
    door: Door,
    /,
    name: str,
    public: bool,
    owner: str | None,
    kind: str | None,
    backend: str | None,
    subnet: str | None,
    gateway: str | None,
    subnet6: str | None,
    gateway6: str | None,
    everywhere: bool,
    as_json: bool,
    **others: Any,
) -> None:
    """Make a network; clusters hear of it when the first server there gets a card on it.

    A public one without a subnet has no addresses of ours: its cards get mode and link, and their
    addresses are what the cluster reports.
    """
    rules = _rules(door)
    default = NetworkKind.CUSTOM if public else NetworkKind.MAC_FILTERED
    wanted = Subnets.of(subnet, gateway, subnet6, gateway6, prefixes=subnets.OPERATOR_PREFIXES)
    with door.changing() as session:
        new = operator_networks.create(
            session,
            door.identity,
            rules,
            name=name,
            kind=NetworkKind(kind) if kind is not None else default,
            wanted=wanted,
            public=public,
            owner_id=_owner_id(session, owner),
            backend=fleet.by_key(session, backend) if backend is not None else None,
            **others,
        )
        if everywhere:
            operator_networks.make_everywhere(session, door.identity, rules, new)
        row = network_row(network_lists.get_row(session, new.id))
    printing.done(f"Network {new.name} has id {new.id}.", row, as_json=as_json)


def _owner_id(session: Session, email: str | None) -> int | None:
    if email is None:
        return None
    user = accounts.find(session, email)
    if user is None:
        raise ItemNotFound(f"No user {email}.")
    return user.id


@network.command("list")
@click.option("--public/--private", "public", default=None, help="Only these. Default: all.")
@click.option("--owner", default="", metavar="EMAIL", help="Only this user's.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@click.option("--after", "after_id", type=int, default=0, metavar="ID", help="Only later ones.")
@lists.options(network_lists.FIELDS, limit=100)
@pass_door
def list_(
    door: Door, public: bool | None, owner: str, deleted: bool, after_id: int, wanted: Wanted
) -> None:
    """Show networks, by id; the deleted ones only when they are asked for."""
    query = network_lists.rows().where(Network.id > after_id)
    if public is not None:
        query = query.where(Network.public == sa.literal(public))
    if owner:
        query = query.where(User.email == owner)
    if deleted or not wanted.selection.names("deleted"):
        query = query.where(Network.deleted == sa.literal(deleted))
    with door.reading() as session:
        found = [network_lists.row(each) for each in wanted.select(session, query)]
    wanted.show([network_row(each) for each in found], _COLUMNS)


@network.command()
@_id
@printing.as_json
@pass_door
def show(door: Door, network_id: int, as_json: bool) -> None:
    """Show one network, deleted or not, and the clusters that have it."""
    with door.reading() as session:
        row = network_lists.get_row(session, network_id)
        found = network_lists.list_clusters(session, row.network)
    clusters = [
        {"backend": each.backend_name, "name": each.name, "state": each.state.value}
        for each in found
    ]
    if as_json:
        printing.record(network_row(row) | {"clusters": clusters}, as_json=True)
        return
    printing.record(network_row(row), as_json=False)
    click.echo()
    printing.listing(clusters, _CLUSTERS, as_json=False)


@network.command()
@_id
@click.option("--name", help="Another name.")
@click.option("--drain/--undrain", "drained", default=None, help="Whether new servers get cards.")
@click.option("--everywhere", is_flag=True, help="Make it on all its clusters now.")
@click.option("--reserve", default="", metavar="A,B", help="Addresses to keep from use.")
@click.option("--release", default="", metavar="A,B", help="Addresses that can be given again.")
@waiting.option
@given_reason
@dry_run
@printing.as_json
@pass_door
def modify(
    door: Door,
    network_id: int,
    name: str | None,
    drained: bool | None,
    everywhere: bool,
    reserve: str,
    release: str,
    reason: str,
    as_json: bool,
) -> None:
    """Change a network; what is not named stays. Subnets and kind cannot be changed."""
    if name is None and drained is None and not (everywhere or reserve or release):
        raise click.UsageError("Nothing to change: name what is to be different.")
    with door.changing() as session:
        found = operator_networks.get(session, network_id)
        if reserve or release:
            care = (session, door.identity, pool_lists.of_network(session, network_id))
            if reserve:
                pool_care.reserve(*care, split_values(reserve), reason=reason)
            if release:
                pool_care.release(*care, split_values(release))
        operator_networks.modify(session, door.identity, found, name=name, drained=drained)
        if everywhere:
            rules = _rules(door)
            operator_networks.make_everywhere(session, door.identity, rules, found)
        row = network_row(network_lists.get_row(session, network_id))
    printing.done(f"Changed network {network_id}.", row, as_json=as_json)


@network.command()
@_id
@waiting.option
@reason_option
@dry_run
@printing.as_json
@pass_door
def remove(door: Door, network_id: int, as_json: bool) -> None:
    """Take all servers off a network and remove it; a public one must be drained and empty."""
    with door.changing() as session:
        found = operator_networks.get(session, network_id)
        operator_networks.remove(session, door.identity, found)
        row = network_row(network_lists.get_row(session, network_id))
    said = "is gone" if row["deleted"] else "is gone when its clusters have removed it"
    printing.done(f"Network {network_id} {said}.", row, as_json=as_json)


def _rules(door: Door) -> Rules:
    from cloudweb.app import network_rules

    return network_rules(door.settings)


def network_row(each: NetworkRow) -> dict[str, Any]:
    """A network as it is printed."""
    found = each.network
    return {
        "id": found.id,
        "name": found.name,
        "kind": found.kind.value,
        "public": found.public,
        "state": found.state.value,
        "deleted": found.deleted,
        "drained": found.drained,
        "owner": each.owner,
        "backend": each.backend_name,
        "subnet": found.cidr,
        "gateway": found.gateway,
        "subnet6": found.cidr6,
        "gateway6": found.gateway6,
        "dhcp": found.dhcp,
        "free": each.free,
        "servers": each.servers,
        "mode": found.mode,
        "link": found.link,
        "mac_prefix": found.mac_prefix,
        "tags": found.tags,
        "created": found.created,
        "updated": found.updated,
    }
