"""Each user chooses colours, spacing and time zone of the pages."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        for name, length, usual in (
            ("theme", 20, "system"),
            ("density", 20, "comfortable"),
            ("time_zone", 64, "UTC"),
        ):
            batch_op.add_column(
                sa.Column(name, sa.String(length=length), server_default=usual, nullable=False)
            )


def downgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        for name in ("time_zone", "density", "theme"):
            batch_op.drop_column(name)
