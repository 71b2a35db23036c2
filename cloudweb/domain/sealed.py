"""All that is sealed in the database: which key sealed it, and sealing it anew."""

import dataclasses

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import audit
from cloudweb.domain.identity import Identity
from cloudweb.models import Base
from cloudweb.sealing import Sealer


@dataclasses.dataclass(slots=True)
class Count:
    """The sealed values of a column; ``lost`` are those that no known key opens."""

    column: str
    newest: int = 0
    old: int = 0
    lost: int = 0


def columns() -> list[sa.Column[str]]:
    """Every column that holds what was sealed: by their names, ``sealed`` and ``…_sealed``."""
    return [
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.name == "sealed" or column.name.endswith("_sealed")
    ]


def rotate(
    session: Session, identity: Identity, sealer: Sealer, *, dry_run: bool = False
) -> list[Count]:
    """Seal with the newest key what older ones sealed; what was found, a column each.

    A value that somebody changes meanwhile is theirs: it has the newest key already.
    """
    counts = [_rotate(session, sealer, column, dry_run=dry_run) for column in columns()]
    if not dry_run:
        sealed = {count.column: count.old for count in counts}
        audit.record(session, identity, "secret:rotate", "secret", "secret_key", sealed=sealed)
    return counts


def _rotate(session: Session, sealer: Sealer, column: sa.Column[str], *, dry_run: bool) -> Count:
    count = Count(f"{column.table.name}.{column.name}")
    keys = list(column.table.primary_key.columns)
    rows = session.execute(
        sa.select(column, *keys).where(column.is_not(None), column != "").order_by(*keys)
    )
    for sealed, *key in rows.all():
        if sealer.is_newest(sealed):
            count.newest += 1
            continue
        try:
            opened = sealer.open(sealed)
        except ValueError:
            count.lost += 1
            continue
        count.old += 1
        if not dry_run:
            same = [each == value for each, value in zip(keys, key, strict=True)]
            session.execute(
                sa.update(column.table)
                .where(*same, column == sealed)
                .values({column: sealer.seal(opened)})
            )
    return count
