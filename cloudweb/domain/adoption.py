"""Making servers of ours out of instances that a cluster has already; the cluster is not touched.

What the cluster has is handed in. ``plan`` says what would come of each instance, ``adopt`` does
it for some of them in one transaction; what is ours already is passed over, so that an adoption
that was interrupted is completed by doing it again.
"""

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import address_history, audit, claims, effects
from cloudweb.domain.address_history import Had
from cloudweb.domain.claims import Claim
from cloudweb.domain.identity import Identity
from cloudweb.domain.places import FoundNetwork, FoundNic, Places, name_of
from cloudweb.models import (
    Backend,
    Flavor,
    Nic,
    OperState,
    Server,
    User,
    move_all_lists,
    utc_now,
)

UNKNOWN_IMAGE = "unknown"
"""The image of a server that was not made of one of ours."""
_LEAST, _MOST = 10, 200
"""Instances a transaction; in between they are so many that a bar moves fifty times."""
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class FoundInstance:
    """An instance as the cluster has it."""

    name: str
    cpu: int
    ram_mb: int
    disk_gb: int
    disk_template: str
    running: bool
    nics: tuple[FoundNic, ...]


class Fate(enum.StrEnum):
    """What becomes of an instance."""

    ADOPT = "adopt"
    OURS = "ours"
    REFUSED = "refused"


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """What is to become of one instance, and why if it is left as it is."""

    instance: FoundInstance
    fate: Fate
    owner: User | None = None
    flavor: str = ""
    new_flavor: bool = False
    new_networks: tuple[str, ...] = ()
    why: str = ""


def plan(
    session: Session,
    backend: Backend,
    instances: Sequence[FoundInstance],
    *,
    owner_of: Callable[[str], str | None],
    prefix: str,
) -> list[Step]:
    """What would come of each instance, by name; five statements, nothing is changed.

    ``owner_of`` gives the address of whose an instance is to be, by its name.
    """
    known = _known(session, backend)
    users = {user.email: user for user in session.scalars(sa.select(User))}
    sizes = {_size_of(flavor) for flavor in session.scalars(sa.select(Flavor))}
    places = Places(session, backend)
    addresses: dict[tuple[str, str], str] = {}
    steps = []
    for instance in sorted(instances, key=lambda each: each.name):
        owner = users.get((owner_of(instance.name) or "").lower())
        fate, why = _fate(instance, known, owner, prefix)
        if fate is Fate.ADOPT and (taken := _taken_twice(instance, addresses)):
            fate, why = Fate.REFUSED, taken
        size = (instance.cpu, instance.ram_mb, instance.disk_gb, instance.disk_template)
        missing = dict.fromkeys(name_of(n) for n in instance.nics if places.find(n) is None)
        adopts = fate is Fate.ADOPT
        steps.append(
            Step(
                instance,
                fate,
                owner if adopts else None,
                "C{}R{}D{}{}".format(*size),
                adopts and size not in sizes,
                tuple(missing) if adopts else (),
                why,
            )
        )
    return steps


def _fate(
    instance: FoundInstance, known: Mapping[str, bool], owner: User | None, prefix: str
) -> tuple[Fate, str]:
    if instance.name in known:
        gone = known[instance.name]
        return (Fate.REFUSED, "a deleted server had its name") if gone else (Fate.OURS, "")
    if instance.name.startswith(prefix):
        return Fate.REFUSED, "it is named like one that cloudweb made: reconcile servers"
    if owner is None:
        return Fate.REFUSED, "nobody here is to be its owner"
    if instance.cpu < 1 or instance.ram_mb < 1:
        return Fate.REFUSED, "its size is not known"
    return Fate.ADOPT, ""


def _known(session: Session, backend: Backend) -> dict[str, bool]:
    """Whether our servers there are deleted, by the names of their instances."""
    rows = session.execute(
        sa.select(Server.instance_name, Server.deleted).where(Server.backend_id == backend.id)
    )
    return {row[0] or "": row[1] for row in rows}


def _taken_twice(instance: FoundInstance, addresses: dict[tuple[str, str], str]) -> str:
    """Says so when another instance of the plan has an address of this one on its network."""
    mine = [(nic.network, nic.ip) for nic in instance.nics if nic.network and nic.ip]
    for place, address in mine:
        other = addresses.setdefault((place, address), instance.name)
        if other != instance.name:
            return f"{other} has its address {address} too"
    return ""


def _size_of(flavor: Flavor) -> tuple[int, int, int, str]:
    return flavor.cpu, flavor.ram_mb, flavor.disk_gb, flavor.disk_template


# --- doing it -----------------------------------------------------------------------------------


