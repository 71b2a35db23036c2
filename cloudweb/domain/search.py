"""Finding anything by what somebody has of it: an id, an address, a name, a job."""

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import flavor_lists, flavors, keysets
from cloudweb.models import (
    MAX_ID,
    AddressUse,
    Backend,
    CatalogueFlavor,
    ClusterJob,
    Flavor,
    Image,
    Infrastructure,
    Network,
    Nic,
    Operation,
    Server,
    User,
)

SHOWN = 5
LONGEST = 254

_VM = re.compile(r"(?:vm|server|snf)[- #]?([0-9]{1,18})", re.IGNORECASE)
_MAC = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)
_JOB = re.compile(r"(?P<backend>\S+)[:/ ](?:job )?(?P<job>[0-9]{1,18})", re.IGNORECASE)
_Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

_PART_OF_ADDRESS = re.compile(r"[0-9]{1,3}\.(?:[0-9]{1,3}\.?){0,3}")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Hit:
    """Something found: of which kind, by what its page knows it, its name, and a word on it."""

    kind: str
    key: Any
    name: str
    note: str = ""


@dataclasses.dataclass(slots=True)
class Group:
    """Things of one kind: the first of them, and how many there are, counted to 10,001."""

    kind: str
    hits: list[Hit]
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """``exact`` are what the text names as a whole; ``groups`` what merely has it, by kind."""

    exact: list[Hit]
    groups: dict[str, Group]


def find(session: Session, text: str) -> Found:
    """What a text may mean; at most eleven statements, none where the text is empty."""
    text = text.strip()[:LONGEST]
    if not text:
        return Found([], {})
    named = list(_exact(session, text))
    exact = list({(hit.kind, hit.key): hit for group in named for hit in group.hits}.values())
    if len(exact) == 1:
        return Found(exact, {})
    groups: dict[str, Group] = {}
    for found in [*named, *_containing(session, text)]:
        group = groups.setdefault(found.kind, Group(found.kind, [], 0))
        keys = {hit.key for hit in group.hits}
        group.hits += [hit for hit in found.hits if hit.key not in keys]
        group.count = max(group.count, found.count, len(group.hits))
    return Found(exact, {kind: group for kind, group in groups.items() if group.hits})


def _exact(session: Session, text: str) -> Iterator[Group]:
    """By the form of the text: what has just this."""
    if address := _address(text):
        yield _by_address(session, address)
    elif subnet := _subnet(text):
        yield _networks(session, _around(subnet))
    elif _MAC.fullmatch(text):
        mac = text.lower().replace("-", ":")
        card = sa.select(Nic.server_id).where(Nic.mac == mac)
        yield _servers(session, Server.id.in_(card))
    elif _UUID.fullmatch(text):
        yield _images(session, Image.id == text.lower())
        yield _promoted(session, CatalogueFlavor.flavor_id == text.lower())
    elif "@" in text:
        yield _users(session, User.email == text.lower())
    elif size := flavors.read_name(text):
        yield _sizes(session, flavors.is_size(size))
        yield _promoted(session, CatalogueFlavor.name == text)
    elif vm := _VM.fullmatch(text):
        yield _servers(session, sa.or_(_has_id(Server.id, vm[1]), Server.instance_name == text))
    elif _is_number(text):
        yield _servers(session, _has_id(Server.id, text))
        yield _operations(
            session, sa.or_(_has_id(Operation.id, text), _has_id(Operation.job_id, text))
        )
        yield _networks(session, _has_id(Network.id, text))
        yield _jobs(session, sa.and_(_has_id(ClusterJob.job_id, text), _of_nobody()))
    elif job := _JOB.fullmatch(text):
        named = sa.or_(
            Backend.name == job["backend"],
            Backend.name.startswith(f"{job['backend']}.", autoescape=True),
        )
        found = _jobs(session, sa.and_(named, _has_id(ClusterJob.job_id, job["job"])))
        if not found.hits:
            found = _operations(session, sa.and_(named, _has_id(Operation.job_id, job["job"])))
        yield found
    elif not _PART_OF_ADDRESS.fullmatch(text):
        yield _backends(session, Backend.name == text)
        yield _regions(session, Infrastructure.name == text)
        yield _promoted(session, CatalogueFlavor.name == text)


