"""An operation names the one it does again without a foreign key."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_operations_retry_of_id"), type_="foreignkey")


def downgrade() -> None:
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_foreign_key(
            batch_op.f("fk_operations_retry_of_id"), "operations", ["retry_of_id"], ["id"]
        )
