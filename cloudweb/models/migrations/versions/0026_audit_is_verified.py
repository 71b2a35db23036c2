"""What the worker finds when it computes the seals of the audit again is kept."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("audit_chain", schema=None) as batch_op:
        batch_op.add_column(sa.Column("verified", meta.UtcDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("problem", sa.String(length=255), server_default="", nullable=False)
        )
        batch_op.add_column(sa.Column("broken_since", meta.UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("audit_chain", schema=None) as batch_op:
        for name in ("broken_since", "problem", "verified"):
            batch_op.drop_column(name)
