"""The statements hearing needs: one a batch, whatever its size, and quick on PostgreSQL."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from cloudweb.domain.states import OperationFacts, ServerFacts
from cloudweb.models import Backend, Network, Nic, Operation, OperationState, Server, move_lists
from cloudweb.models.meta import UtcDateTime

SERVERS = cast(sa.Table, Server.__table__)
OPERATIONS = cast(sa.Table, Operation.__table__)
NICS = cast(sa.Table, Nic.__table__)
Card = sa.Row[*tuple[Any, ...]]
CARDS: sa.Select[*tuple[Any, ...]] = sa.select(
    *(NICS.c[name] for name in ("id", "server_id", "network_id", "name", "state")),
    NICS.c.index.label("place"),
    *(NICS.c[name] for name in ("mac", "ipv4", "ipv6", "firewall_profile")),
    Network.cidr6,
).join_from(NICS, Network)
"""Cards, each with the IPv6 subnet of its network; ``place`` is the card's index."""
_CLUSTERS = cast(sa.Table, Backend.__table__)

_Types = dict[str, sa.types.TypeEngine[Any]]
_TIME = UtcDateTime()
_OPEN_JOBS = (OperationState.SUBMITTED, OperationState.RUNNING)
_FACTS = tuple(SERVERS.c[name] for name in ServerFacts.__dataclass_fields__)
_OPERATION_FACTS = tuple(OPERATIONS.c[name] for name in OperationFacts.__dataclass_fields__)
_BIG, _TEXT = sa.BigInteger(), sa.String()

_SERVER_TYPES: _Types = {
    "id": _BIG,
    "moved": sa.Integer(),
    "now": _TIME,
    "state": _TEXT,
    "deleted": sa.Boolean(),
    "state_time": _TIME,
    "state_job_id": _BIG,
    "job_time": _TIME,
    "job_id": _BIG,
    "job_opcode": _TEXT,
    "job_status": _TEXT,
    "job_log": _TEXT,
}
_OPERATION_TYPES: _Types = {
    "id": _BIG,
    "state": _TEXT,
    "error": _TEXT,
    "error_class": _TEXT,
    "finished": _TIME,
    "due": _TIME,
    "updated": _TIME,
}


