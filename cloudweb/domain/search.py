"""Finding anything by what somebody has of it: an id, an address, a name, a job."""

import dataclasses
import ipaddress
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.models import (
    MAX_ID,
    AddressUse,
    Backend,
    CatalogueFlavor,
    ClusterJob,
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
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Hit:
    """Something found: of which kind, by what its page knows it, its name, and a word on it."""

    kind: str
    key: Any
    name: str
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """``exact`` are what the text names as a whole; ``groups`` what merely has it, by kind."""

    exact: list[Hit]
    groups: dict[str, list[Hit]]


def find(session: Session, text: str) -> Found:
    """What a text may mean; at most eleven statements, none where the text is empty."""
    text = text.strip()[:LONGEST]
    if not text:
        return Found([], {})
    exact = list({(hit.kind, hit.key): hit for hit in _exact(session, text)}.values())
    if len(exact) == 1:
        return Found(exact, {})
    groups: dict[str, list[Hit]] = {}
    for hit in [*exact, *_containing(session, text)]:
        group = groups.setdefault(hit.kind, [])
        if (hit.kind, hit.key) not in {(each.kind, each.key) for each in group}:
            group.append(hit)
    return Found(exact, groups)


def _exact(session: Session, text: str) -> Iterator[Hit]:
    """By the form of the text: what has just this."""
    if address := _address(text):
        yield from _by_address(session, address)
    elif subnet := _subnet(text):
        where = sa.or_(Network.cidr == subnet, Network.cidr6 == subnet)
        yield from _networks(session, where)
    elif _MAC.fullmatch(text):
        mac = text.lower().replace("-", ":")
        card = sa.select(Nic.server_id).where(Nic.mac == mac)
        yield from _servers(session, Server.id.in_(card))
    elif _UUID.fullmatch(text):
        yield from _images(session, Image.id == text.lower())
        yield from _promoted(session, CatalogueFlavor.flavor_id == text.lower())
    elif "@" in text:
        yield from _users(session, User.email == text.lower())
    elif vm := _VM.fullmatch(text):
        yield from _servers(session, _has_id(Server.id, vm[1]))
        yield from _servers(session, Server.instance_name == text)
    elif text.isascii() and text.isdigit():
        yield from _servers(session, _has_id(Server.id, text))
        yield from _operations(
            session, sa.or_(_has_id(Operation.id, text), _has_id(Operation.job_id, text))
        )
        yield from _networks(session, _has_id(Network.id, text))
    elif job := _JOB.fullmatch(text):
        named = sa.or_(
            Backend.name == job["backend"],
            Backend.name.startswith(f"{job['backend']}.", autoescape=True),
        )
        found = [*_jobs(session, sa.and_(named, _has_id(ClusterJob.job_id, job["job"])))]
        where = sa.and_(named, _has_id(Operation.job_id, job["job"]))
        yield from found or _operations(session, where)
    else:
        yield from _backends(session, Backend.name == text)
        yield from _regions(session, Infrastructure.name == text)
        yield from _promoted(session, CatalogueFlavor.name == text)


def _containing(session: Session, text: str) -> Iterator[Hit]:
    """What has the text somewhere in its name."""
    if text.isascii() and text.isdigit():
        return
    names = sa.or_(_has(Server.name, text), _has(Server.instance_name, text))
    yield from _servers(session, names)
    yield from _users(session, sa.or_(_has(User.email, text), _has(User.name, text)))
    yield from _networks(session, _has(Network.name, text))
    yield from _backends(session, _has(Backend.name, text))
    yield from _images(session, sa.or_(_has(Image.name, text), Image.id == text))
    yield from _promoted(session, _has(CatalogueFlavor.name, text))
    yield from _regions(session, _has(Infrastructure.name, text))


def _has(column: Any, text: str) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = column.icontains(text, autoescape=True)
    return found


def _has_id(column: Any, digits: str) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = column == min(int(digits[:19]), MAX_ID)
    return found


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _subnet(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False)) if "/" in text else ""
    except ValueError:
        return ""


