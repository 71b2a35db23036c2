"""The reverse of what can be undone: by the action the audit knows it by."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import (
    catalogue,
    drains,
    fleet,
    moves,
    node_roles,
    operator_networks,
    pool_care,
    pools,
    promoted,
    registration,
    saved_views,
    servers,
    states,
    suspensions,
)
from cloudweb.domain.identity import Identity
from cloudweb.domain.node_roles import Change
from cloudweb.models import (
    Backend,
    CatalogueFlavor,
    CatalogueNode,
    Network,
    Operation,
    OperationState,
    Pool,
    PoolUse,
    PoolValue,
    SavedView,
    Server,
    User,
    UserState,
)
from cloudweb.specifications import Specification


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done: the action, on what, and what the audit says of it."""

    action: str
    target: str
    details: Mapping[str, Any]

    @property
    def id(self) -> int:
        """The number of what it was done to; 0 for what has none."""
        return int(self.target) if self.target.isascii() and self.target.isdigit() else 0


@dataclasses.dataclass(frozen=True, slots=True)
class Reverse:
    """How to undo one kind of act, and what it takes.

    ``left`` is how the world is as far as the act goes, locked: it must not have moved since.
    """

    permission: str
    left: Callable[[Session, Step], object]
    do: Callable[[Session, Identity, Step], object]
    words: str
    """What undoing brings about."""
    can: Callable[[Step], bool] = lambda _step: True


def _lock(session: Session, table: Any, where: sa.ColumnElement[bool]) -> Any:
    query = sa.select(table).where(where).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


# --- servers ------------------------------------------------------------------------------------


def _asked(session: Session, step: Step) -> object:
    """What was last asked of a server, and whether that failed."""
    _lock(session, Server, Server.id == step.id)
    newest = session.execute(
        sa.select(Operation.id, Operation.state)
        .where(Operation.server_id == step.id)
        .order_by(Operation.id.desc())
        .limit(1)
    ).one_or_none()
    failed = (OperationState.ERROR, OperationState.CANCELED)
    return newest and (newest.id, newest.state in failed)


def _suspended(session: Session, step: Step) -> object:
    server = _lock(session, Server, Server.id == step.id)
    return server and (server.suspended, server.deleted, _asked(session, step))


def _unsuspend(session: Session, identity: Identity, step: Step) -> None:
    suspensions.unsuspend(session, identity, step.id)
    if step.details["ran"]:
        servers.start(session, identity, step.id)


# --- clusters, networks -------------------------------------------------------------------------


def _backend_left(session: Session, step: Step) -> object:
    backend = _lock(session, Backend, Backend.id == step.id)
    return drains.token(backend) if backend is not None else None


def _backend(setter: Callable[..., bool], **values: bool) -> Callable[..., object]:
    def do(session: Session, identity: Identity, step: Step) -> object:
        backend = fleet.get(session, step.id)
        return setter(session, identity, backend, reason=identity.reason, **values)

    return do


def _network_left(session: Session, step: Step) -> object:
    network = _lock(session, Network, Network.id == step.id)
    return network and (network.drained, network.deleted, network.state.value)


def _network(*, drained: bool) -> Callable[..., object]:
    def do(session: Session, identity: Identity, step: Step) -> None:
        network = operator_networks.get(session, step.id)
        operator_networks.modify(session, identity, network, drained=drained)

    return do


# --- nodes --------------------------------------------------------------------------------------


def _node_left(session: Session, step: Step) -> object:
    """What was last asked about a node's role, and whether that failed."""
    backend = fleet.by_key(session, step.details["backend"])
    newest = session.execute(
        sa.select(Operation.id, Operation.state)
        .where(
            Operation.backend_id == backend.id,
            Operation.opcode == states.SET_ROLE,
            Operation.target == step.details["node"],
        )
        .order_by(Operation.id.desc())
        .limit(1)
    ).one_or_none()
    failed = (OperationState.ERROR, OperationState.CANCELED)
    return newest and (newest.id, newest.state in failed)


def _node(session: Session, identity: Identity, step: Step) -> object:
    backend = fleet.by_key(session, step.details["backend"])
    node = moves.get_node(session, backend, step.details["node"])
    change = node_roles.REVERSE[Change(step.action.removeprefix("node:"))]
    return node_roles.change(session, identity, backend, node, to=change, reason=identity.reason)


# --- pools --------------------------------------------------------------------------------------


def _values_left(session: Session, step: Step) -> object:
    pool = _lock(session, Pool, Pool.id == step.id)
    if pool is None:
        return None
    numbers = [pools.number_of(pool, text) for text in step.details["values"]]
    rows = session.execute(
        sa.select(PoolValue.number, PoolValue.use, PoolValue.reason)
        .where(PoolValue.pool_id == pool.id, PoolValue.number.in_(numbers))
        .order_by(PoolValue.number)
        .with_for_update()
    )
    return [(row.number, row.use.value, row.reason) for row in rows]


def _unreserve(session: Session, identity: Identity, step: Step) -> object:
    pool = pools.get(session, step.id)
    return pool_care.release(session, identity, pool, step.details["values"])


def _unrelease(session: Session, identity: Identity, step: Step) -> object:
    pool, values = pools.get(session, step.id), step.details["values"]
    return pool_care.reserve(session, identity, pool, values, reason=identity.reason)


def _pool_left(session: Session, step: Step) -> object:
    pool = _lock(session, Pool, Pool.id == step.id)
    if pool is None:
        return None
    uses = sa.select(PoolValue.use, sa.func.count()).where(PoolValue.pool_id == pool.id)
    rows = session.execute(uses.group_by(PoolValue.use))
    return pool.size, sorted((use.value, count) for use, count in rows)


