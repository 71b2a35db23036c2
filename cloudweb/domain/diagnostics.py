"""What was said of a server while it was built, read."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.models import Diagnostic


def list_newest(
    session: Session, server_id: int, *, before_id: int | None = None, limit: int | None = None
) -> Sequence[Diagnostic]:
    """What was said of a server that the caller was seen to have, newest first; one statement."""
    query = sa.select(Diagnostic).where(Diagnostic.server_id == server_id)
    if before_id is not None:
        query = query.where(Diagnostic.id < before_id)
    return session.scalars(query.order_by(Diagnostic.id.desc()).limit(limit)).all()
