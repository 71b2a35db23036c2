"""Promoted flavors: recommended ones, that every region should have."""

import dataclasses
import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, catalogue, infrastructures
from cloudweb.domain.catalogue import Offer
from cloudweb.domain.filters import ALL, Selection
from cloudweb.domain.identity import Identity
from cloudweb.models import CatalogueFlavor, CatalogueNode, Install, InstallResult
from cloudweb.specifications import Specification

_IN_USE = (
    "The method specified in the Request-Line is not allowed, since the flavor is not promoted "
    "or there are nodes associated to the flavor"
)


def list_all(session: Session, selection: Selection = ALL) -> list[Offer]:
    """The promoted flavors (that are selected), by name; two statements."""
    return catalogue.offers(session, CatalogueFlavor.promoted == sa.true(), selection=selection)


def get(session: Session, flavor_id: str) -> CatalogueFlavor:
    """The promoted flavor. Raises UnknownThere."""
    row = catalogue.find(session, flavor_id)
    if row is None:
        raise faults.UnknownThere
    if not row.promoted:
        raise faults.UnknownThere("The requested resource is not promoted")
    return row


def find(session: Session, key: str) -> CatalogueFlavor:
    """The promoted flavor of this name or this id. Raises UnknownThere."""
    rows = session.scalars(
        sa.select(CatalogueFlavor).where(
            CatalogueFlavor.promoted == sa.true(),
            sa.or_(CatalogueFlavor.name == key, CatalogueFlavor.flavor_id == key),
        )
    ).all()
    by_name = [row for row in rows if row.name == key]
    if not rows:
        raise faults.UnknownThere(f"No promoted flavor {key}")
    return (by_name or list(rows))[0]


def create(
    session: Session, identity: Identity, flavor: Specification, nodes: Sequence[str] = ()
) -> CatalogueFlavor:
    """A new promoted flavor, which these nodes have already. Raises BadRequest, Conflict."""
    if not flavor.id:
        flavor = dataclasses.replace(flavor, id=str(uuid.uuid4()))
    known = infrastructures.get_nodes(session, nodes) if nodes else []
    return catalogue.add(session, identity, flavor, known, promoted=True)


def delete(session: Session, identity: Identity, flavor_id: str) -> None:
    """Forget a promoted flavor that is nowhere. Raises UnknownThere, NotAllowed."""
    row = catalogue.find(session, flavor_id, lock=True)
    if row is None:
        raise faults.UnknownThere
    node = sa.select(CatalogueNode.catalogue_id).where(CatalogueNode.catalogue_id == row.id)
    if not row.promoted or session.scalar(node.limit(1)) is not None:
        raise faults.NotAllowed(_IN_USE)
    _forget(session, identity, row)


def take_back(session: Session, identity: Identity, flavor_id: str) -> None:
    """Have a flavor that was just promoted be none; who has it keeps it. Raises UnknownThere."""
    row = catalogue.find(session, flavor_id, lock=True)
    if row is None:
        raise faults.UnknownThere
    session.execute(sa.delete(CatalogueNode).where(CatalogueNode.catalogue_id == row.id))
    _forget(session, identity, row)


def _forget(session: Session, identity: Identity, row: CatalogueFlavor) -> None:
    flavor = dataclasses.asdict(catalogue.specification_of(row))
    before = {name: value for name, value in flavor.items() if name not in ("id", "access")}
    remove(session, row)
    audit.record(
        *(session, identity, "promoted:delete", "catalogue", row.flavor_id),
        name=row.name,
        before=before,
    )


def remove(session: Session, row: CatalogueFlavor) -> None:
    """Take a flavor out of the catalogue, with what was ordered of it."""
    orders = sa.select(Install.id).where(Install.catalogue_id == row.id).scalar_subquery()
    session.execute(sa.delete(InstallResult).where(InstallResult.install_id.in_(orders)))
    session.execute(sa.delete(Install).where(Install.catalogue_id == row.id))
    session.delete(row)
