"""The catalogue of published and promoted flavors, where each is, and the list of all flavors."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, infrastructures, regions
from cloudweb.domain.filters import ALL, Fields, Selection
from cloudweb.domain.identity import Identity
from cloudweb.models import CatalogueFlavor, CatalogueNode, Infrastructure
from cloudweb.specifications import Specification

UNPUBLISHED = "A flavor cannot be unpublished or unpromoted"
_FIELDS = ("name", "vcpus", "ram_mb", "disk_gb", "swap_mb", "ephemeral_gb", "rxtx_factor")


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """A flavor as the federation shows it: published, promoted, and in which nodes."""

    id: str
    name: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    swap_mb: int
    promoted: bool
    public: bool
    nodes: Sequence[str]


def offer_of(flavor: Specification, nodes: Iterable[str]) -> Offer:
    """A flavor that is not in the catalogue."""
    return Offer(
        flavor.id,
        flavor.name,
        flavor.vcpus,
        flavor.ram_mb,
        flavor.disk_gb,
        flavor.swap_mb,
        promoted=False,
        public=False,
        nodes=sorted(nodes),
    )


def specification_of(row: CatalogueFlavor, keystone_url: str | None = None) -> Specification:
    """What to install, in a region with that Keystone: projects of another one mean nothing."""
    values = {name: getattr(row, name) for name in _FIELDS}
    ours = keystone_url is not None and keystone_url == row.access_keystone
    return Specification(
        id=row.flavor_id,
        is_public=row.is_public,
        extra_specs=row.extra_specs,
        access=tuple(row.access) if ours else (),
        **values,
    )


def for_keystone(
    row: CatalogueFlavor | None, flavor: Specification, origin: str | None, keystone_url: str
) -> Specification:
    """What to install in a region with that Keystone; ``origin`` is where a private one is from."""
    if row is not None:
        return specification_of(row, keystone_url)
    return flavor if origin == keystone_url else dataclasses.replace(flavor, access=())


def find(session: Session, flavor_id: str, *, lock: bool = False) -> CatalogueFlavor | None:
    """The flavor of the catalogue with this id, if any."""
    query = sa.select(CatalogueFlavor).where(CatalogueFlavor.flavor_id == flavor_id)
    return session.scalar(query.with_for_update() if lock else query)


FIELDS = Fields(
    id=CatalogueFlavor.flavor_id,
    name=CatalogueFlavor.name,
    cpu=CatalogueFlavor.vcpus,
    ram=CatalogueFlavor.ram_mb,
    disk=CatalogueFlavor.disk_gb,
    swap=CatalogueFlavor.swap_mb,
    promoted=CatalogueFlavor.promoted,
    created=CatalogueFlavor.created,
)
"""What flavors of the catalogue are filtered and sorted by; memory in MB, disk in GB."""


def offers(
    session: Session, *conditions: sa.ColumnElement[bool], selection: Selection = ALL
) -> list[Offer]:
    """The flavors of the catalogue of which this is true, by name; two statements."""
    query = sa.select(CatalogueFlavor).where(*conditions).order_by(CatalogueFlavor.name)
    rows = session.scalars(selection.apply(query, FIELDS)).all()
    nodes: dict[int, list[str]] = {}
    where = session.execute(
        sa.select(CatalogueNode.catalogue_id, Infrastructure.name)
        .join(Infrastructure, Infrastructure.id == CatalogueNode.infrastructure_id)
        .join(CatalogueFlavor, CatalogueFlavor.id == CatalogueNode.catalogue_id)
        .where(*conditions)
        .order_by(Infrastructure.name)
    )
    for catalogue_id, name in where:
        nodes.setdefault(catalogue_id, []).append(name)
    return [_offer(row, nodes.get(row.id, [])) for row in rows]


def _offer(row: CatalogueFlavor, nodes: Sequence[str]) -> Offer:
    return Offer(
        row.flavor_id,
        row.name,
        row.vcpus,
        row.ram_mb,
        row.disk_gb,
        row.swap_mb,
        promoted=row.promoted,
        public=True,
        nodes=nodes,
    )


def offer(session: Session, row: CatalogueFlavor) -> Offer:
    """One flavor of the catalogue."""
    return offers(session, CatalogueFlavor.id == row.id)[0]


def list_everything(
    session: Session, *, public: bool | None, promoted: bool | None
) -> tuple[list[Offer], dt.datetime | None]:
    """The catalogue and what else the regions have, as far as wanted; and how old that is.

    A region's flavor is left out where the catalogue has it: by its id, with the same hardware.
    """
    conditions = [] if promoted is None else [CatalogueFlavor.promoted == promoted]
    listed = offers(session, *conditions) if public is not False else []
    if public or promoted:
        return listed, None
    known = infrastructures.list_all(session)
    published = {
        (row.flavor_id, row.name): specification_of(row)
        for row in session.scalars(sa.select(CatalogueFlavor))
    }
    names = {region.id: region.name for region in known}
    private: dict[tuple[object, ...], tuple[Specification, list[str]]] = {}
    for region_id, flavors in regions.list_all(session).items():
        for flavor in flavors:
            twin = published.get((flavor.id, flavor.name))
            if twin is not None and twin.hardware == flavor.hardware:
                continue
            key = (flavor.id, flavor.name, flavor.hardware)
            private.setdefault(key, (flavor, []))[1].append(names[region_id])
    found = sorted(private.values(), key=lambda item: (item[0].name, item[0].id, min(item[1])))
    listed += [offer_of(flavor, nodes) for flavor, nodes in found]
    return listed, regions.oldest(known)


def check_flags(row: CatalogueFlavor | None, *, public: bool | None, promoted: bool | None) -> None:
    """Refuses what cannot be: to promote what is private, and to take back what was published.

    Raises BadRequest, Conflict.
    """
    if promoted and (public is False or (row is None and not public)):
        raise faults.BadRequest("A flavor cannot be promoted and private")
    if row is not None and (public is False or (row.promoted and promoted is False)):
        raise faults.Conflict(UNPUBLISHED)


def check_may_promote(identity: Identity, row: CatalogueFlavor | None) -> None:
    """Raises PromotionRefused unless promoting is this actor's business, or done already."""
    if not infrastructures.manages_all(identity) and not (row is not None and row.promoted):
        raise faults.PromotionRefused


