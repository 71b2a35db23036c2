"""Users as operators' lists show them."""

import dataclasses
import datetime as dt
from typing import Any

import sqlalchemy as sa

from cloudweb.domain import terms
from cloudweb.domain.filters import Field, Fields
from cloudweb.domain.quota_use import Use
from cloudweb.models import Acceptance, Server, User, UserState, utc_now

_SERVERS = (
    sa.select(sa.func.count())
    .select_from(Server)
    .where(Server.user_id == User.id, Server.deleted == sa.false())
    .correlate(User)
    .scalar_subquery()
)


_ACCEPTED = (
    sa.select(sa.func.max(Acceptance.at))
    .where(Acceptance.user_id == User.id)
    .correlate(User)
    .scalar_subquery()
)
_NOW = sa.bindparam(None, callable_=utc_now, type_=Acceptance.at.type)
_OWES = sa.and_(
    User.state == UserState.ACTIVE,
    User.terms_number < sa.func.coalesce(terms.number_in_force(_NOW, demanding=True), 0),
)


@dataclasses.dataclass(frozen=True, slots=True)
class UserRow:
    """A user, how many servers they have, when they last accepted terms, and whether they owe it.

    ``use`` is the nearest of their limits.
    """

    user: User
    servers: int
    accepted: dt.datetime | None
    owes: bool
    use: Use | None = None


FIELDS = Fields(
    id=User.id,
    email=User.email,
    name=User.name,
    state=User.state,
    role=User.role,
    factor=Field.of(User.totp_sealed.is_not(None), nullable=False),
    created=User.created,
    verified=User.verified,
    seen=User.last_seen,
    terms=User.terms_number,
    accepted=Field.of(_ACCEPTED),
    owes=Field.of(_OWES, nullable=False),
    servers=Field.of(_SERVERS, nullable=False),
)
"""What users are filtered and sorted by; ``factor``: whether they have a second one; ``owes``:
whether they have yet to accept terms.
"""


def rows() -> sa.Select[Any]:
    """What every UserRow is made of."""
    return sa.select(User, _SERVERS, _ACCEPTED, _OWES)
