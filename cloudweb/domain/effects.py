"""What the end of an operation, or of a server, means for cards, addresses and networks.

Everything here happens once, in the transaction in which the operation reaches its final state,
however often that is heard.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import (
    address_history,
    cards,
    identity,
    networks,
    operations,
    pools,
    states,
    subnets,
)
from cloudweb.domain.address_history import Had
from cloudweb.domain.hearing_sql import CARDS, NICS, Card
from cloudweb.domain.states import NicReport
from cloudweb.models import (
    OPEN_STATES,
    BackendNetwork,
    Network,
    NetworkState,
    NicState,
    Operation,
    OperationState,
    Server,
    touch_networks,
)

_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


class HasOutcome(states.OperationOutcome, Protocol):
    """An operation row, or a copy of one, as far as its effects depend on it."""

    id: int
    opcode: str
    nic_id: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """An operation on a server that reached its final state, and the cards reported with that."""

    operation: HasOutcome
    nics: tuple[NicReport, ...] = ()


@dataclasses.dataclass(slots=True)
class Changes:
    """What effects have changed in a transaction, to be shown at its end."""

    servers: set[int] = dataclasses.field(default_factory=set)
    """Those that show something new."""
    networks: set[int] = dataclasses.field(default_factory=set)
    """Those that servers have joined or left."""

    def touch_networks(self, session: Session) -> set[int]:
        """Move what the networks show; whose lists are to be moved after that."""
        return touch_networks(session.connection(), self.networks)

    def finish_networks(self, session: Session) -> None:
        """End the networks that were only waiting for this."""
        networks.finish(session, self.networks)


# --- servers ------------------------------------------------------------------------------------


def release_servers(session: Session, server_ids: Collection[int], changes: Changes) -> None:
    """These servers, whose rows are locked, are no more: nor are their cards and addresses."""
    if not server_ids:
        return
    left = sa.select(NICS.c.network_id).where(NICS.c.server_id.in_(server_ids))
    changes.networks.update(
        session.scalars(
            sa.select(Network.id).where(Network.id.in_(left), Network.public == sa.false())
        )
    )
    session.execute(sa.delete(NICS).where(NICS.c.server_id.in_(server_ids)))
    address_history.end_all(session, server_ids)
    pools.release_holder(session, pools.SERVER, server_ids)


# --- cards --------------------------------------------------------------------------------------


def end_operations(session: Session, ended: Sequence[Ended], changes: Changes) -> None:
    """Bring cards up to what operations on their servers, whose rows are locked, have done."""
    nic_ids = {each.operation.nic_id for each in ended}
    if not nic_ids:
        return
    rows = session.execute(CARDS.where(NICS.c.id.in_(nic_ids)))
    found = {row.id: row for row in rows}
    wanted = {each.operation.id for each in ended}
    arguments = {
        row.id: row.arguments
        for row in session.execute(
            sa.select(Operation.id, Operation.arguments).where(Operation.id.in_(wanted))
        )
    }
    for each in ended:
        card = found.get(each.operation.nic_id or 0)
        adds = False
        if each.operation.opcode == states.SET_PARAMS:
            adds = arguments[each.operation.id]["nics"][0][0] == "add"
            if not adds:
                _forgive_absence(each.operation)
        if card is None:  # it went with its server
            continue
        if each.operation.opcode == states.SET_PARAMS:
            end = _end_adding if adds else _end_removing
            end(session, each, card, changes)
        elif each.operation.opcode == states.ADD_TAGS:
            _end_tagging(session, each, card, arguments[each.operation.id], changes)


def _end_adding(session: Session, each: Ended, card: Card, changes: Changes) -> None:
    if card.state is not NicState.ADDING:
        return
    if each.operation.state is not OperationState.SUCCESS:
        drop_card(session, card)
        return
    values: dict[str, Any] = {"state": NicState.ACTIVE}
    report = next((nic for nic in each.nics if nic.name == card.name), None)
    if report is not None:
        values |= {"index": report.index, "mac": report.mac}
        values["ipv6"] = ipv6_of(report.mac, card.cidr6)
        if values["ipv6"] is not None:
            had = Had(card.server_id, card.network_id, values["ipv6"])
            address_history.begin(session, [had])
    _set(session, card, values, changes)
    changes.networks.add(card.network_id)


def _forgive_absence(removing: HasOutcome) -> None:
    """There is no such card, or no such instance: as it was wanted."""
    if removing.error_class == states.UNKNOWN_ENTITY:
        removing.state, removing.error, removing.error_class = OperationState.SUCCESS, "", None


def _end_removing(session: Session, each: Ended, card: Card, changes: Changes) -> None:
    if each.operation.state is not OperationState.SUCCESS:
        if card.state is NicState.REMOVING:
            _set(session, card, {"state": NicState.ACTIVE}, changes)
        return
    drop_card(session, card)
    session.execute(
        sa.update(NICS)
        .where(NICS.c.server_id == card.server_id, NICS.c.index > card.place)
        .values(index=NICS.c.index - 1)
    )
    changes.servers.add(card.server_id)
    changes.networks.add(card.network_id)


def _end_tagging(
    session: Session, each: Ended, card: Card, arguments: Mapping[str, Any], changes: Changes
) -> None:
    """The card has the firewall of its newest tag; those it replaces are to be taken off."""
    if each.operation.state is not OperationState.SUCCESS:
        return
    asked_since = session.scalars(
        sa.select(Operation.arguments).where(
            Operation.server_id == card.server_id,
            Operation.state.in_(OPEN_STATES),
            Operation.id > each.operation.id,
            Operation.nic_id == card.id,
            Operation.opcode == states.ADD_TAGS,
        )
    ).all()
    wanted = {tag for later in asked_since for tag in later["tags"]}
    for tag in arguments.get("replaces", ()):
        if tag not in wanted:
            server = session.get_one(Server, card.server_id)
            worker = identity.system("worker")
            old = {"tags": [tag]}
            operations.enqueue(session, worker, server, states.DELETE_TAGS, old, nic_id=card.id)
    profile = next(filter(None, map(cards.profile_of, arguments["tags"])), None)
    if profile is not None and profile != card.firewall_profile and not asked_since:
        _set(session, card, {"firewall_profile": profile.value}, changes)


def _set(session: Session, card: Card, values: dict[str, Any], changes: Changes) -> None:
    session.execute(sa.update(NICS).where(NICS.c.id == card.id).values(values))
    changes.servers.add(card.server_id)


def drop_card(session: Session, card: Card) -> None:
    """A card is no more: its address is given back."""
    session.execute(sa.delete(NICS).where(NICS.c.id == card.id))
    address_history.end_card(session, card)
    if card.ipv4 is not None:
        pools.release_address(session, card.network_id, card.ipv4, server_id=card.server_id)


def ipv6_of(mac: str | None, cidr6: str | None) -> str | None:
    """The address that a card gives itself on a network, if that can be known."""
    if mac is None or cidr6 is None or not _MAC.fullmatch(mac):
        return None
    return subnets.eui64(mac, cidr6)


# --- networks on clusters -----------------------------------------------------------------------


def end_network_operation(session: Session, operation: Operation) -> None:
    """Bring a network on a cluster up to what came of an operation on it, whose row is locked."""
    session.flush()  # its end is counted below
    # Who waits here sees what the other has ended.
    session.execute(
        sa.select(Network.id).where(Network.id == operation.network_id).with_for_update()
    )
    row = session.scalar(
        sa.select(BackendNetwork)
        .where(
            BackendNetwork.network_id == operation.network_id,
            BackendNetwork.backend_id == operation.backend_id,
        )
        .with_for_update()
    )
    if row is None or row.state is NetworkState.DELETED:
        return
    if operation.state is not OperationState.SUCCESS:
        row.state = NetworkState.ERROR
    elif operation.opcode == states.ADD_NETWORK:
        row.state = NetworkState.PENDING
    elif operation.opcode == states.REMOVE_NETWORK:
        row.state = NetworkState.DELETED
        session.flush()  # finish reads it
        networks.finish(session, {row.network_id})
    elif operation.opcode == states.CONNECT_NETWORK and row.state is NetworkState.PENDING:
        busy = _is_being_made(session, operation)
        row.state = NetworkState.PENDING if busy else NetworkState.ACTIVE


def _is_being_made(session: Session, operation: Operation) -> bool:
    """Whether another group is still to be connected."""
    query = sa.select(Operation.id).where(
        Operation.network_id == operation.network_id,
        Operation.backend_id == operation.backend_id,
        Operation.state.in_(OPEN_STATES),
        Operation.opcode.in_((states.ADD_NETWORK, states.CONNECT_NETWORK)),
    )
    return session.scalar(query.limit(1)) is not None
