"""Acts on many things keep what was done and why, for everybody."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("sent_forms", schema=None) as batch_op:
        for name, length in (("title", 255), ("reason", 255), ("request_id", 50)):
            batch_op.add_column(
                sa.Column(name, sa.String(length=length), server_default="", nullable=False)
            )
        batch_op.create_index(batch_op.f("ix_sent_forms_request_id"), ["request_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("sent_forms", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sent_forms_request_id"))
        for name in ("request_id", "reason", "title"):
            batch_op.drop_column(name)