class _Statements:
    """The statements, as one kind of database has them fastest."""

    def __init__(self, *, at_once: bool) -> None:
        self.at_once = at_once
        self.lock_servers = self._lock_servers(self._named(_CLUSTERS.c.name, "clusters"))
        self.lock_servers_anywhere = self._lock_servers(sa.true())
        self.lock_operations = (
            sa.select(*_OPERATION_FACTS)
            .where(
                self._one_of(OPERATIONS.c.server_id, "server_ids"),
                OPERATIONS.c.state.in_(_OPEN_JOBS),
            )
            .order_by(OPERATIONS.c.id)
            .with_for_update(key_share=True)
        )
        self.owners = (
            sa.select(SERVERS.c.user_id).where(self._one_of(SERVERS.c.id, "server_ids")).distinct()
        )
        operations = self._update_operations()
        servers = self._update_servers()
        self.updates: tuple[sa.Update, ...] = (operations, servers)
        if at_once:  # both in one statement
            self.updates = (servers.add_cte(operations.cte("done")),)

    def _lock_servers(self, where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        # A subquery's rows are read, not locked.
        cluster = sa.select(_CLUSTERS.c.name).where(_CLUSTERS.c.id == SERVERS.c.backend_id)
        return (
            sa.select(cluster.scalar_subquery(), *_FACTS)
            .where(
                SERVERS.c.backend_id.in_(sa.select(_CLUSTERS.c.id).where(where)),
                self._named(SERVERS.c.instance_name, "names"),
            )
            .order_by(SERVERS.c.id)
            .with_for_update(key_share=True)
        )

    # One parameter for all of them: the same text, prepared once, for every batch.

    def _one_of(self, column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
        """For a column with an index of its own: its entries are looked up one by one."""
        if self.at_once:
            return column == sa.any_(sa.bindparam(name, type_=postgresql.ARRAY(_BIG)))
        return column.in_(sa.bindparam(name, expanding=True))

    def _named(self, column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
        """For a column that may be compared in every row: by hash, not with each name in turn."""
        if self.at_once:
            names = sa.bindparam(name, type_=postgresql.ARRAY(_TEXT))
            return column.in_(sa.select(sa.func.unnest(names)))
        return column.in_(sa.bindparam(name, expanding=True))

    def _update_servers(self) -> sa.Update:
        given = self._given(SERVERS, _SERVER_TYPES)
        values: dict[str, Any] = {
            name: given[name] for name in _SERVER_TYPES if name not in ("id", "moved", "now")
        }
        values["version"] = SERVERS.c.version + given["moved"]
        values["updated"] = sa.case((given["moved"] == 1, given["now"]), else_=SERVERS.c.updated)
        return self._by_id(SERVERS, given).values(values)

    def _update_operations(self) -> sa.Update:
        given = self._given(OPERATIONS, _OPERATION_TYPES)
        values = {name: given[name] for name in _OPERATION_TYPES if name != "id"}
        return self._by_id(OPERATIONS, given).values(values)

    def _by_id(self, table: sa.Table, given: dict[str, Any]) -> sa.Update:
        update = sa.update(table).where(table.c.id == given["id"])
        if self.at_once:  # else it reads the whole table, and what is dead in it
            update = update.where(self._one_of(table.c.id, f"{table.name}_ids"))
        return update

    def _given(self, table: sa.Table, types: _Types) -> dict[str, Any]:
        """What a column is to become: a column of all rows in one parameter, or a parameter."""
        if not self.at_once:
            return {name: sa.bindparam(f"b_{name}", type_=kind) for name, kind in types.items()}
        columns = [sa.column(name, kind) for name, kind in types.items()]
        rows = sa.cast(sa.bindparam(table.name, type_=sa.String()), postgresql.JSON())
        given = (
            sa.func.json_to_recordset(rows)
            .table_valued(*columns, name=f"new_{table.name}")
            .render_derived(with_types=True)
        )
        return {name: given.c[name] for name in types}


_AT_ONCE = _Statements(at_once=True)
_PLAIN = _Statements(at_once=False)


def _statements(session: Session) -> _Statements:
    return _AT_ONCE if session.get_bind().dialect.name == "postgresql" else _PLAIN


def lock_servers(
    session: Session, clusters: Collection[str] | None, names: Collection[str]
) -> Iterable[Sequence[Any]]:
    """The servers of these names on these clusters (None: on any), locked, by id.

    Each is the name of its cluster and then its facts.
    """
    statements = _statements(session)
    given: dict[str, list[str]] = {"names": sorted(names)}
    if clusters is None:
        return session.connection().execute(statements.lock_servers_anywhere, given).all()
    given["clusters"] = sorted(clusters)
    return session.connection().execute(statements.lock_servers, given).all()


def lock_open_operations(session: Session, server_ids: list[int]) -> Iterable[Sequence[Any]]:
    """The facts of the operations of these servers whose jobs are open, locked, by id."""
    given = {"server_ids": server_ids}
    return session.connection().execute(_statements(session).lock_operations, given).all()


def lock_alive(session: Session, server_ids: Sequence[int]) -> Sequence[int]:
    """Which of these servers are not deleted; locked, by id."""
    return session.scalars(
        sa.select(SERVERS.c.id)
        .where(SERVERS.c.id.in_(server_ids), SERVERS.c.deleted == sa.false())
        .order_by(SERVERS.c.id)
        .with_for_update()
    ).all()


def update(
    session: Session,
    servers: Collection[tuple[ServerFacts, bool]],
    operations: Collection[OperationFacts],
    now: dt.datetime,
    owners: Collection[int] = (),
) -> None:
    """Store the facts; a server whose row says so shows something new from ``now`` on.

    ``owners`` are users whose lists show something new for another reason.
    """
    server_rows = [
        (
            facts.id,
            int(moved),
            now,
            facts.state,
            facts.deleted,
            facts.state_time,
            facts.state_job_id,
            facts.job_time,
            facts.job_id,
            facts.job_opcode,
            facts.job_status,
            facts.job_log,
        )
        for facts, moved in servers
    ]
    operation_rows = [
        (row.id, row.state, row.error, row.error_class, row.finished, row.due, now)
        for row in operations
    ]
    if not server_rows and not operation_rows:
        return
    statements = _statements(session)
    _store(session, statements, server_rows, operation_rows)
    whose = {facts.user_id for facts, moved in servers if moved}.union(owners)
    if whose:
        move_lists(session.connection(), whose)


def _store(
    session: Session,
    statements: _Statements,
    server_rows: Sequence[tuple[Any, ...]],
    operation_rows: Sequence[tuple[Any, ...]],
) -> None:
    if statements.at_once:
        # One text each for the driver, which would quote every element of an array by itself.
        given = {
            OPERATIONS.name: _text(tuple(_OPERATION_TYPES), operation_rows),
            SERVERS.name: _text(tuple(_SERVER_TYPES), server_rows),
            f"{OPERATIONS.name}_ids": [row[0] for row in operation_rows],
            f"{SERVERS.name}_ids": [row[0] for row in server_rows],
        }
        session.connection().execute(statements.updates[0], given)
        return
    _write_each(session, statements.updates[0], _OPERATION_TYPES, operation_rows)
    _write_each(session, statements.updates[1], _SERVER_TYPES, server_rows)


def _write_each(
    session: Session, statement: sa.Update, types: _Types, rows: Sequence[tuple[Any, ...]]
) -> None:
    if rows:
        keys = [f"b_{name}" for name in types]
        given = [dict(zip(keys, row, strict=True)) for row in rows]
        session.connection().execute(statement, given)


def _text(names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> str:
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()


def touch(session: Session, server_ids: Sequence[int], now: dt.datetime) -> None:
    """Something these servers show has changed."""
    session.execute(
        sa.update(SERVERS)
        .where(SERVERS.c.id.in_(server_ids))
        .values(version=SERVERS.c.version + 1, updated=now)
    )
    connection = session.connection()
    given = {"server_ids": list(server_ids)}
    owners = connection.scalars(_statements(session).owners, given).all()
    if owners:
        move_lists(connection, owners)
