"""Newer figures of a backend are asked for."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.add_column(sa.Column("refresh_asked", meta.UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("refresh_asked")
