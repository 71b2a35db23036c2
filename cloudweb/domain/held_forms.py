"""Forms that came after their session had ended: kept for who filled them in, not for long."""

import dataclasses
import datetime as dt
import secrets
from typing import cast

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import accounts
from cloudweb.models import HeldForm, utc_now
from cloudweb.sealing import Sealer

KEPT = dt.timedelta(minutes=15)
MOST_BYTES = 240_000
"""As much of one form is kept; what is larger is not kept at all."""
_MOST_EACH = 5
_SECRETS = frozenset({"password", "again", "current", "code", "csrf_token", "key"})
"""Fields that are never kept; so is any whose name says that it holds a secret."""
_SECRET_WORDS = ("password", "secret", "token", "passphrase")


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """The page the form was on, where it leads, and what was in it."""

    page: str
    action: str
    fields: tuple[tuple[str, str], ...]


def is_secret(name: str) -> bool:
    """Whether a field of this name is never kept."""
    lower = name.lower()
    return lower in _SECRETS or any(word in lower for word in _SECRET_WORDS)


def hold(session: Session, sealer: Sealer, user_id: int, held: Held) -> str | None:
    """Keep it for this user; the key to find it by, or None when it is too large."""
    fields = [(name, value) for name, value in held.fields if not is_secret(name)]
    body = orjson.dumps([held.page, held.action, fields])
    if len(body) > MOST_BYTES:
        return None
    key = secrets.token_hex(16)
    session.add(
        HeldForm(user_id=user_id, digest=accounts.digest(key), sealed=sealer.seal(body.decode()))
    )
    session.flush()  # the newest stay
    newest = session.scalars(
        sa.select(HeldForm.id).where(HeldForm.user_id == user_id).order_by(HeldForm.id.desc())
    ).all()
    session.execute(sa.delete(HeldForm).where(HeldForm.id.in_(newest[_MOST_EACH:])))
    return key


def find(session: Session, sealer: Sealer, user_id: int, key: str) -> Held | None:
    """What this user had filled in, if it is theirs and not too old."""
    row = session.scalar(
        sa.select(HeldForm).where(
            HeldForm.digest == accounts.digest(key),
            HeldForm.user_id == user_id,
            HeldForm.created > utc_now() - KEPT,
        )
    )
    if row is None:
        return None
    page, action, fields = orjson.loads(str(sealer.open(row.sealed)))
    return Held(page, action, tuple((name, value) for name, value in fields))


def forget_old(session: Session) -> int:
    """Do away with what nobody came back for; how much that was."""
    old = sa.delete(HeldForm).where(HeldForm.created < utc_now() - KEPT)
    return cast("int", session.execute(old).rowcount)  # type: ignore[attr-defined]


TECHNICAL = frozenset({"seen", "was", "next", "do", "show"})
"""Fields that say nothing to people."""
