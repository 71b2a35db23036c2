"""Lists are kept as somebody likes them."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_views",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", meta.BigId, nullable=False),
        sa.Column("listing", sa.String(length=50), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("query", sa.String(length=2000), nullable=False),
        sa.Column("shared_with", sa.String(length=20), nullable=False),
        sa.Column("opens", sa.Boolean(), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_saved_views_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint(
            "user_id", "listing", "name", name=op.f("uq_saved_views_user_id_listing_name")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("saved_views", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_saved_views_listing"), ["listing"], unique=False)


def downgrade() -> None:
    op.drop_table("saved_views")
