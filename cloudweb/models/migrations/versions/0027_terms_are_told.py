"""Who owes their acceptance of new terms is told by mail; of those in force nobody is told anew."""

import datetime as dt

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("terms", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("told_up_to", sa.BigInteger(), server_default="0", nullable=False)
        )
        batch_op.add_column(sa.Column("told", meta.UtcDateTime(), nullable=True))
    terms = sa.table(
        "terms", sa.column("told", meta.UtcDateTime()), sa.column("in_force", meta.UtcDateTime())
    )
    now = dt.datetime.now(dt.UTC)
    op.execute(sa.update(terms).where(terms.c.in_force <= now).values(told=now))


def downgrade() -> None:
    with op.batch_alter_table("terms", schema=None) as batch_op:
        for name in ("told", "told_up_to"):
            batch_op.drop_column(name)