def check_free(session: Session, flavor: Specification) -> None:
    """Raises Conflict when a flavor of the catalogue has this name or this id."""
    taken = session.scalars(
        sa.select(CatalogueFlavor).where(
            sa.or_(CatalogueFlavor.name == flavor.name, CatalogueFlavor.flavor_id == flavor.id)
        )
    ).all()
    if any(row.name == flavor.name for row in taken):
        raise faults.Conflict(name_taken(flavor.name))
    if taken:
        raise faults.Conflict(f"The there is already a flavor with the id {flavor.id}")


def name_taken(name: str) -> str:
    """The sentence that clients know."""
    return f"The there is already a flavor named {name}"


def add(
    session: Session,
    identity: Identity,
    flavor: Specification,
    nodes: Sequence[Infrastructure] = (),
    *,
    promoted: bool,
    access_keystone: str = "",
) -> CatalogueFlavor:
    """Put a flavor into the catalogue, where these nodes have it. Raises Conflict."""
    check_free(session, flavor)
    row = CatalogueFlavor(
        flavor_id=flavor.id,
        extra_specs=dict(flavor.extra_specs or {}),
        is_public=flavor.is_public,
        access=list(flavor.access or ()),
        access_keystone=access_keystone,
        promoted=promoted,
        **{name: getattr(flavor, name) for name in _FIELDS},
    )
    session.add(row)
    session.flush()  # the nodes and the audit entry name its id
    for node in nodes:
        add_node(session, row, node, flavor.id)
    verb = "promoted:create" if promoted else "flavor:publish"
    names = [node.name for node in nodes]
    audit.record(
        *(session, identity, verb, "catalogue", flavor.id),
        name=flavor.name,
        nodes=names,
        after="promoted" if promoted else "published",
    )
    return row


def promote(session: Session, identity: Identity, row: CatalogueFlavor) -> None:
    """Recommend a published flavor everywhere; doing it twice changes nothing."""
    if not row.promoted:
        row.promoted = True
        _record(session, identity, row, "flavor:promote", "published", "promoted")


def demote(session: Session, identity: Identity, row: CatalogueFlavor) -> None:
    """Recommend a flavor no longer; it stays published."""
    row.promoted = False
    _record(session, identity, row, "flavor:demote", "promoted", "published")


def _record(
    session: Session, identity: Identity, row: CatalogueFlavor, verb: str, before: str, after: str
) -> None:
    audit.record(
        *(session, identity, verb, "catalogue", row.flavor_id),
        name=row.name,
        before=before,
        after=after,
    )


def add_node(session: Session, row: CatalogueFlavor, node: Infrastructure, flavor_id: str) -> None:
    """Note that the flavor is in this region, under this id."""
    known = session.get(CatalogueNode, (row.id, node.id))
    if known is None:
        new = CatalogueNode(catalogue_id=row.id, infrastructure_id=node.id, flavor_id=flavor_id)
        session.add(new)
    else:
        known.flavor_id = flavor_id


def nodes_of(session: Session, row: CatalogueFlavor) -> list[tuple[Infrastructure, str]]:
    """The regions where the flavor is, by name, and its id there."""
    found = session.execute(
        sa.select(Infrastructure, CatalogueNode.flavor_id)
        .join(CatalogueNode, CatalogueNode.infrastructure_id == Infrastructure.id)
        .where(CatalogueNode.catalogue_id == row.id)
        .order_by(Infrastructure.name)
    )
    return [(infrastructure, flavor_id) for infrastructure, flavor_id in found]
