"""How long the certificates of clusters are good."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.add_column(sa.Column("certificate_ends", meta.UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("certificate_ends")
