"""What each comparison found, and what was new or gone since the one before, is kept."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comparisons",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("backend_id", meta.BigId, nullable=True),
        sa.Column("user_id", meta.BigId, nullable=True),
        sa.Column("at", meta.UtcDateTime(), nullable=False),
        sa.Column("compared", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("appeared", sa.JSON(), nullable=False),
        sa.Column("gone", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["backend_id"], ["backends.id"], name=op.f("fk_comparisons_backend_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_comparisons_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparisons")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("comparisons", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_comparisons_at"), ["at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_comparisons_backend_id_id"), ["backend_id", "id"], unique=False
        )


def downgrade() -> None:
    op.drop_table("comparisons")
