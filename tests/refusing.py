"""A database that can be read and takes no changes, as a standby or a full disk leaves it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from cloudweb.models import SessionFactory

_SAID = {
    "postgresql": "SET default_transaction_read_only = on",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


@contextlib.contextmanager
def takes_no_changes(sessions: SessionFactory) -> Iterator[None]:
    """Until the block ends the database itself refuses what would change it."""
    said = _SAID[sa.make_url(sessions.engine.url).get_backend_name().replace("mysql", "mariadb")]

    def on_checkout(connection: Any, _record: Any, _proxy: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(said)
        cursor.close()
        connection.commit()

    for engine in sessions.engines:
        sa.event.listen(engine, "checkout", on_checkout)
    try:
        yield
    finally:
        for engine in sessions.engines:
            sa.event.remove(engine, "checkout", on_checkout)
        sessions.dispose()
