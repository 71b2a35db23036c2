"""Metadata keys have 255 characters."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _set(50, 255)


def downgrade() -> None:
    _set(255, 50)


def _set(before: int, after: int) -> None:
    with op.batch_alter_table("server_metadata", schema=None) as batch_op:
        batch_op.alter_column(
            "key",
            existing_type=sa.String(length=before),
            type_=sa.String(length=after),
            existing_nullable=False,
        )