def batches(steps: Sequence[T]) -> list[Sequence[T]]:
    """So many at once as ``adopt`` best takes."""
    size = min(_MOST, max(_LEAST, len(steps) // 50))
    return [steps[n : n + size] for n in range(0, len(steps), size)]


def adopt(
    session: Session,
    identity: Identity,
    backend: Backend,
    steps: Sequence[Step],
    networks: Mapping[str, FoundNetwork],
    *,
    image_ref: str = UNKNOWN_IMAGE,
    reason: str = "",
) -> list[Step]:
    """Make servers of these instances; what became of each. One transaction, best of some hundred.

    Locks the cluster's row: two adoptions do not meet. An address that another server holds makes
    only its instance REFUSED. The number of statements grows with networks and sizes, not with
    instances.
    """
    session.execute(sa.select(Backend.id).where(Backend.id == backend.id).with_for_update())
    known = _known(session, backend)
    places = Places(session, backend)
    flavors = {_size_of(flavor): flavor for flavor in session.scalars(sa.select(Flavor))}
    done = [
        dataclasses.replace(step, fate=Fate.OURS)
        if step.fate is Fate.ADOPT and step.instance.name in known
        else step
        for step in steps
    ]
    held = _lock_addresses(session, done, places, networks)
    claimed: dict[int, list[Claim]] = {}
    for n, step in enumerate(done):
        if step.fate is Fate.ADOPT and step.owner is not None:
            claims_of_step = _claims_of(step, places, held)
            taken = next((c for c in claims_of_step if c.holder is not None), None)
            if taken is not None:
                why = f"{_address_of(held, taken)} is held by {taken.holder}."
                done[n] = dataclasses.replace(step, fate=Fate.REFUSED, why=why)
                continue
            for claim in claims_of_step:
                claim.holder = step.instance.name
            claimed[n] = claims_of_step
    servers = {
        n: _server(done[n], backend, _flavor(session, done[n].instance, flavors), places, image_ref)
        for n in claimed
    }
    session.add_all(servers.values())
    session.flush()  # their addresses and their audit name their ids
    claims.hold(session, ((c, servers[n].id) for n, mine in claimed.items() for c in mine))
    had = [
        Had(server.id, nic.network_id, address)
        for server in servers.values()
        for nic in server.nics
        for address in (nic.ipv4, nic.ipv6)
        if address is not None
    ]
    address_history.begin(session, had)
    for n, server in servers.items():
        _record(session, identity, done[n], server, backend, reason)
    if places.made:
        session.flush()
        move_all_lists(session.connection())
    return done


def _lock_addresses(
    session: Session,
    steps: Sequence[Step],
    places: Places,
    networks: Mapping[str, FoundNetwork],
) -> claims.Claims:
    """The addresses of instances that are to be adopted, on networks that are made if need be."""
    wanted: dict[int, set[str]] = {}
    for step in steps:
        if step.fate is not Fate.ADOPT:
            continue
        for nic in step.instance.nics:
            network = places.make(nic, networks)
            if nic.ip is not None and network.cidr is not None:
                wanted.setdefault(network.id, set()).add(nic.ip)
    return claims.lock(session, wanted)


def _claims_of(step: Step, places: Places, held: claims.Claims) -> list[Claim]:
    """The addresses of an instance that pools of ours have."""
    found = []
    for nic in step.instance.nics:
        network = places.find(nic)
        assert network is not None
        claim = held.get((network.id, nic.ip or ""))
        if claim is not None:
            found.append(claim)
    return found


def _address_of(held: claims.Claims, wanted: Claim) -> str:
    return next(address for (_, address), claim in held.items() if claim is wanted)


def _server(step: Step, backend: Backend, flavor: Flavor, places: Places, image_ref: str) -> Server:
    instance, owner = step.instance, step.owner
    assert owner is not None
    server = Server(
        user_id=owner.id,
        backend_id=backend.id,
        instance_name=instance.name,
        name=instance.name,
        flavor_id=flavor.id,
        image_ref=image_ref,
        state=OperState.STARTED if instance.running else OperState.STOPPED,
        state_time=utc_now(),
        build_percentage=100,
        nics=[],
        metadata_items=[],
    )
    for found in instance.nics:
        network = places.find(found)
        assert network is not None
        server.nics.append(
            Nic(
                network_id=network.id,
                index=found.index,
                name=found.name,
                mac=found.mac,
                ipv4=found.ip,
                ipv6=effects.ipv6_of(found.mac, network.cidr6),
            )
        )
    return server


def _record(
    session: Session,
    identity: Identity,
    step: Step,
    server: Server,
    backend: Backend,
    reason: str,
) -> None:
    assert step.owner is not None
    audit.record(
        session,
        identity,
        "server:import",
        "server",
        server.id,
        reason=reason,
        instance=step.instance.name,
        backend=backend.name,
        owner=step.owner.email,
        after=f"a server of {step.owner.email}",
    )


def _flavor(
    session: Session, instance: FoundInstance, flavors: dict[tuple[int, int, int, str], Flavor]
) -> Flavor:
    """The flavor of this size; a new one is not offered to users."""
    size = (instance.cpu, instance.ram_mb, instance.disk_gb, instance.disk_template)
    known = flavors.get(size)
    if known is not None:
        return known
    cpu, ram_mb, disk_gb, template = size
    made = Flavor(cpu=cpu, ram_mb=ram_mb, disk_gb=disk_gb, disk_template=template, deleted=True)
    session.add(made)
    session.flush()  # the server names its id
    flavors[size] = made
    return made
