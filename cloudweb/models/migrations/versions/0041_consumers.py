"""Consumers tell of themselves, and rest while somebody has them rest."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consumer_processes",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("started", meta.UtcDateTime(), nullable=False),
        sa.Column("noted", meta.UtcDateTime(), nullable=False),
        sa.Column("broker", sa.String(length=255), nullable=False),
        sa.Column("broker_since", meta.UtcDateTime(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("last_message", meta.UtcDateTime(), nullable=True),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("redelivered", sa.BigInteger(), nullable=False),
        sa.Column("per_second", sa.Double(), nullable=False),
        sa.Column("unacked", sa.Integer(), nullable=False),
        sa.Column("lag_s", sa.Double(), nullable=True),
        sa.Column("outcomes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_consumer_processes")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "consumer_pauses",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("since", meta.UtcDateTime(), nullable=False),
        sa.Column("user_id", meta.BigId, nullable=True),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_consumer_pauses_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consumer_pauses")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    op.drop_table("consumer_pauses")
    op.drop_table("consumer_processes")
