"""Who had an address is who owned the server then, whoever owns it now."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("address_uses", schema=None) as batch_op:
        batch_op.add_column(sa.Column("user_id", meta.BigId, nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_address_uses_user_id"), "users", ["user_id"], ["id"]
        )
    uses = sa.table("address_uses", sa.column("server_id"), sa.column("user_id"))
    servers = sa.table("servers", sa.column("id"), sa.column("user_id"))
    owner = sa.select(servers.c.user_id).where(servers.c.id == uses.c.server_id)
    op.execute(sa.update(uses).values(user_id=owner.scalar_subquery()))


def downgrade() -> None:
    with op.batch_alter_table("address_uses", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_address_uses_user_id"), type_="foreignkey")
        batch_op.drop_column("user_id")
