"""Terms of use, and who accepted them."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "terms_texts",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("text", meta.LongText, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_terms_texts")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "terms",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.Column("summary", sa.String(length=255), nullable=False),
        sa.Column("requires_acceptance", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("published", meta.UtcDateTime(), nullable=True),
        sa.Column("published_by", sa.String(length=255), nullable=True),
        sa.Column("in_force", meta.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["text_digest"], ["terms_texts.digest"], name=op.f("fk_terms_text_digest")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terms")),
        sa.UniqueConstraint("number", name=op.f("uq_terms_number")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "terms_acceptances",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("terms_id", meta.BigId, nullable=False),
        sa.Column("user_id", meta.BigId, nullable=False),
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.Column("at", meta.UtcDateTime(), nullable=False),
        sa.Column("door", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=50), nullable=False),
        sa.Column("request_id", sa.String(length=50), nullable=False),
        sa.Column("noted_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["terms_id"], ["terms.id"], name=op.f("fk_terms_acceptances_terms_id")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_terms_acceptances_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terms_acceptances")),
        sa.UniqueConstraint(
            "terms_id", "user_id", name=op.f("uq_terms_acceptances_terms_id_user_id")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_terms_acceptances_user_id"), "terms_acceptances", ["user_id"])
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("terms_number", sa.BigInteger(), server_default="0", nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("terms_number")
    op.drop_table("terms_acceptances")
    op.drop_table("terms")
    op.drop_table("terms_texts")
