"""A number a user that moves with anything the user's lists show: unchanged number, same lists."""

from collections.abc import Collection
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, BigId


class ListVersion(Base):
    """The number. It is no column of the user, nor a reference to one.

    Every insert that names a user would otherwise wait for whoever moves the number (MariaDB locks
    the row a foreign key names), and two that insert and then move it would wait for each other.
    """

    __tablename__ = "list_versions"

    user_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(sa.BigInteger(), default=0)


LIST_VERSIONS = cast("sa.Table", ListVersion.__table__)


def move_lists(connection: Connection, user_ids: Collection[int]) -> None:
    """Say that lists of these users have changed; the last lock a transaction takes, in order."""
    column = LIST_VERSIONS.c.user_id
    locked = sa.select(column).where(column.in_(user_ids)).order_by(column).with_for_update()
    if len(user_ids) > 1:
        connection.execute(locked).all()
    connection.execute(
        sa.update(LIST_VERSIONS)
        .where(column.in_(user_ids))
        .values(version=LIST_VERSIONS.c.version + 1)
    )
