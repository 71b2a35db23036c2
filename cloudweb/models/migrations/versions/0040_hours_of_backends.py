"""What clusters had is kept hour by hour, for charts."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backend_hours",
        sa.Column("backend_id", meta.BigId, nullable=False),
        sa.Column("hour", meta.UtcDateTime(), nullable=False),
        sa.Column("memory_total_mb", sa.BigInteger(), nullable=False),
        sa.Column("memory_free_mb", sa.BigInteger(), nullable=False),
        sa.Column("disk_total_mb", sa.BigInteger(), nullable=False),
        sa.Column("disk_free_mb", sa.BigInteger(), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backend_id"], ["backends.id"], name=op.f("fk_backend_hours_backend_id")
        ),
        sa.PrimaryKeyConstraint("backend_id", "hour", name=op.f("pk_backend_hours")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("backend_hours", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_backend_hours_hour"), ["hour"], unique=False)


def downgrade() -> None:
    op.drop_table("backend_hours")
