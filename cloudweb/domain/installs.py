"""Orders to have a promoted flavor in regions: one order, a result per region, each tried alone."""

import dataclasses
import datetime as dt
import secrets
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, catalogue, infrastructures, regions
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    CatalogueFlavor,
    Infrastructure,
    Install,
    InstallResult,
    ResultState,
    utc_now,
)
from cloudweb.specifications import Specification


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """What one region is to have; a plain value that outlives its session."""

    install_id: int
    claim: str
    region: Infrastructure
    wanted: Specification
    mend: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What became of an order in one region."""

    region: str
    state: ResultState
    message: str
    attempts: int


def start(
    session: Session,
    identity: Identity,
    row: CatalogueFlavor,
    names: Sequence[str] = (),
    *,
    mend: bool = False,
) -> Install:
    """Order the flavor for these regions, or all; workers, or the caller, do it afterwards.

    Raises BadRequest, Conflict for regions that are not there, Forbidden for other people's.
    """
    known = infrastructures.list_all(session)
    chosen = infrastructures.get_nodes(session, names) if names else known
    if not chosen:
        raise faults.BadRequest("There is no region to install in.")
    for region in chosen:
        infrastructures.check_manages(identity, region)
    order = Install(catalogue_id=row.id, mend=mend, actor=identity.email)
    session.add(order)
    session.flush()  # the results name its id
    for region in chosen:
        session.add(InstallResult(install_id=order.id, infrastructure_id=region.id))
    where = [region.name for region in chosen]
    audit.record(
        session, identity, "promoted:install", "catalogue", row.flavor_id, nodes=where, mend=mend
    )
    return order


def get(session: Session, install_id: int) -> Install:
    """The order. Raises ItemNotFound."""
    order = session.get(Install, install_id)
    if order is None:
        raise faults.ItemNotFound(f"No installation {install_id}.")
    return order


def list_of(session: Session, row: CatalogueFlavor, *, limit: int = 20) -> Sequence[Install]:
    """The newest orders to have a flavor somewhere."""
    query = sa.select(Install).where(Install.catalogue_id == row.id)
    return session.scalars(query.order_by(Install.id.desc()).limit(limit)).all()


def flavor_of(session: Session, order: Install) -> CatalogueFlavor:
    """The flavor that an order is about."""
    return session.get_one(CatalogueFlavor, order.catalogue_id)


def results(session: Session, install_id: int) -> list[Result]:
    """What became of the order, by region."""
    rows = session.execute(
        sa.select(Infrastructure.name, InstallResult)
        .join(Infrastructure, Infrastructure.id == InstallResult.infrastructure_id)
        .where(InstallResult.install_id == install_id)
        .order_by(Infrastructure.name)
    )
    return [Result(name, row.state, row.message, row.attempts) for name, row in rows]


def retry(session: Session, identity: Identity, install_id: int, names: Sequence[str] = ()) -> int:
    """Let what failed, there or anywhere, be tried again; how many regions that are."""
    order = get(session, install_id)
    query = sa.select(InstallResult).where(
        InstallResult.install_id == order.id, InstallResult.state == ResultState.FAILED
    )
    if names:
        ids = [region.id for region in infrastructures.get_nodes(session, names)]
        query = query.where(InstallResult.infrastructure_id.in_(ids))
    failed = session.scalars(query.with_for_update()).all()
    for row in failed:
        row.state, row.lease = ResultState.WAITING, None
    if failed:
        audit.record(session, identity, "promoted:retry", "install", order.id, regions=len(failed))
    return len(failed)


def count_open(session: Session) -> int:
    """How many results wait for somebody."""
    query = sa.select(sa.func.count()).select_from(InstallResult).where(_open(utc_now()))
    return session.scalar(query) or 0


def _open(now: dt.datetime) -> sa.ColumnElement[bool]:
    return sa.or_(
        InstallResult.state == ResultState.WAITING,
        sa.and_(InstallResult.state == ResultState.RUNNING, InstallResult.lease < now),
    )


def claim(
    session: Session, *, lease_s: float, limit: int = 20, install_id: int | None = None
) -> list[Task]:
    """Results to work on, nobody else's until the lease ends: waiting ones, and abandoned ones."""
    now = utc_now()
    query = sa.select(InstallResult).where(_open(now))
    if install_id is not None:
        query = query.where(InstallResult.install_id == install_id)
    rows = session.scalars(query.limit(limit).with_for_update(skip_locked=True)).all()
    tasks = []
    for row in rows:
        row.state, row.claim = ResultState.RUNNING, secrets.token_hex(16)
        row.lease = now + dt.timedelta(seconds=lease_s)
        row.attempts += 1
        tasks.append(_task(session, row))
    return tasks


def _task(session: Session, row: InstallResult) -> Task:
    order = session.get_one(Install, row.install_id)
    flavor = session.get_one(CatalogueFlavor, order.catalogue_id)
    region = session.get_one(Infrastructure, row.infrastructure_id)
    wanted = catalogue.specification_of(flavor, region.keystone_url)
    return Task(order.id, row.claim, region, wanted, order.mend)


def finish(
    session: Session,
    task: Task,
    state: ResultState,
    message: str = "",
    made: Specification | None = None,
) -> bool:
    """Keep what became of a task; whether it was still this claim's."""
    # Region, flavor, result: who removes one of the first two takes the results after it.
    session.get(Infrastructure, task.region.id, with_for_update=True)
    flavor = catalogue.find(session, task.wanted.id, lock=True)
    row = session.get(InstallResult, (task.install_id, task.region.id), with_for_update=True)
    if row is None:
        return False
    if made is not None and flavor is not None:
        # Whoever finishes it: it is there.
        catalogue.add_node(session, flavor, task.region, made.id)
        regions.keep_one(session, task.region.id, made)
    if row.claim != task.claim:
        return False
    row.state, row.message = state, message[:500]
    row.lease, row.finished = None, utc_now()
    return True
