"""What only a new instance is told: its password and files, handed over once and then gone."""

import dataclasses
import datetime as dt
import secrets
import string
from collections.abc import Mapping, Sequence

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import states
from cloudweb.domain.accounts import digest
from cloudweb.models import Handover, Image, Operation, OperationState, OperState, Server, utc_now
from cloudweb.sealing import Sealer

PATH = "/vmapi/server-params/"
"""Where instances read it: this and the token."""

PASSWORD_LENGTH = 10
_KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
_ALPHABET = "".join(_KINDS)


def new_password() -> str:
    """Ten random letters and digits, of each kind at least one: what every system takes."""
    while True:
        text = "".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_LENGTH))
        if all(any(c in kind for c in text) for kind in _KINDS):
            return text


@dataclasses.dataclass(frozen=True, slots=True)
class Parcel:
    """What is handed over, unsealed: the OS definition's parameters, and the token of the URL."""

    token: str = dataclasses.field(repr=False)
    parameters: Mapping[str, str] = dataclasses.field(repr=False)


def leave(
    session: Session,
    sealer: Sealer,
    server: Server,
    image: Image,
    *,
    password: str,
    personality: Sequence[Mapping[str, object]],
    keep_s: int,
) -> None:
    """Keep for the server's instance what it is to be told, sealed."""
    token = secrets.token_urlsafe(32)
    parcel = {"token": token, "parameters": _parameters(image, password, personality)}
    session.add(
        Handover(
            server_id=server.id,
            digest=digest(token),
            sealed=sealer.seal(orjson.dumps(parcel).decode()),
            expires=_in(keep_s),
        )
    )


def _parameters(
    image: Image, password: str, personality: Sequence[Mapping[str, object]]
) -> dict[str, str]:
    """Every value is a text, as OS parameters are: objects and lists are JSON in it."""
    properties = {key.upper(): str(value) for key, value in image.properties.items()}
    return {
        "img_id": image.location,
        "img_passwd": password,
        "img_format": image.disk_format,
        "img_personality": orjson.dumps([dict(file) for file in personality]).decode(),
        "img_properties": orjson.dumps(properties).decode(),
    }


def take(session: Session, sealer: Sealer, token: str) -> Mapping[str, str] | None:
    """The parameters, to the first who asks with the token and in time; nobody gets them again."""
    sealed = session.scalar(
        sa.delete(Handover)
        .where(Handover.digest == digest(token), Handover.expires > utc_now())
        .returning(Handover.sealed)
    )
    return None if sealed is None else _open(sealer, sealed).parameters


def send(session: Session, sealer: Sealer, server_id: int, *, keep_s: int) -> Parcel | None:
    """What is kept for the server, whose create is about to be sent: its time begins anew.

    Raises ValueError when it was sealed with another key.
    """
    row = session.get(Handover, server_id, with_for_update=True)
    if row is None:
        return None
    row.expires = _in(keep_s)
    return _open(sealer, row.sealed)


def drop(session: Session, server_id: int) -> None:
    """Keep nothing for this server any longer."""
    session.execute(sa.delete(Handover).where(Handover.server_id == server_id))


def drop_built(session: Session, backend_id: int | None = None) -> int:
    """Keep nothing for servers that are built (on this cluster); how many those were."""
    built = sa.select(Server.id).where(Server.state.in_((OperState.STARTED, OperState.STOPPED)))
    if backend_id is not None:
        built = built.where(Server.backend_id == backend_id)
    done = session.execute(
        sa.delete(Handover)
        .where(Handover.server_id.in_(built))
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def purge(session: Session) -> int:
    """Drop what nobody can or will read: expired, or of servers that are gone; how many.

    Before its create is sent nothing expires: a cluster may be away for longer. What a server that
    failed to build would have been told is kept as long, as its create may be tried again.
    """
    unsent = sa.exists().where(
        Operation.server_id == Handover.server_id,
        Operation.opcode == states.CREATE,
        Operation.state.in_(
            (OperationState.PENDING, OperationState.SUBMITTING, OperationState.DECLINED)
        ),
    )
    ended = sa.select(Server.id).where(Server.deleted == sa.true())
    done = session.execute(
        sa.delete(Handover)
        .where(
            sa.or_(sa.and_(Handover.expires <= utc_now(), ~unsent), Handover.server_id.in_(ended))
        )
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def _open(sealer: Sealer, sealed: str) -> Parcel:
    parcel = orjson.loads(sealer.open(sealed).encode())
    return Parcel(parcel["token"], parcel["parameters"])


def _in(seconds: int) -> dt.datetime:
    return utc_now() + dt.timedelta(seconds=seconds)
