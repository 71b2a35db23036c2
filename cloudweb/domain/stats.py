"""The names under which a server's graphs are published."""

import hashlib
import hmac

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.models import Backend, Server


def name_of(session: Session, server_id: int, *, secret: str) -> str:
    """What only who has the secret can make of a server's cluster and instance; 40 digits."""
    cluster, instance = session.execute(
        sa.select(Backend.name, Server.instance_name)
        .join(Backend, Server.backend_id == Backend.id)
        .where(Server.id == server_id)
    ).one()
    said = f"{cluster}/{instance}".encode()
    return hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()[:40]