def _size_left(session: Session, step: Step) -> object:
    pool = _lock(session, Pool, Pool.id == step.id)
    if pool is None:
        return None
    taken = sa.select(sa.func.count()).where(
        PoolValue.pool_id == pool.id,
        PoolValue.number >= step.details["before"],
        PoolValue.use == PoolUse.HELD,
    )
    return pool.size, session.scalar(taken)


def _unextend(session: Session, identity: Identity, step: Step) -> None:
    pool = pools.get(session, step.id)
    pools.resize(session, identity, pool, size=step.details["before"])


# --- people -------------------------------------------------------------------------------------


def _user_left(session: Session, step: Step) -> object:
    user = _lock(session, User, User.id == step.id)
    return user and (user.state.value, user.role.value, user.verified is not None)


def _user(session: Session, identity: Identity, step: Step) -> object:
    return registration.put_back(
        *(session, identity, step.id, UserState(step.details["before"])),
        verified=step.action != "user:verify",
    )


# --- flavors ------------------------------------------------------------------------------------


def _flavor_left(session: Session, step: Step) -> object:
    row = _lock(session, CatalogueFlavor, CatalogueFlavor.flavor_id == step.target)
    if row is None:
        return None
    there = sa.select(CatalogueNode.infrastructure_id).where(CatalogueNode.catalogue_id == row.id)
    return row.promoted, sorted(session.scalars(there))


def _unpromote(session: Session, identity: Identity, step: Step) -> None:
    promoted.take_back(session, identity, step.target)


def _undemote(session: Session, identity: Identity, step: Step) -> object:
    flavor = Specification(id=step.target, **step.details["before"])
    return promoted.create(session, identity, flavor)


def _unrecommend(session: Session, identity: Identity, step: Step) -> None:
    row = catalogue.find(session, step.target, lock=True)
    assert row is not None
    catalogue.demote(session, identity, row)


# --- views --------------------------------------------------------------------------------------


def _view_left(session: Session, step: Step) -> object:
    return session.get(SavedView, step.id) is None


def _view(session: Session, identity: Identity, step: Step) -> object:
    told = dict(step.details["before"])
    return saved_views.add(session, identity, listing=told.pop("list"), **told)


_STATES = ("user:accept", "user:activate", "user:reject", "user:deactivate", "user:verify")
REVERSES: Mapping[str, Reverse] = {
    "server:start": Reverse(
        "server:act",
        _asked,
        lambda session, identity, step: servers.shutdown(session, identity, step.id),
        "It is shut down.",
    ),
    "server:suspend": Reverse(
        "server:act",
        _suspended,
        _unsuspend,
        "Its owner may act on it again; if it was shut down by this, it is started.",
    ),
    "server:unsuspend": Reverse(
        "server:act",
        _suspended,
        lambda session, identity, step: suspensions.suspend(
            session, identity, step.id, reason=identity.reason
        ),
        "Its owner may do nothing with it again.",
    ),
    "backend:drain": Reverse(
        "backend:drain",
        _backend_left,
        _backend(fleet.set_drained, drained=False),
        "New servers may go to it again.",
    ),
    "backend:undrain": Reverse(
        "backend:drain",
        _backend_left,
        _backend(fleet.set_drained, drained=True),
        "New servers go elsewhere again.",
    ),
    "backend:offline": Reverse(
        "backend:drain",
        _backend_left,
        _backend(fleet.set_offline, offline=False),
        "The cluster is asked again.",
    ),
    "backend:online": Reverse(
        "backend:drain",
        _backend_left,
        _backend(fleet.set_offline, offline=True),
        "The cluster is asked nothing again.",
    ),
    "network:drain": Reverse(
        "network:manage",
        _network_left,
        _network(drained=False),
        "New servers may get a card on it again.",
    ),
    "network:undrain": Reverse(
        "network:manage",
        _network_left,
        _network(drained=True),
        "New servers get no card on it again.",
    ),
    **{
        f"node:{change.value}": Reverse(
            "server:move", _node_left, _node, "It has the role it had, or one like it."
        )
        for change in Change
    },
    "pool:create": Reverse(
        "pool:manage",
        _pool_left,
        lambda session, identity, step: pool_care.remove(
            session, identity, pools.get(session, step.id)
        ),
        "The pool is removed again.",
    ),
    "pool:reserve": Reverse("pool:manage", _values_left, _unreserve, "They can be handed out."),
    "pool:release": Reverse("pool:manage", _values_left, _unrelease, "They are reserved again."),
    "pool:resize": Reverse(
        "pool:manage",
        _size_left,
        _unextend,
        "The pool is as large as before.",
        can=lambda step: bool(step.details["after"] > step.details["before"]),
    ),
    "promoted:create": Reverse(
        "catalogue:manage", _flavor_left, _unpromote, "It is recommended no longer."
    ),
    "promoted:delete": Reverse(
        "catalogue:manage",
        _flavor_left,
        _undemote,
        "It is recommended again.",
        can=lambda step: bool(step.details["before"]["is_public"]),
    ),
    "flavor:promote": Reverse(
        "catalogue:manage", _flavor_left, _unrecommend, "It is recommended no longer."
    ),
    "view:remove": Reverse(
        "view:save",
        _view_left,
        _view,
        "The view is there again.",
        can=lambda step: bool(step.details["own"]),
    ),
    **{
        action: Reverse(
            "user:manage",
            _user_left,
            _user,
            "They are as they were. What was mailed stays mailed, and ended sessions stay ended.",
        )
        for action in _STATES
    },
}
"""What can be undone; who may undo it is who may do it."""


def find(step: Step) -> Reverse | None:
    """How to undo it; None for what cannot be."""
    reverse = REVERSES.get(step.action)
    return reverse if reverse is not None and reverse.can(step) else None
