"""Where a flavor of the federation is: in the catalogue, or as a region's own."""

import dataclasses
from collections.abc import Sequence

from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import catalogue, infrastructures, promoted, regions
from cloudweb.domain.catalogue import Offer
from cloudweb.domain.identity import Identity
from cloudweb.models import CatalogueFlavor, CatalogueNode, Infrastructure
from cloudweb.specifications import Specification


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A flavor, ``row`` where it is published, and the regions that have it, with its id there."""

    flavor: Specification
    row: CatalogueFlavor | None
    nodes: Sequence[tuple[Infrastructure, str]]

    @property
    def offer(self) -> Offer:
        """The flavor as the federation shows it."""
        names = [region.name for region, _ in self.nodes]
        shown = catalogue.offer_of(self.flavor, names)
        row = self.row
        return dataclasses.replace(
            shown, public=row is not None, promoted=row is not None and row.promoted
        )


def resolve(
    session: Session, identity: Identity, flavor_id: str, node: str | None = None
) -> Source:
    """The flavor with this id, in this node where one is named.

    Regions may use one id for different flavors: then it is the caller's own region's.
    Raises ItemNotFound, and Conflict where it cannot be told which is meant.
    """
    row = catalogue.find(session, flavor_id)
    if row is not None:
        nodes = [n for n in catalogue.nodes_of(session, row) if node in (None, n[0].name)]
        return Source(catalogue.specification_of(row), row, nodes)
    found = [f for f in regions.find_flavor(session, flavor_id) if node in (None, f[0].name)]
    if not found:
        raise faults.ItemNotFound(f"The flavor {flavor_id} does not exist")
    own = [(region, flavor) for region, flavor in found if region.owner == identity.email]
    chosen = own or found
    if len({(flavor.name, flavor.hardware) for _, flavor in chosen}) > 1:
        names = ", ".join(region.name for region, _ in chosen)
        raise faults.Conflict(f"The flavor {flavor_id} is not the same in {names}: add ?node=")
    flavor = chosen[0][1]
    return Source(flavor, None, [(region, flavor.id) for region, _ in chosen])


def choose_node(session: Session, identity: Identity, names: Sequence[str]) -> Infrastructure:
    """Where a new flavor is to be made: the node that is named, else the caller's only one.

    Raises BadRequest, Conflict, Forbidden.
    """
    if len(names) > 1:
        raise faults.BadRequest("A new flavor is made in one node")
    if names:
        [named] = infrastructures.get_nodes(session, names)
        infrastructures.check_manages(identity, named)
        return named
    known = infrastructures.list_all(session)
    own = [region for region in known if region.owner == identity.email]
    if not own and infrastructures.manages_all(identity):
        own = list(known)
    if not own:
        raise faults.Conflict("You have no infrastructure to make a flavor in")
    if len(own) > 1:
        raise faults.Conflict("You have several infrastructures: say in which node to make it")
    return own[0]


def choose_nodes_to_leave(identity: Identity, source: Source) -> list[tuple[Infrastructure, str]]:
    """Where the flavor is to be deleted: in the caller's own regions.

    Who manages all of them and has none of their own says which, unless there is only one.
    Raises ItemNotFound, Conflict, Forbidden.
    """
    own = [node for node in source.nodes if node[0].owner == identity.email]
    if own:
        return own
    if not source.nodes:
        raise faults.ItemNotFound(f"The flavor {source.flavor.id} does not exist")
    if len(source.nodes) > 1 and infrastructures.manages_all(identity):
        names = ", ".join(region.name for region, _ in source.nodes)
        raise faults.Conflict(f"The flavor {source.flavor.id} is in {names}: add ?node=")
    infrastructures.check_manages(identity, source.nodes[0][0])
    return [source.nodes[0]]


def leave(session: Session, flavor_id: str, region: Infrastructure) -> None:
    """Note that a flavor is in this region no more; what is nowhere and not promoted, goes."""
    regions.forget_one(session, region.id, flavor_id)
    row = catalogue.find(session, flavor_id, lock=True)
    if row is None:
        return
    node = session.get(CatalogueNode, (row.id, region.id))
    if node is not None:
        regions.forget_one(session, region.id, node.flavor_id)
        session.delete(node)
        session.flush()  # the next statement counts what is left
    if not row.promoted and not catalogue.nodes_of(session, row):
        promoted.remove(session, row)
