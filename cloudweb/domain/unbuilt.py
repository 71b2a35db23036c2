"""Servers whose instance was surely never asked for: they can go without a trace."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import address_history, handovers, operations, pools, states
from cloudweb.models import Nic, Operation, OperationState, OperState, Server


def discard(session: Session, server: Server) -> bool:
    """End a server, whose row is locked, if no create of it was ever sent; whether it was so.

    One that a cluster had no room for left nothing there, and counts as not sent.
    What was still to be done on it is canceled, and all that it holds is given back.
    """
    if server.state is not OperState.BUILD or _was_sent(session, server):
        return False
    if not operations.cancel_unsent(session, server):
        return False
    server.state, server.deleted = OperState.DESTROYED, True
    handovers.drop(session, server.id)
    session.execute(sa.delete(Nic).where(Nic.server_id == server.id))
    address_history.end_all(session, [server.id])
    pools.release_holder(session, pools.SERVER, [server.id])
    return True


def _was_sent(session: Session, server: Server) -> bool:
    without_room = sa.and_(
        Operation.state == OperationState.ERROR,
        Operation.error_class.in_((states.NO_ROOM, states.NO_ROOM_NOW)),
    )
    query = sa.select(Operation.id).where(
        Operation.server_id == server.id,
        Operation.opcode == states.CREATE,
        Operation.sent.is_not(None),
        sa.or_(Operation.error_class.is_(None), ~without_room),
    )
    return session.scalar(query.limit(1)) is not None
