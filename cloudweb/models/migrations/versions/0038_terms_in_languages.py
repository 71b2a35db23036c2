"""Terms of use are written in more than one language."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "terms_translations",
        sa.Column("terms_id", meta.BigId, nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.Column("summary", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["terms_id"], ["terms.id"], name=op.f("fk_terms_translations_terms_id")
        ),
        sa.ForeignKeyConstraint(
            ["text_digest"],
            ["terms_texts.digest"],
            name=op.f("fk_terms_translations_text_digest"),
        ),
        sa.PrimaryKeyConstraint("terms_id", "language", name=op.f("pk_terms_translations")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    op.drop_table("terms_translations")
