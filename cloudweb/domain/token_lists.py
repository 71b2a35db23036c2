"""API tokens as operators' lists show them: without what makes them tokens."""

import sqlalchemy as sa

from cloudweb.domain.filters import Field, Fields
from cloudweb.models import Token, User, utc_now

_STATE = sa.case(
    (Token.revoked.is_not(None), "revoked"),
    (Token.expires <= sa.bindparam(None, callable_=utc_now, type_=Token.expires.type), "expired"),
    else_="valid",
)
_SCOPE = sa.case((Token.read_only, "read"), else_="write")

FIELDS = Fields(
    id=Token.id,
    user=User.email,
    name=Token.name,
    scope=Field.of(_SCOPE, words={"read": "read", "write": "write"}, nullable=False),
    state=Field.of(
        _STATE, words={word: word for word in ("valid", "expired", "revoked")}, nullable=False
    ),
    created=Token.created,
    expires=Token.expires,
    revoked=Token.revoked,
)
"""What tokens are filtered and sorted by."""


def rows() -> sa.Select[Token, str, str, str]:
    """Every token with its owner's address, its scope and its state, by id."""
    return (
        sa.select(Token, User.email, _SCOPE, _STATE)
        .join(User, Token.user_id == User.id)
        .order_by(Token.id)
    )
