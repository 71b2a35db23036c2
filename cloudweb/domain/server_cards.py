"""The cards of servers, for operators' lists: read, filtered and sorted by."""

import dataclasses
from collections.abc import Collection
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session, joinedload

from cloudweb.domain.filters import Condition, Field
from cloudweb.models import Network, Nic, NicState, Server


def list_cards(session: Session, server_ids: Collection[int]) -> dict[int, list[Nic]]:
    """The cards of these servers, in their order, with their networks; one statement."""
    found: dict[int, list[Nic]] = {id_: [] for id_ in server_ids}
    query = sa.select(Nic).options(joinedload(Nic.network))
    query = query.where(Nic.server_id.in_(server_ids), Nic.state != NicState.ADDING)
    for card in session.scalars(query.order_by(Nic.server_id, Nic.index, Nic.id)):
        found[card.server_id].append(card)
    return found


def first(column: InstrumentedAttribute[Any]) -> sa.ScalarSelect[Any]:
    """That of a server's first card, in a query of servers."""
    query = sa.select(column).select_from(Nic).join(Network, Network.id == Nic.network_id)
    query = query.where(Nic.server_id == Server.id).order_by(Nic.index, Nic.id).limit(1)
    return query.correlate(Server).scalar_subquery()


@dataclasses.dataclass(frozen=True)
class CardField(Field):
    """Something of cards: a server has it if one of its cards does; sorted by the first card's."""

    each: Field | None = None

    @classmethod
    def over(cls, column: InstrumentedAttribute[Any]) -> Self:
        """The field of a column of cards, or of their networks."""
        field = cls.of(first(column), nullable=True)
        return dataclasses.replace(field, each=Field.of(column))

    def compare(self, operator: str, value: str) -> Condition:
        assert self.each is not None
        if not value:
            having = _any(self.each.compare("!=", "")) if operator in ("=", "!=") else None
            if having is None:
                return super().compare(operator, value)
            return having if operator == "!=" else sa.not_(having)
        if operator == "!=":
            return sa.not_(_any(self.each.compare("=", value)))
        return _any(self.each.compare(operator, value))


def _any(condition: Condition) -> Condition:
    query = sa.select(sa.literal(1)).select_from(Nic).join(Network, Network.id == Nic.network_id)
    return query.where(Nic.server_id == Server.id, condition).correlate(Server).exists()
