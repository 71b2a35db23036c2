"""Mends how the networks of a cluster differ from ours, one finding at a time."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import cards, networks, operations, states
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    BackendNetwork,
    Drift,
    Finding,
    Network,
    NetworkState,
    Operation,
)

KINDS = frozenset(kind for kind in Drift if kind.value.startswith("network-"))


def obstacle(session: Session, finding: Finding, backend: Backend) -> str:
    """Why the network is no longer as it was found, in a sentence; it is locked if it is ours."""
    network = _lock(session, finding)
    if _is_busy(session, finding, backend):
        return "The cluster is to do something to it."
    row = _row(session, finding, backend)
    was = finding.fix.get("row"), finding.fix.get("state"), finding.fix.get("network_state")
    gone = row is None or (finding.fix.get("row") is None and row.state is NetworkState.DELETED)
    now = (
        None if row is None or gone else row.id,
        None if row is None or gone else row.state.value,
        network.state.value if network is not None else None,
    )
    return "" if now == was else "The network has changed since."


def _lock(session: Session, finding: Finding) -> Network | None:
    if finding.network_id is None:
        return None
    return session.scalar(
        sa.select(Network)
        .where(Network.id == finding.network_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _row(session: Session, finding: Finding, backend: Backend) -> BackendNetwork | None:
    which = BackendNetwork.name == finding.target
    if finding.network_id is not None:
        which = BackendNetwork.network_id == finding.network_id
    return session.scalar(
        sa.select(BackendNetwork)
        .where(BackendNetwork.backend_id == backend.id, which)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _is_busy(session: Session, finding: Finding, backend: Backend) -> bool:
    which = Operation.target == finding.target
    if finding.network_id is not None:
        which = sa.or_(which, Operation.network_id == finding.network_id)
    open_one = sa.select(Operation.id).where(
        Operation.backend_id == backend.id,
        Operation.server_id.is_(None),
        Operation.state.in_(OPEN_STATES),
        which,
    )
    return session.scalar(open_one.limit(1)) is not None


def mend(session: Session, identity: Identity, finding: Finding, backend: Backend) -> None:
    """Do what the finding says; the network is as it was found, and locked."""
    row = _row(session, finding, backend)
    network = session.get(Network, finding.network_id) if finding.network_id is not None else None
    match finding.kind:
        case Drift.NETWORK_STALE if row is not None:
            row.state = NetworkState.DELETED
            session.flush()  # finish reads it
            networks.finish(session, {row.network_id})
        case Drift.NETWORK_MISSING | Drift.NETWORK_PARTED if not finding.fix.get("there"):
            assert network is not None
            prefix = finding.fix.get("prefix", "")
            cards.make(session, identity, network, backend, prefix)
        case Drift.NETWORK_PARTED:
            assert network is not None
            if row is None:
                row = BackendNetwork(
                    network_id=network.id, backend_id=backend.id, name=finding.target
                )
                session.add(row)
            _connect(session, identity, row, network, finding.fix["groups"])
        case Drift.NETWORK_GROUPS if row is not None and network is not None:
            _connect(session, identity, row, network, finding.fix["groups"])
        case Drift.NETWORK_STATE if row is not None:
            row.state = NetworkState.ACTIVE
        case Drift.NETWORK_ORPHAN:
            _remove(session, identity, finding, backend)


def _connect(
    session: Session, identity: Identity, row: BackendNetwork, network: Network, groups: list[str]
) -> None:
    """Have a network connected to these node groups, if any; it is ACTIVE when it is."""
    row.state = NetworkState.PENDING if groups else NetworkState.ACTIVE
    session.flush()  # operations name its cluster and network
    for group in groups:
        cards.connect(session, identity, row, network, group)


def _remove(session: Session, identity: Identity, finding: Finding, backend: Backend) -> None:
    """Have a network disconnected and removed that may have no row of ours."""

    def enqueue(opcode: str, arguments: dict[str, str]) -> None:
        operation = Operation(
            backend_id=backend.id,
            network_id=finding.network_id,
            opcode=opcode,
            target=finding.target,
            arguments=arguments,
        )
        operations.write_down(session, identity, operation)

    for group in finding.fix["groups"]:
        enqueue(states.DISCONNECT_NETWORK, {"group": group})
    enqueue(states.REMOVE_NETWORK, {})
