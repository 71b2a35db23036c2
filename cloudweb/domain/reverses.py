"""The reverse of what can be undone: by the action the audit knows it by."""

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import (
    catalogue,
    drains,
    flavors,
    fleet,
    locks,
    moves,
    node_roles,
    operator_networks,
    pool_reverses,
    promoted,
    registration,
    removals,
    saved_views,
    servers,
    states,
    suspensions,
)
from cloudweb.domain.identity import Identity
from cloudweb.domain.node_roles import Change
from cloudweb.domain.undoable import Reverse, Step, lock_row
from cloudweb.models import (
    Backend,
    CatalogueFlavor,
    CatalogueNode,
    Flavor,
    Network,
    Operation,
    OperationState,
    SavedView,
    Server,
    User,
    UserState,
)
from cloudweb.specifications import Specification

# --- servers ------------------------------------------------------------------------------------


def _asked(session: Session, step: Step) -> object:
    """What was last asked of a server, and whether that failed."""
    lock_row(session, Server, Server.id == step.id)
    newest = session.execute(
        sa.select(Operation.id, Operation.state)
        .where(Operation.server_id == step.id)
        .order_by(Operation.id.desc())
        .limit(1)
    ).one_or_none()
    failed = (OperationState.ERROR, OperationState.CANCELED)
    return newest and (newest.id, newest.state in failed)


def _locked(session: Session, step: Step) -> object:
    server = lock_row(session, Server, Server.id == step.id)
    return server and (server.locked, server.deleted)


def _suspended(session: Session, step: Step) -> object:
    server = lock_row(session, Server, Server.id == step.id)
    return server and (server.suspended, server.deleted, _asked(session, step))


def _unsuspend(session: Session, identity: Identity, step: Step) -> None:
    suspensions.unsuspend(session, identity, step.id)
    if step.details["ran"]:
        servers.start(session, identity, step.id)


# --- clusters, networks -------------------------------------------------------------------------


def _backend_left(session: Session, step: Step) -> object:
    backend = lock_row(session, Backend, Backend.id == step.id)
    return drains.token(backend) if backend is not None else None


def _added_left(session: Session, step: Step) -> object:
    """How a new backend is, and what is on it by now."""
    backend = lock_row(session, Backend, Backend.id == step.id)
    if backend is None:
        return None
    there = [backend.url, backend.username, *map(str, removals.list_in_the_way(session, backend))]
    return drains.token(backend), backend.removed is None, there


def _backend(setter: Callable[..., bool], **values: bool) -> Callable[..., object]:
    def do(session: Session, identity: Identity, step: Step) -> object:
        backend = fleet.get(session, step.id)
        return setter(session, identity, backend, reason=identity.reason, **values)

    return do


def _network_left(session: Session, step: Step) -> object:
    network = lock_row(session, Network, Network.id == step.id)
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


# --- people -------------------------------------------------------------------------------------


def _user_left(session: Session, step: Step) -> object:
    user = lock_row(session, User, User.id == step.id)
    return user and (user.state.value, user.role.value, user.verified is not None)


def _user(session: Session, identity: Identity, step: Step) -> object:
    return registration.put_back(
        *(session, identity, step.id, UserState(step.details["before"])),
        verified=step.action != "user:verify",
    )


# --- flavors ------------------------------------------------------------------------------------


def _flavor_left(session: Session, step: Step) -> object:
    row = lock_row(session, CatalogueFlavor, CatalogueFlavor.flavor_id == step.target)
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


def _size_left(session: Session, step: Step) -> object:
    """Whether a flavor is offered, and how many servers have it."""
    flavor = lock_row(session, Flavor, Flavor.id == step.id)
    return flavor and (flavor.deleted, flavors.count_servers(session, flavor))


def _size_offered(session: Session, step: Step) -> object:
    flavor = lock_row(session, Flavor, Flavor.id == step.id)
    return flavor and flavor.deleted


def _withdraw_size(session: Session, identity: Identity, step: Step) -> None:
    flavors.delete(session, identity, step.id)


def _restore_size(session: Session, identity: Identity, step: Step) -> None:
    flavors.restore(session, identity, flavors.get(session, step.id))


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
    "server:lock": Reverse(
        "server:act",
        _locked,
        lambda session, identity, step: locks.unlock(session, identity, step.id),
        "It can be shut down and destroyed again.",
    ),
    "server:unlock": Reverse(
        "server:act",
        _locked,
        lambda session, identity, step: locks.lock(session, identity, step.id),
        "It is locked again.",
    ),
    "server:unsuspend": Reverse(
        "server:act",
        _suspended,
        lambda session, identity, step: suspensions.suspend(
            session, identity, step.id, reason=identity.reason
        ),
        "Its owner may do nothing with it again.",
    ),
    "backend:add": Reverse(
        "backend:manage",
        _added_left,
        lambda session, identity, step: removals.remove(
            session, identity, fleet.get(session, step.id), reason=identity.reason
        ),
        "It is removed again.",
        unmakes=True,
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
    "backend:restrict": Reverse(
        "backend:drain",
        _backend_left,
        _backend(fleet.set_public, public=True),
        "New servers of everybody may go to it again.",
    ),
    "backend:publish": Reverse(
        "backend:drain",
        _backend_left,
        _backend(fleet.set_public, public=False),
        "Only new servers of users pinned to it go there again.",
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
    **pool_reverses.REVERSES,
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
    "flavor:create": Reverse(
        "catalogue:manage", _size_left, _withdraw_size, "No new VM can be made with it."
    ),
    "flavor:restore": Reverse(
        "catalogue:manage", _size_offered, _withdraw_size, "No new VM can be made with it."
    ),
    "flavor:delete": Reverse(
        "catalogue:manage", _size_offered, _restore_size, "VMs can be made with it again."
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
            "They are as they were. Ended sessions stay ended.",
        )
        for action in _STATES
    },
}
"""What can be undone; who may undo it is who may do it."""


def find(step: Step) -> Reverse | None:
    """How to undo it; None for what cannot be."""
    reverse = REVERSES.get(step.action)
    return reverse if reverse is not None and reverse.can(step) else None
