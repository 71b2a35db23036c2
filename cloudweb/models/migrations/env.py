"""Run by Alembic: connects to the database, keeps other upgrades out and runs the migrations.

The address comes from whoever calls (``attributes["url"]``), from ``alembic -x url=...``, or from
the settings in the ini file that ``alembic -c FILE`` names.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from cloudweb.models import Base, make_engine
from cloudweb.models.meta import _SQLITE_WRITE, BigId, LongBytes, LongText, UtcDateTime
from cloudweb.settings import Settings

LOCK = 0x636C6F7564776562
"""Names the advisory lock of upgrades: "cloudweb" in ASCII."""
LOCK_NAME = "cloudweb_migrations"
LOCK_WAIT_S = 300
LOCK_TIMEOUT = "5s"
"""A migration that cannot have its table locked gives up, for who waits behind it waits as well."""


def database_url() -> str:
    if url := context.config.attributes.get("url"):
        return str(url)
    if url := context.get_x_argument(as_dictionary=True).get("url"):
        return str(url)
    import plaster

    ini = plaster.get_settings(context.config.config_file_name, "app:main")
    return Settings.load(ini).database_url


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """How our types are written in a migration; what a database stores decides, not Python."""
    if kind != "type":
        return False
    if isinstance(item, UtcDateTime):
        autogen.imports.add("from cloudweb.models import meta")
        return "meta.UtcDateTime()"
    for known, name in ((LongText, "LongText"), (LongBytes, "LongBytes")):
        if item is known:
            autogen.imports.add("from cloudweb.models import meta")
            return f"meta.{name}"
    if item is BigId or (isinstance(item, sa.BigInteger) and "sqlite" in item._variant_mapping):
        autogen.imports.add("from cloudweb.models import meta")
        return "meta.BigId"
    if isinstance(item, sa.Enum):
        return f"sa.String(length={item.length})"
    return False


@contextlib.contextmanager
def alone(connection: sa.Connection) -> Iterator[None]:
    """Keep other upgrades of this database waiting; on SQLite the transaction does that."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        take, give = sa.func.pg_advisory_lock(LOCK), sa.func.pg_advisory_unlock(LOCK)
    elif dialect in ("mysql", "mariadb"):
        take, give = sa.func.get_lock(LOCK_NAME, LOCK_WAIT_S), sa.func.release_lock(LOCK_NAME)
    else:
        yield
        return
    if connection.scalar(sa.select(take)) == 0:
        raise TimeoutError("Another upgrade of this database does not end.")
    if dialect == "postgresql":
        connection.execute(sa.text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()  # the lock is the session's: it outlives the transaction
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(sa.select(give))
        connection.commit()


def migrate(connection: sa.Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        # Batch mode copies a table and drops the old one; a pragma is deaf in a transaction.
        connection.connection.execute("PRAGMA foreign_keys=OFF")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=render_item,
        render_as_batch=True,
        # SQLite has no lock but the transaction, so there one spans all; ours begin for real there.
        transaction_per_migration=not sqlite,
        transactional_ddl=True if sqlite else None,
    )
    with alone(connection), context.begin_transaction():
        context.run_migrations()
        if sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
            raise ValueError(f"A migration left a reference to nothing in {broken[0]}.")


engine = make_engine(database_url(), statement_timeout_s=0).execution_options(
    **{_SQLITE_WRITE: True}
)
try:
    with engine.connect() as connection:
        migrate(connection)
finally:
    engine.dispose()
