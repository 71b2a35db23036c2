"""Nodes of clusters, pinned users, and removed clusters."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.alter_column("number", existing_type=sa.Integer(), nullable=True)
        batch_op.add_column(sa.Column("removed", meta.UtcDateTime(), nullable=True))
    op.create_table(
        "nodes",
        sa.Column("backend_id", meta.BigId, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("node_group", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("drained", sa.Boolean(), nullable=False),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("vm_capable", sa.Boolean(), nullable=False),
        sa.Column("memory_total_mb", sa.BigInteger(), nullable=False),
        sa.Column("memory_free_mb", sa.BigInteger(), nullable=False),
        sa.Column("disk_total_mb", sa.BigInteger(), nullable=False),
        sa.Column("disk_free_mb", sa.BigInteger(), nullable=False),
        sa.Column("cpus", sa.Integer(), nullable=False),
        sa.Column("primaries", sa.Integer(), nullable=False),
        sa.Column("secondaries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["backend_id"], ["backends.id"], name="fk_nodes_backend_id"),
        sa.PrimaryKeyConstraint("backend_id", "name", name="pk_nodes"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "backend_pins",
        sa.Column("user_id", meta.BigId, autoincrement=False, nullable=False),
        sa.Column("backend_id", meta.BigId, nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_backend_pins_user_id"),
        sa.ForeignKeyConstraint(["backend_id"], ["backends.id"], name="fk_backend_pins_backend_id"),
        sa.PrimaryKeyConstraint("user_id", name="pk_backend_pins"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("backend_pins", schema=None) as batch_op:
        batch_op.create_index("ix_backend_pins_backend_id", ["backend_id"], unique=False)


def downgrade() -> None:
    op.drop_table("backend_pins")
    op.drop_table("nodes")
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("removed")
        batch_op.alter_column("number", existing_type=sa.Integer(), nullable=False)
