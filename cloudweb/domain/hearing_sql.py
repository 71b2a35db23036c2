"""The statements hearing needs: one a batch, whatever its size, and quick on PostgreSQL."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from cloudweb.domain.states import OperationFacts, ServerFacts
from cloudweb.models import Nic, Operation, OperationState, Server
from cloudweb.models.meta import UtcDateTime

SERVERS = cast(sa.Table, Server.__table__)
OPERATIONS = cast(sa.Table, Operation.__table__)
NICS = cast(sa.Table, Nic.__table__)

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

    def __init__(self, *, arrays: bool) -> None:
        self.arrays = arrays
        self.lock_servers = (
            sa.select(*_FACTS)
            .where(
                self._among(SERVERS.c.backend_id, sa.BigInteger(), "backend_ids"),
                self._among(SERVERS.c.instance_name, sa.String(), "names"),
            )
            .order_by(SERVERS.c.id)
            .with_for_update()
        )
        self.lock_operations = (
            sa.select(*_OPERATION_FACTS)
            .where(
                self._among(OPERATIONS.c.server_id, sa.BigInteger(), "server_ids"),
                OPERATIONS.c.state.in_(_OPEN_JOBS),
            )
            .order_by(OPERATIONS.c.id)
            .with_for_update()
        )
        self.update_servers = self._update_servers()
        self.update_operations = self._update_operations()

    def _among(
        self, column: sa.Column[Any], kind: sa.types.TypeEngine[Any], name: str
    ) -> sa.ColumnElement[bool]:
        if self.arrays:  # one parameter: the same text, prepared once, for every batch
            return column == sa.any_(sa.bindparam(name, type_=postgresql.ARRAY(kind)))
        return column.in_(sa.bindparam(name, expanding=True))

    def _update_servers(self) -> sa.Update:
        given = self._given(_SERVER_TYPES)
        values: dict[str, Any] = {
            name: given[name] for name in _SERVER_TYPES if name not in ("id", "moved", "now")
        }
        values["version"] = SERVERS.c.version + given["moved"]
        values["updated"] = sa.case((given["moved"] == 1, given["now"]), else_=SERVERS.c.updated)
        return sa.update(SERVERS).where(SERVERS.c.id == given["id"]).values(values)

    def _update_operations(self) -> sa.Update:
        given = self._given(_OPERATION_TYPES)
        values = {name: given[name] for name in _OPERATION_TYPES if name != "id"}
        return sa.update(OPERATIONS).where(OPERATIONS.c.id == given["id"]).values(values)

    def _given(self, types: _Types) -> dict[str, Any]:
        """What a column is to become: a column of arrays side by side, or a parameter."""
        if not self.arrays:
            return {name: sa.bindparam(f"b_{name}", type_=kind) for name, kind in types.items()}
        arrays = [
            sa.bindparam(f"b_{name}", type_=postgresql.ARRAY(kind)) for name, kind in types.items()
        ]
        columns = [sa.column(name, kind) for name, kind in types.items()]
        given = sa.func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
        return {name: given.c[name] for name in types}


_ARRAYS = _Statements(arrays=True)
_PLAIN = _Statements(arrays=False)


def _statements(session: Session) -> _Statements:
    return _ARRAYS if session.get_bind().dialect.name == "postgresql" else _PLAIN


def lock_servers(
    session: Session, backend_ids: list[int], names: list[str]
) -> Iterable[Sequence[Any]]:
    """The facts of the servers of these names on these clusters, locked, by id."""
    given = {"backend_ids": backend_ids, "names": names}
    return session.connection().execute(_statements(session).lock_servers, given).all()


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


def update_servers(
    session: Session, rows: Collection[tuple[ServerFacts, bool]], now: dt.datetime
) -> None:
    """Store the facts; those whose row says so show something new from ``now`` on."""
    _write(
        session,
        _statements(session).update_servers,
        tuple(_SERVER_TYPES),
        [
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
            for facts, moved in rows
        ],
    )


def update_operations(session: Session, rows: Collection[OperationFacts], now: dt.datetime) -> None:
    """Store the facts of operations."""
    _write(
        session,
        _statements(session).update_operations,
        tuple(_OPERATION_TYPES),
        [
            (row.id, row.state, row.error, row.error_class, row.finished, row.due, now)
            for row in rows
        ],
    )


def _write(
    session: Session, statement: sa.Update, names: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> None:
    keys = [f"b_{name}" for name in names]
    if _statements(session).arrays:
        columns = zip(keys, map(list, zip(*rows, strict=True)), strict=True)
        session.connection().execute(statement, dict(columns))
    else:
        given = [dict(zip(keys, row, strict=True)) for row in rows]
        session.connection().execute(statement, given)


def touch(session: Session, server_ids: Sequence[int], now: dt.datetime) -> None:
    """Something these servers show has changed."""
    session.execute(
        sa.update(SERVERS)
        .where(SERVERS.c.id.in_(server_ids))
        .values(version=SERVERS.c.version + 1, updated=now)
    )
