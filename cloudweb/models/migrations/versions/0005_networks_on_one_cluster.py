"""A network may be for one cluster only."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("networks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("backend_id", meta.BigId, nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_networks_backend_id"), "backends", ["backend_id"], ["id"]
        )


def downgrade() -> None:
    with op.batch_alter_table("networks", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_networks_backend_id"), type_="foreignkey")
        batch_op.drop_column("backend_id")
