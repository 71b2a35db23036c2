"""Operations can be canceled, and done again."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cancel_wanted", meta.UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("cancel_asked", meta.UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("retry_of_id", meta.BigId, nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_operations_retry_of_id"), ["retry_of_id"])
        batch_op.create_foreign_key(
            batch_op.f("fk_operations_retry_of_id"), "operations", ["retry_of_id"], ["id"]
        )


def downgrade() -> None:
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_operations_retry_of_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("uq_operations_retry_of_id"), type_="unique")
        batch_op.drop_column("retry_of_id")
        batch_op.drop_column("cancel_asked")
        batch_op.drop_column("cancel_wanted")