def _by_address(session: Session, address: str) -> Iterator[Hit]:
    if ":" in address:
        cards = sa.select(Nic.server_id).where(Nic.ipv6 == address)
        yield from _servers(session, Server.id.in_(cards))
        return
    used = session.scalar(sa.select(AddressUse.id).where(AddressUse.address == address).limit(1))
    if used is not None:
        yield Hit("addresses", address, address, "who has and had it")
    else:
        cards = sa.select(Nic.server_id).where(Nic.ipv4 == address)
        yield from _servers(session, Server.id.in_(cards))


def _servers(session: Session, where: sa.ColumnElement[bool]) -> Iterator[Hit]:
    query = (
        sa.select(Server.id, Server.name, User.email, Server.deleted)
        .join(User, Server.user_id == User.id)
        .where(where)
        .order_by(Server.deleted, Server.id)
    )
    for id_, name, owner, deleted in session.execute(query.limit(SHOWN + 1)):
        yield Hit("vms", id_, name, f"{owner}{', deleted' if deleted else ''}")


def _users(session: Session, where: sa.ColumnElement[bool]) -> Iterator[Hit]:
    query = sa.select(User.id, User.email, User.name).where(where).order_by(User.email)
    for id_, email, name in session.execute(query.limit(SHOWN + 1)):
        yield Hit("users", id_, email, name)


def _networks(session: Session, where: sa.ColumnElement[bool]) -> Iterator[Hit]:
    query = sa.select(Network.id, Network.name, Network.cidr, Network.deleted).where(where)
    for id_, name, cidr, deleted in session.execute(
        query.order_by(Network.deleted, Network.id).limit(SHOWN + 1)
    ):
        yield Hit("networks", id_, name, "deleted" if deleted else cidr or "")


def _backends(session: Session, where: sa.ColumnElement[bool]) -> Iterator[Hit]:
    query = sa.select(Backend.id, Backend.name).where(where, Backend.removed.is_(None))
    for id_, name in session.execute(query.order_by(Backend.name).limit(SHOWN + 1)):
        yield Hit("backends", id_, name)


def _images(session: Session, where: sa.ColumnElement[bool]) -> Iterator[Hit]:
    query = sa.select(Image.id, Image.name, Image.deleted).where(where)
    for id_, name, deleted in session.execute(
        query.order_by(Image.deleted, Image.name, Image.id).limit(SHOWN + 1)
    ):
        yield Hit("images", id_, name, "deleted" if deleted else "")


def _operations(session: Session, where: sa.ColumnElement[bool]) -> Iterator[Hit]:
    query = (
        sa.select(Operation.id, Operation.opcode, Operation.target, Operation.job_id, Backend.name)
        .join(Backend, Backend.id == Operation.backend_id)
        .where(where)
        .order_by(Operation.id.desc())
    )
    for id_, opcode, target, job, backend in session.execute(query.limit(SHOWN + 1)):
        job_words = f", job {job} of {backend}" if job else f", {backend}"
        yield Hit("operations", id_, f"{id_}: {opcode}", f"{target}{job_words}")


def _jobs(session: Session, where: sa.ColumnElement[bool]) -> Iterator[Hit]:
    query = (
        sa.select(ClusterJob.job_id, ClusterJob.opcode, ClusterJob.target, Backend.name)
        .join(Backend, Backend.id == ClusterJob.backend_id)
        .where(where)
        .order_by(Backend.name)
    )
    for job_id, opcode, target, backend in session.execute(query.limit(SHOWN + 1)):
        yield Hit("jobs", f"{backend}:{job_id}", f"{job_id}: {opcode}", f"{target}, {backend}")


def _promoted(session: Session, where: sa.ColumnElement[bool]) -> Iterator[Hit]:
    query = sa.select(CatalogueFlavor.flavor_id, CatalogueFlavor.name).where(where)
    for id_, name in session.execute(query.order_by(CatalogueFlavor.name).limit(SHOWN + 1)):
        yield Hit("flavors", id_, name)


def _regions(session: Session, where: sa.ColumnElement[bool]) -> Iterator[Hit]:
    query = sa.select(Infrastructure.id, Infrastructure.name).where(where)
    for id_, name in session.execute(query.order_by(Infrastructure.name).limit(SHOWN + 1)):
        yield Hit("regions", id_, name)
