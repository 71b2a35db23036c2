"""Dead letters say whose they are and how they failed; consumers how far behind each cluster is."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("dead_letters", schema=None) as batch_op:
        for name, length in (("cluster", 255), ("event", 100), ("kind", 64)):
            column = sa.Column(name, sa.String(length=length), server_default="", nullable=False)
            batch_op.add_column(column)
        batch_op.create_index(batch_op.f("ix_dead_letters_received"), ["received"])
    with op.batch_alter_table("consumer_processes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lags", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("consumer_processes", schema=None) as batch_op:
        batch_op.drop_column("lags")
    with op.batch_alter_table("dead_letters", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dead_letters_received"))
        for name in ("kind", "event", "cluster"):
            batch_op.drop_column(name)
