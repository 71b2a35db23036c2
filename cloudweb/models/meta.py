"""The base of all tables: column vocabulary, naming of constraints, engine and unit of work."""

import contextlib
import datetime as dt
import enum
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection, Dialect, Engine

MAX_ID = 2**63 - 1

_SQLITE_WRITE = "cloudweb_sqlite_write"
_PING_AFTER_S = 1.0


class UtcDateTime(sa.types.TypeDecorator[dt.datetime]):
    """An aware UTC time with microseconds on every database; a naive one is refused."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            from sqlalchemy.dialects.mysql import DATETIME

            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a zone cannot be stored.")
        value = value.astimezone(dt.UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        stamp: dt.datetime = value
        return stamp.replace(tzinfo=dt.UTC) if stamp.tzinfo is None else stamp.astimezone(dt.UTC)


def utc_now() -> dt.datetime:
    """The time, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
"""A text that may be longer than MariaDB's TEXT, which ends at 64 KiB."""

LongBytes = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
"""Bytes, up to 16 MiB."""

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

pk = Annotated[int, orm.mapped_column(BigId, primary_key=True, autoincrement=True)]
bigint = Annotated[int, orm.mapped_column(sa.BigInteger())]
str20 = Annotated[str, orm.mapped_column(sa.String(20))]
str50 = Annotated[str, orm.mapped_column(sa.String(50))]
str64 = Annotated[str, orm.mapped_column(sa.String(64))]
str255 = Annotated[str, orm.mapped_column(sa.String(255))]
text = Annotated[str, orm.mapped_column(sa.Text())]
created = Annotated[dt.datetime, orm.mapped_column(UtcDateTime(), default=utc_now)]


def reference(column: str, **options: Any) -> orm.MappedColumn[Any]:
    """A foreign key to ``table.column``; rows it names cannot vanish under it."""
    return orm.mapped_column(BigId, sa.ForeignKey(column), **options)


class Base(orm.DeclarativeBase):
    """Every table; constraint names follow one pattern, so that migrations can drop them."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (the name and form SQLAlchemy asks for)
        dt.datetime: UtcDateTime(),
        dict[str, Any]: sa.JSON(),
        list[str]: sa.JSON(),
        enum.StrEnum: sa.Enum(
            enum.StrEnum,
            native_enum=False,
            create_constraint=False,
            length=20,
            values_callable=lambda e: [member.value for member in e],
        ),
    }
    __table_args__: Any = {  # noqa: RUF012  (the form SQLAlchemy asks for)
        "mysql_engine": "InnoDB",
        "mysql_charset": "utf8mb4",
        "mysql_collate": "utf8mb4_bin",
    }


def table_args(*items: Any) -> tuple[Any, ...]:
    """The constraints and indexes of one table, with the options every table has."""
    return (*items, Base.__table_args__)


def make_engine(
    url: str,
    *,
    pool_size: int = 10,
    statement_timeout_s: int = 30,
    isolation: Literal["READ COMMITTED", "AUTOCOMMIT"] = "READ COMMITTED",
) -> Engine:
    """An engine set up alike on the three databases: UTC, bounded statements."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(parsed, connect_args={"timeout": 15, "check_same_thread": False})
        _prepare_sqlite(engine)
        return engine
    connect: dict[str, Any] = {"connect_timeout": 5}
    if parsed.get_backend_name() == "postgresql":
        connect["options"] = f"-c statement_timeout={statement_timeout_s * 1000} -c timezone=UTC"
    else:
        connect["init_command"] = "SET time_zone='+00:00'"
    engine = sa.create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_recycle=1800,
        isolation_level=isolation,
        # Without transactions there is nothing to roll back when a connection is given back.
        pool_reset_on_return=None if isolation == "AUTOCOMMIT" else "rollback",
        connect_args=connect,
    )
    _ping_rested(engine)
    return engine


def _ping_rested(engine: Engine) -> None:
    # SQLAlchemy's own ping is one more round trip a request; a connection used a moment ago is fit.
    @sa.event.listens_for(engine, "checkin")
    def on_checkin(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @sa.event.listens_for(engine, "checkout")
    def on_checkout(connection: Any, record: Any, _proxy: Any) -> None:
        rested = time.monotonic() - record.info.get("rests_since", time.monotonic())
        if rested < _PING_AFTER_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            # All connections of that age are as bad; the pool makes a new one.
            raise sa.exc.InvalidatePoolError from error


def _prepare_sqlite(engine: Engine) -> None:
    # A transaction that will write takes the write lock at once: SQLite cannot wait for it later.
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_SQLITE_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


class SessionFactory:
    """Makes the sessions of one database: ``read()`` and ``write()``, both to be closed.

    Readers may have an engine of their own, such as one whose statements each stand for themselves.
    """

    def __init__(self, engine: Engine, reading: Engine | None = None) -> None:
        self.engine = engine
        self.engines = (engine,) if reading is None else (engine, reading)
        self.takes_changes = True
        """As far as is known: false from a change it refused on, until the next that it took."""
        self._read = orm.sessionmaker(reading or engine, expire_on_commit=False)
        self._write = orm.sessionmaker(
            engine.execution_options(**{_SQLITE_WRITE: True}), expire_on_commit=False
        )

    @classmethod
    def for_web(cls, url: str, *, pool_size: int, statement_timeout_s: int) -> Self:
        """What serves requests: on PostgreSQL a GET then needs no BEGIN and no COMMIT."""
        options: dict[str, Any] = {
            "pool_size": pool_size,
            "statement_timeout_s": statement_timeout_s,
        }
        reading = None
        if sa.make_url(url).get_backend_name() == "postgresql":
            reading = make_engine(url, isolation="AUTOCOMMIT", **options)
        return cls(make_engine(url, **options), reading)

    def dispose(self) -> None:
        """Close every pooled connection."""
        for engine in self.engines:
            engine.dispose()

    def read(self) -> orm.Session:
        """A session that only reads."""
        return self._read()

    def write(self) -> orm.Session:
        """A session that may write."""
        return self._write()


_READ_ONLY_STATE = "25006"
_READ_ONLY_NUMBERS = (1290, 1792, 1836)


def refuses_changes(error: BaseException) -> bool:
    """Whether a database failed so because it can be read, but takes no changes now."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    known: Any = error.orig
    return (
        getattr(known, "sqlstate", None) == _READ_ONLY_STATE
        or (bool(known.args) and known.args[0] in _READ_ONLY_NUMBERS)
        or getattr(known, "sqlite_errorname", "").startswith("SQLITE_READONLY")
    )


@contextlib.contextmanager
def unit_of_work(factory: SessionFactory, *, write: bool = True) -> Iterator[orm.Session]:
    """One transaction: commits when the block ends, rolls back when it raises.

    No connection is taken before the first statement.
    """
    session = factory.write() if write else factory.read()
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.close()
