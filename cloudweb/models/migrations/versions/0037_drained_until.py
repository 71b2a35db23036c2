"""Until when a cluster is meant to be drained."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.add_column(sa.Column("drained_until", meta.UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("drained_until")
