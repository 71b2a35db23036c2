"""Confirmed forms are known by their keys."""

import sqlalchemy as sa
from alembic import op

import cloudweb.models.meta

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sent_forms",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("verb", sa.String(length=20), nullable=False),
        sa.Column("location", sa.String(length=1024), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("created", cloudweb.models.meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sent_forms_user_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sent_forms")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("sent_forms", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sent_forms_created"), ["created"], unique=False)


def downgrade() -> None:
    op.drop_table("sent_forms")