def _containing(session: Session, text: str) -> Iterator[Group]:
    """What has the text somewhere in its name, or begins with it where it is an address."""
    if _is_number(text):
        return
    if _PART_OF_ADDRESS.fullmatch(text):
        yield _addresses(session, AddressUse.address.startswith(text, autoescape=True))
    yield _servers(session, sa.or_(_has(Server.name, text), _has(Server.instance_name, text)))
    yield _users(session, sa.or_(_has(User.email, text), _has(User.name, text)))
    yield _networks(session, _has(Network.name, text))
    yield _backends(session, _has(Backend.name, text))
    yield _images(session, sa.or_(_has(Image.name, text), Image.id == text))
    yield _sizes(session, _has(flavor_lists.NAME, text))
    yield _promoted(session, _has(CatalogueFlavor.name, text))
    yield _regions(session, _has(Infrastructure.name, text))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _has(column: Any, text: str) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = column.icontains(text, autoescape=True)
    return found


def _has_id(column: Any, digits: str) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = column == min(int(digits[:19]), MAX_ID)
    return found


def _of_nobody() -> sa.ColumnElement[bool]:
    """A job that no operation of ours asked for: those are found by their operation."""
    return ~sa.exists().where(
        Operation.backend_id == ClusterJob.backend_id, Operation.job_id == ClusterJob.job_id
    )


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _subnet(text: str) -> _Subnet | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _around(subnet: _Subnet) -> sa.ColumnElement[bool]:
    """A network that is this subnet, holds it or, in IPv4, is within it."""
    holding = [str(subnet.supernet(new_prefix=bits)) for bits in range(subnet.prefixlen + 1)]
    if isinstance(subnet, ipaddress.IPv6Network):
        return Network.cidr6.in_(holding)
    if subnet.prefixlen == 0:
        return Network.cidr.is_not(None)
    octets = -(-subnet.prefixlen // 8)
    starts = {
        ".".join(str(each.network_address).split(".")[:octets]) + (".", "/")[octets == 4]
        for each in subnet.subnets(new_prefix=octets * 8)
    }
    within = [Network.cidr.startswith(start) for start in sorted(starts)]
    return sa.or_(Network.cidr.in_(holding), *within)


def _by_address(session: Session, address: str) -> Group:
    used = _addresses(session, AddressUse.address == address)
    if used.hits:
        return used
    cards = sa.select(Nic.server_id).where(sa.or_(Nic.ipv4 == address, Nic.ipv6 == address))
    return _servers(session, Server.id.in_(cards))


# --- one statement each -------------------------------------------------------------------------


def _some(
    session: Session,
    kind: str,
    query: sa.Select[*tuple[Any, ...]],
    hit: Callable[..., tuple[Any, str, str]],
) -> Group:
    """The first of these, and how many there are; ``hit`` makes key, name and note of a row."""
    counted = query.add_columns(keysets.counting(query).scalar_subquery())
    rows = session.execute(counted.limit(SHOWN)).all()
    hits = [Hit(kind, *hit(*row[:-1])) for row in rows]
    return Group(kind, hits, rows[0][-1] if rows else 0)


def _addresses(session: Session, where: sa.ColumnElement[bool]) -> Group:
    """Each address once, with whether somebody has it now."""
    query = (
        sa.select(
            AddressUse.address,
            sa.func.max(sa.case((AddressUse.until.is_(None), 1), else_=0)),
        )
        .where(where)
        .group_by(AddressUse.address)
        .order_by(AddressUse.address)
    )
    return _some(
        session,
        "addresses",
        query,
        lambda address, now: (address, address, "in use" if now else "in use before"),
    )


def _servers(session: Session, where: sa.ColumnElement[bool]) -> Group:
    query = (
        sa.select(Server.id, Server.name, User.email, Server.deleted)
        .join(User, Server.user_id == User.id)
        .where(where)
        .order_by(Server.deleted, Server.id)
    )
    return _some(
        session,
        "vms",
        query,
        lambda id_, name, owner, deleted: (id_, name, f"{owner}{', deleted' if deleted else ''}"),
    )


def _users(session: Session, where: sa.ColumnElement[bool]) -> Group:
    query = sa.select(User.id, User.email, User.name).where(where).order_by(User.email)
    return _some(session, "users", query, lambda id_, email, name: (id_, email, name))


def _networks(session: Session, where: sa.ColumnElement[bool]) -> Group:
    query = (
        sa.select(Network.id, Network.name, Network.cidr, Network.deleted)
        .where(where)
        .order_by(Network.deleted, Network.id)
    )
    return _some(
        session,
        "networks",
        query,
        lambda id_, name, cidr, deleted: (id_, name, "deleted" if deleted else cidr or ""),
    )


def _backends(session: Session, where: sa.ColumnElement[bool]) -> Group:
    query = sa.select(Backend.id, Backend.name).where(where, Backend.removed.is_(None))
    return _some(
        session, "backends", query.order_by(Backend.name), lambda id_, name: (id_, name, "")
    )


def _images(session: Session, where: sa.ColumnElement[bool]) -> Group:
    query = (
        sa.select(Image.id, Image.name, Image.deleted)
        .where(where)
        .order_by(Image.deleted, Image.name, Image.id)
    )
    return _some(
        session,
        "images",
        query,
        lambda id_, name, deleted: (id_, name, "deleted" if deleted else ""),
    )


def _operations(session: Session, where: sa.ColumnElement[bool]) -> Group:
    query = (
        sa.select(Operation.id, Operation.opcode, Operation.target, Operation.job_id, Backend.name)
        .join(Backend, Backend.id == Operation.backend_id)
        .where(where)
        .order_by(Operation.id.desc())
    )

    def hit(
        id_: int, opcode: str, target: str, job: int | None, backend: str
    ) -> tuple[int, str, str]:
        job_words = f", job {job} of {backend}" if job else f", {backend}"
        return id_, f"{id_}: {opcode}", f"{target}{job_words}"

    return _some(session, "operations", query, hit)


def _jobs(session: Session, where: sa.ColumnElement[bool]) -> Group:
    query = (
        sa.select(ClusterJob.job_id, ClusterJob.opcode, ClusterJob.target, Backend.name)
        .join(Backend, Backend.id == ClusterJob.backend_id)
        .where(where)
        .order_by(Backend.name)
    )
    return _some(
        session,
        "jobs",
        query,
        lambda job, opcode, target, backend: (
            f"{backend}:{job}",
            f"{job}: {opcode}",
            f"{target}, {backend}",
        ),
    )


def _sizes(session: Session, where: sa.ColumnElement[bool]) -> Group:
    """Those of the compute API."""
    query = (
        sa.select(Flavor.id, flavor_lists.NAME, Flavor.deleted)
        .where(where)
        .order_by(Flavor.deleted, Flavor.cpu, Flavor.ram_mb, Flavor.disk_gb, Flavor.id)
    )
    return _some(
        session,
        "sizes",
        query,
        lambda id_, name, deleted: (id_, name, "not offered" if deleted else ""),
    )


def _promoted(session: Session, where: sa.ColumnElement[bool]) -> Group:
    query = sa.select(CatalogueFlavor.flavor_id, CatalogueFlavor.name).where(where)
    return _some(
        session,
        "flavors",
        query.order_by(CatalogueFlavor.name),
        lambda id_, name: (id_, name, ""),
    )


def _regions(session: Session, where: sa.ColumnElement[bool]) -> Group:
    query = sa.select(Infrastructure.id, Infrastructure.name).where(where)
    return _some(
        session,
        "regions",
        query.order_by(Infrastructure.name),
        lambda id_, name: (id_, name, ""),
    )
