"""Audit entries have an outcome, and a place in a chain of hashes."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_chain",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("kept_number", sa.BigInteger(), nullable=False),
        sa.Column("kept_seal", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_chain")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("outcome", sa.String(length=20), server_default="done", nullable=False)
        )
        batch_op.add_column(sa.Column("seal_number", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("seal", sa.String(length=64), nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_audit_seal_number"), ["seal_number"])


def downgrade() -> None:
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_audit_seal_number"), type_="unique")
        for name in ("seal", "seal_number", "outcome"):
            batch_op.drop_column(name)
    op.drop_table("audit_chain")
