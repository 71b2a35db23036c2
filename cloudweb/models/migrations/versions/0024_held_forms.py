"""What was filled in when a session ended is kept for a while."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "held_forms",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", meta.BigId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sealed", meta.LongText, nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_held_forms_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held_forms")),
        sa.UniqueConstraint("digest", name=op.f("uq_held_forms_digest")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("held_forms", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_held_forms_created"), ["created"], unique=False)
        batch_op.create_index(batch_op.f("ix_held_forms_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_table("held_forms")
