"""Users as operators' lists show them."""

import dataclasses
from typing import Any

import sqlalchemy as sa

from cloudweb.domain.filters import Field, Fields
from cloudweb.models import Server, User

_SERVERS = (
    sa.select(sa.func.count())
    .select_from(Server)
    .where(Server.user_id == User.id, Server.deleted == sa.false())
    .correlate(User)
    .scalar_subquery()
)


@dataclasses.dataclass(frozen=True, slots=True)
class UserRow:
    """A user, and how many servers they have."""

    user: User
    servers: int


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
    servers=Field.of(_SERVERS, nullable=False),
)
"""What users are filtered and sorted by; ``factor``: whether they have a second one."""


def rows() -> sa.Select[Any]:
    """Every user, with how many servers they have."""
    return sa.select(User, _SERVERS)
