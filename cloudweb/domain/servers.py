"""Servers: making them and acting on them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import (
    audit,
    cards,
    flavors,
    handovers,
    images,
    operations,
    placement,
    quotas,
    server_views,
    states,
    unbuilt,
)
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    MAX_ID,
    Backend,
    Flavor,
    Image,
    Nic,
    Operation,
    OperState,
    Server,
    ServerMetadata,
)
from cloudweb.sealing import Sealer


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """What an installation gives every new server."""

    instance_prefix: str
    instance_os: str
    firewall_profile: str
    sealer: Sealer
    handover_s: int
    """How long what only an instance is told is kept for it."""
    limits: quotas.Limits
    """How much a user may have who has no limits of their own."""
    metadata_max: int
    """How many keys a server may have."""


def create(
    session: Session,
    identity: Identity,
    site: Site,
    *,
    name: str,
    flavor_id: int,
    image_ref: str,
    metadata: Mapping[str, str],
    password: str | None = None,
    personality: Sequence[Mapping[str, object]] = (),
    owner: Identity | None = None,
    backend: Backend | None = None,
) -> Server:
    """A new server in BUILD, and the operation that makes its instance.

    The instance is told ``password`` (one that nobody knows, without) and the files of
    ``personality``, through ``handovers``. ``owner`` is whose it is to be, if not the actor's,
    and ``backend`` where, if that is not left to ``placement``.

    Raises ItemNotFound for an unknown image or flavor, OverLimit when the user may not have more,
    the public networks are full or metadata has too many keys, ServiceUnavailable when no cluster
    takes it.
    """
    owner = owner or identity
    if owner.user_id is None:
        raise faults.Forbidden("Only a user can own a server.")
    if len(metadata) > site.metadata_max:
        raise faults.OverLimit(f"A server has at most {site.metadata_max} metadata keys.")
    image = images.get_usable(session, owner, image_ref)
    flavor = flavors.get(session, flavor_id)
    if flavor.deleted:
        raise faults.ItemNotFound("Flavor not found.")
    quotas.check(session, owner.user_id, site.limits, quotas.of_server(flavor))
    backend = placement.choose(session, flavor, owner.user_id, only=backend)
    server = Server(
        user_id=owner.user_id,
        backend_id=backend.id,
        name=name,
        flavor_id=flavor.id,
        image_ref=image.id,
        nics=[],
        metadata_items=[ServerMetadata(key=k, value=v) for k, v in sorted(metadata.items())],
    )
    nic = cards.add_public(session, server, site.instance_prefix, site.firewall_profile)
    with session.no_autoflush:  # what follows is written in one go, with the operation
        server.instance_name = f"{site.instance_prefix}{server.id}"
        handovers.leave(
            session,
            site.sealer,
            server,
            image,
            password=password or handovers.new_password(),
            personality=personality,
            keep_s=site.handover_s,
        )
        cards.prepare(session, identity, nic.network, backend.id, site.instance_prefix)
        operation = operations.enqueue(
            session,
            identity,
            server,
            states.CREATE,
            _create_arguments(site, flavor, nic, image),
            network_id=nic.network_id,
            nic_id=nic.id,
        )
    audit.record(
        *(session, identity, "server:create", "server", server.id),
        operation=operation,
        name=server.name,
        after=server.state.value,
    )
    return server


def _create_arguments(site: Site, flavor: Flavor, nic: Nic, image: Image) -> dict[str, Any]:
    return {
        "vcpus": flavor.cpu,
        "ram_mb": flavor.ram_mb,
        "disk_gb": flavor.disk_gb,
        "disk_template": flavor.disk_template,
        "os": site.instance_os,
        "osparams": {"img_id": image.location, "img_format": image.disk_format},
        "nics": [cards.parameters(nic, nic.network, site.instance_prefix)],
        "tags": [cards.firewall_tag(site.firewall_profile, nic.index)],
    }


_WANTED = {
    states.STARTUP: "to be started",
    states.SHUTDOWN: "to be shut down",
    states.REBOOT: "to be rebooted",
}
"""What is on its way after an act, as the audit says it."""


def start(session: Session, identity: Identity, server_id: int) -> Operation:
    """Have the server started. Raises as ``for_action`` does, and Conflict for a suspended one."""
    return _act(session, identity, server_id, "start", states.STARTUP)


def shutdown(session: Session, identity: Identity, server_id: int) -> Operation:
    """Have the server shut down. Raises as ``for_action`` does."""
    return _act(session, identity, server_id, "shutdown", states.SHUTDOWN)


def reboot(session: Session, identity: Identity, server_id: int, *, kind: str) -> Operation:
    """Have the server rebooted, ``SOFT`` or ``HARD``; it must be ACTIVE."""
    return _act(session, identity, server_id, "reboot", states.REBOOT, {"type": kind})


def _act(
    session: Session,
    identity: Identity,
    server_id: int,
    verb: str,
    opcode: str,
    arguments: Mapping[str, Any] | None = None,
) -> Operation:
    server = for_action(session, identity, server_id)
    if opcode == states.REBOOT and server.state is not OperState.STARTED:
        raise faults.BadRequest("Server not in ACTIVE state.")
    if opcode != states.STARTUP:
        check_locked(server)
    elif server.suspended:
        raise faults.Conflict("Server is suspended.")
    operation = operations.enqueue(session, identity, server, opcode, arguments)
    audit.record(
        *(session, identity, f"server:{verb}", "server", server.id),
        operation=operation,
        before=server.state.value,
        after=_WANTED[opcode],
    )
    return operation


def for_action(session: Session, identity: Identity, server_id: int) -> Server:
    """The server, locked, if something can be asked of it now.

    Raises ItemNotFound, BadRequest (deleted, or never built), BuildInProgress, Conflict (being
    deleted), ServiceUnavailable (its cluster is offline).
    """
    server = lock(session, identity, server_id)
    if server.state is OperState.BUILD:
        raise faults.BuildInProgress()
    if server.state is OperState.ERROR:
        raise faults.BadRequest("Server was not built; it can only be deleted.")
    if operations.has_open(session, server, states.REMOVE):
        raise faults.Conflict("Server is being deleted.")
    check_online(session, server)
    return server


def lock(session: Session, identity: Identity, server_id: int) -> Server:
    """The server, to be changed. Raises ItemNotFound, BadRequest (deleted), and for its owner
    Forbidden (suspended).
    """
    if not 0 < server_id <= MAX_ID:
        raise faults.ItemNotFound("Server not found.")
    server = session.scalar(
        server_views.visible(identity).where(Server.id == server_id).with_for_update()
    )
    if server is None:
        raise faults.ItemNotFound("Server not found.")
    if server.deleted:
        raise faults.BadRequest("Server has been deleted.")
    check_suspended(identity, suspended=server.suspended)
    return server


def check_suspended(identity: Identity, *, suspended: bool) -> None:
    """Raise Forbidden where the owner asks something of a server that is suspended."""
    if suspended and identity.door == "api":
        raise faults.Forbidden("Administratively Suspended VM")


def check_locked(server: Server) -> None:
    """Raise Conflict for a server that is locked against accidents."""
    if server.locked:
        raise faults.Conflict("Server is locked.")


def check_online(session: Session, server: Server) -> None:
    """Raise ServiceUnavailable when nothing can be asked of the server's cluster."""
    if session.scalar(sa.select(Backend.offline).where(Backend.id == server.backend_id)):
        raise faults.ServiceUnavailable("The server's cluster is offline.")


def delete(session: Session, identity: Identity, server_id: int) -> Operation | None:
    """Have the server removed; asking twice is asking once.

    A server whose create was never sent is gone at once (None). A building one is removed as
    soon as its create has ended: operations on one server run in order, so no orphan stays.
    """
    server = lock(session, identity, server_id)
    if operations.has_open(session, server, states.REMOVE):
        return None
    check_locked(server)
    gone: dict[str, Any] = {"name": server.name, "before": server.state.value}
    if unbuilt.discard(session, server):
        audit.record(
            *(session, identity, "server:delete", "server", server.id),
            unsent=True,
            after="deleted",
            **gone,
        )
        return None
    check_online(session, server)
    operation = operations.enqueue(session, identity, server, states.REMOVE)
    audit.record(
        *(session, identity, "server:delete", "server", server.id),
        operation=operation,
        after="to be removed",
        **gone,
    )
    return operation


def rename(session: Session, identity: Identity, server_id: int, *, name: str) -> None:
    """Give the server another name; its instance keeps its own."""
    server = lock(session, identity, server_id)
    audit.record(
        session, identity, "server:rename", "server", server.id, before=server.name, after=name
    )
    server.name = name
