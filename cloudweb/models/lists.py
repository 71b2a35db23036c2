"""A number a user that moves with anything the user's lists show: unchanged number, same lists."""

import datetime as dt
from collections.abc import Collection
from typing import cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, BigId, utc_now


class ListVersion(Base):
    """The number. It is no column of the user, nor a reference to one.

    Every insert that names a user would otherwise wait for whoever moves the number (MariaDB locks
    the row a foreign key names), and two that insert and then move it would wait for each other.
    """

    __tablename__ = "list_versions"

    user_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(sa.BigInteger(), default=0)
    changed: Mapped[dt.datetime] = mapped_column(default=utc_now)
    """When the number last moved: nothing in the user's lists is newer, by whoever's clock."""


LIST_VERSIONS = cast("sa.Table", ListVersion.__table__)

_now = sa.bindparam("now", type_=LIST_VERSIONS.c.changed.type)
_MOVE_ALL = sa.update(LIST_VERSIONS).values(
    version=LIST_VERSIONS.c.version + 1,
    # Not back, if it was later when another transaction, which this one waited for, ended.
    changed=sa.case((LIST_VERSIONS.c.changed < _now, _now), else_=LIST_VERSIONS.c.changed),
)
_MOVE = _MOVE_ALL.where(LIST_VERSIONS.c.user_id.in_(sa.bindparam("user_ids", expanding=True)))


def move_lists(connection: Connection, user_ids: Collection[int]) -> None:
    """Say that lists of these users have changed; the last lock a transaction takes, in order."""
    column = LIST_VERSIONS.c.user_id
    locked = sa.select(column).where(column.in_(user_ids)).order_by(column).with_for_update()
    if len(user_ids) > 1:
        connection.execute(locked).all()
    connection.execute(_MOVE, {"user_ids": list(user_ids), "now": utc_now()})


def move_all_lists(connection: Connection) -> None:
    """Say that everybody's lists have changed: what all see has come or gone."""
    column = LIST_VERSIONS.c.user_id
    connection.execute(sa.select(column).order_by(column).with_for_update()).all()
    connection.execute(_MOVE_ALL, {"now": utc_now()})


_OWNERS = "cloudweb_owners_of_changed_lists"


def note_owners(session: orm.Session, user_ids: Collection[int]) -> None:
    """Have the lists of these users moved when the session commits."""
    session.info.setdefault(_OWNERS, set()).update(user_ids)


@sa.event.listens_for(orm.Session, "before_commit")
def _move_noted(session: orm.Session) -> None:
    """A list changes with each of its objects; once a transaction, however often it flushed."""
    session.flush()
    owners = session.info.pop(_OWNERS, None)
    if owners:
        move_lists(session.connection(), owners)
