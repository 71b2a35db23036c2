"""What was done can be undone for some minutes."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "undos",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", meta.BigId, nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("location", sa.String(length=1024), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("done", meta.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_undos_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_undos")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("undos", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_undos_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_undos_user_id_id"), ["user_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("undos")
