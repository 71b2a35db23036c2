"""Versions of the terms of use as operators' lists show them."""

import dataclasses
from typing import Any

import sqlalchemy as sa

from cloudweb.domain import terms
from cloudweb.domain.filters import Field, Fields
from cloudweb.domain.terms import TermsState
from cloudweb.models import Acceptance, Terms, User, UserState, utc_now

_NOW = sa.bindparam(None, callable_=utc_now, type_=Terms.in_force.type)
_CURRENT = sa.func.coalesce(terms.number_in_force(_NOW), 0)
_STATE = sa.case(
    (Terms.number.is_(None), TermsState.DRAFT.value),
    (Terms.number > _CURRENT, TermsState.SCHEDULED.value),
    (Terms.number == _CURRENT, TermsState.IN_FORCE.value),
    else_=TermsState.SUPERSEDED.value,
)
_ACCEPTED = (
    sa.select(sa.func.count())
    .select_from(Acceptance)
    .where(Acceptance.terms_id == Terms.id)
    .correlate(Terms)
    .scalar_subquery()
)
_DEMANDED = terms.number_in_force(_NOW, demanding=True)
_OWED = sa.case(
    (
        Terms.number == _DEMANDED,
        sa.select(sa.func.count())
        .select_from(User)
        .where(User.state == UserState.ACTIVE, User.terms_number < Terms.number)
        .correlate(Terms)
        .scalar_subquery(),
    )
)
FIELDS = Fields(
    id=Terms.id,
    version=Terms.number,
    draft=Field.of(Terms.number.is_(None), nullable=False),
    state=Field.of(_STATE, words={each.value: each.value for each in TermsState}, nullable=False),
    format=Terms.format,
    summary=Terms.summary,
    required=Terms.requires_acceptance,
    author=Terms.author,
    in_force=Terms.in_force,
    published=Terms.published,
    created=Terms.created,
    accepted=Field.of(_ACCEPTED, nullable=False),
)
"""What versions are filtered and sorted by; ``accepted``: by how many."""


@dataclasses.dataclass(frozen=True, slots=True)
class TermsRow:
    """A version or draft, what it is, and how many accepted it.

    ``owed``: of the last that had to be accepted, how many active users have yet to do so.
    """

    terms: Terms
    state: str
    accepted: int
    owed: int | None


def rows() -> sa.Select[Any]:
    """What every TermsRow is made of: drafts first, then the newest."""
    order = (Terms.number.is_not(None), Terms.number.desc(), Terms.id.desc())
    return sa.select(Terms, _STATE, _ACCEPTED, _OWED).order_by(*order)
