"""Tries a dead letter once more, in the transaction that says what became of it."""

import traceback

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.backend.amqp.batch import apply_in, check
from cloudweb.backend.amqp.messages import decode
from cloudweb.domain import dead_letters, hearing
from cloudweb.domain.identity import Identity
from cloudweb.faults import Fault


def retry(session: Session, identity: Identity, letter_id: int) -> bool:
    """Apply a dead letter; whether that worked. If not it stays, with the newest reason.

    Raises ItemNotFound, Conflict (it does not wait), and what the database raises when it is away.
    """
    letter = dead_letters.lock_waiting(session, letter_id)
    try:
        with session.begin_nested():
            event = decode(letter.body)
            check(event, hearing.latest_time())
            apply_in(session, [event])
    except Fault as fault:
        dead_letters.note_failed(session, identity, letter, type(fault).__name__, fault.message)
        return False
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError):
        raise
    except Exception as error:  # noqa: BLE001  (whatever it was: the letter stays and says so)
        kind, trace = type(error).__name__, traceback.format_exc()
        dead_letters.note_failed(session, identity, letter, kind, repr(error), trace)
        return False
    dead_letters.note_applied(session, identity, letter)
    return True
