"""Jobs of clusters know what does them again."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("cluster_jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("retry_id", meta.BigId, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("cluster_jobs", schema=None) as batch_op:
        batch_op.drop_column("retry_id")
