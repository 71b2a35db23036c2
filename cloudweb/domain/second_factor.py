"""The second factor: six digits of an app (RFC 6238), or a recovery code that is good once."""

import base64
import dataclasses
import secrets
import time

import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import accounts, audit, registration
from cloudweb.domain.identity import Identity
from cloudweb.models import RecoveryCode, Role, User, WebSession
from cloudweb.sealing import Sealer

_STEP_S = 30
_DIGITS = 6
_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_WRONG = "This code is not right, or was used already."


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """What an app is told once: as a text to type, and as the address behind the QR code."""

    text: str = dataclasses.field(repr=False)
    uri: str = dataclasses.field(repr=False)


def is_required(role: Role, roles: tuple[str, ...]) -> bool:
    """Whether these settings want a second factor of this role."""
    return role.value.replace(" ", "-") in roles


def begin(session: Session, sealer: Sealer, web_session_id: int, *, issuer: str) -> Secret:
    """The secret this session offers to an app: the same until it is confirmed."""
    row = session.scalar(
        sa.select(WebSession).where(WebSession.id == web_session_id).with_for_update()
    )
    if row is None:
        raise faults.Unauthorized
    if row.totp_sealed is None:
        row.totp_sealed = sealer.seal(base64.b32encode(secrets.token_bytes(20)).decode())
    text = str(sealer.open(row.totp_sealed))
    user = session.get_one(User, row.user_id)
    return Secret(text, _totp(text).get_provisioning_uri(user.email, issuer))


def confirm(
    session: Session, identity: Identity, sealer: Sealer, web_session_id: int, code: str
) -> list[str]:
    """Make the offered secret the user's second factor; their recovery codes, shown only now.

    Raises BadRequest when the code is not the app's.
    """
    assert identity.user_id is not None
    user = registration.lock(session, identity.user_id)
    row = session.get(WebSession, web_session_id)
    if row is None or row.totp_sealed is None or row.user_id != user.id:
        raise faults.BadRequest("Begin again: this session offers no secret.")
    step = _step_of(str(sealer.open(row.totp_sealed)), code, after=0)
    if step is None:
        raise faults.BadRequest("", details={"code": _WRONG})
    before = "set" if user.totp_sealed is not None else "none"
    user.totp_sealed, user.totp_step, row.totp_sealed = row.totp_sealed, step, None
    codes = _renew_codes(session, user)
    audit.record(
        *(session, identity, "second-factor:set", "user", user.id),
        email=user.email,
        before=before,
        after="set",
    )
    return codes


def check(session: Session, sealer: Sealer, user_id: int, code: str) -> str:
    """Use a code of the app or a recovery code up; which it was. Raises BadRequest."""
    user = registration.lock(session, user_id)
    if user.totp_sealed is not None:
        step = _step_of(str(sealer.open(user.totp_sealed)), code, after=user.totp_step)
        if step is not None:
            user.totp_step = step
            return "app"
        used = session.execute(
            sa.delete(RecoveryCode).where(
                RecoveryCode.user_id == user.id, RecoveryCode.digest == _digest_of(user, code)
            )
        )
        if used.rowcount:  # type: ignore[attr-defined]
            return "recovery code"
    raise faults.BadRequest("", details={"code": _WRONG})


def renew_codes(session: Session, identity: Identity, sealer: Sealer, code: str) -> list[str]:
    """Ten new recovery codes instead of the old. Raises BadRequest."""
    assert identity.user_id is not None
    check(session, sealer, identity.user_id, code)
    user = registration.lock(session, identity.user_id)
    left = count_codes(session, user.id)
    codes = _renew_codes(session, user)
    audit.record(
        *(session, identity, "second-factor:codes", "user", user.id),
        codes=len(codes),
        before=f"{left} left",
        after=f"{len(codes)} new ones",
    )
    return codes


def count_codes(session: Session, user_id: int) -> int:
    """How many recovery codes the user has left."""
    query = sa.select(sa.func.count()).where(RecoveryCode.user_id == user_id)
    return session.scalar(query) or 0


def remove(session: Session, identity: Identity, user_id: int, *, reason: str = "") -> None:
    """Take the second factor away and end the user's sessions. Raises ItemNotFound, Conflict."""
    user = registration.lock(session, user_id)
    if user.totp_sealed is None:
        raise faults.Conflict(f"{user.email} has no second factor.")
    user.totp_sealed = None
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    ended = registration.end_sessions(session, user.id)
    audit.record(
        *(session, identity, "second-factor:remove", "user", user.id),
        reason=reason[:255],
        email=user.email,
        sessions=ended,
        before="set",
        after="none",
    )


def _totp(text: str) -> TOTP:
    # SHA-1 is what every app knows, and what the RFC has; here it is a MAC.
    return TOTP(base64.b32decode(text), _DIGITS, SHA1(), _STEP_S)  # noqa: S303


def _step_of(text: str, code: str, *, after: int) -> int | None:
    """Which step's code this is: this one, the one before or the next, and newer than ``after``."""
    given = "".join(code.split()).encode("utf-8", "replace")
    now = int(time.time()) // _STEP_S
    found = None
    for step in (now - 1, now, now + 1):
        right = _totp(text).generate(step * _STEP_S)
        if secrets.compare_digest(right, given) and step > after:
            found = step
    return found


def _renew_codes(session: Session, user: User) -> list[str]:
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(12)) for _ in range(_CODES)]
    for code in codes:
        session.add(RecoveryCode(user_id=user.id, digest=_digest_of(user, code)))
    return ["-".join((code[:4], code[4:8], code[8:])) for code in codes]


def _digest_of(user: User, code: str) -> str:
    """Twelve letters of 31 hold 59 bits: enough for a hash that is quick."""
    letters = "".join(c for c in code.lower() if c.isalnum())
    return accounts.digest(f"{user.id}:{letters}")
