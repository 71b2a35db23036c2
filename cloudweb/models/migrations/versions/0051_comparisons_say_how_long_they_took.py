"""How long each comparison took."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("reconcile_runs", "comparisons"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("took_ms", sa.Integer(), nullable=True))


def downgrade() -> None:
    for table in ("comparisons", "reconcile_runs"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("took_ms")
