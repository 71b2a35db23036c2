"""Confirming forms: what a preview was made of, and doing what it says only once."""

import datetime as dt
import hashlib
import secrets
from typing import cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain.identity import Identity
from cloudweb.models import SentForm, utc_now

_KEPT = dt.timedelta(days=30)


def new_key() -> str:
    """What tells one form from every other."""
    return secrets.token_hex(16)


def token(*facts: object) -> str:
    """What a preview was made of: another world, another token."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def claim(session: Session, identity: Identity, key: str, verb: str) -> tuple[SentForm, bool]:
    """The form of this key, and whether it was sent before.

    Who sends it a second time at the same moment waits for the first. Raises BadRequest for a key
    that is none, or another's.
    """
    if len(key) != 32 or not key.isalnum():
        raise faults.BadRequest("The form is too old or came from elsewhere. Load it again.")
    form = SentForm(key=key, user_id=identity.user_id, verb=verb, items=[])
    try:
        with session.begin_nested():
            session.add(form)
            session.flush()
        return form, False
    except IntegrityError:
        # The first has ended. Not locked: on MariaDB two that have waited for it would each wait
        # for the other then.
        known = session.scalar(
            sa.select(SentForm).where(SentForm.key == key).execution_options(populate_existing=True)
        )
    if known is None or known.user_id != identity.user_id or known.verb != verb:
        raise faults.BadRequest("The form is too old or came from elsewhere. Load it again.")
    return known, True


def find(session: Session, identity: Identity, key: str) -> SentForm | None:
    """A form this person sent, or None; no statement without a key."""
    form = session.get(SentForm, key) if len(key) == 32 else None
    return form if form is not None and form.user_id == identity.user_id else None


def forget_old(session: Session) -> int:
    """Do away with the forms of a month ago, but for acts on many things; how many those were."""
    before = utc_now() - _KEPT
    old = sa.delete(SentForm).where(SentForm.created < before, SentForm.title == "")
    return cast("int", session.execute(old).rowcount)  # type: ignore[attr-defined]
