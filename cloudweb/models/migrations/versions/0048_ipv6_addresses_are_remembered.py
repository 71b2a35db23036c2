"""Which server has which IPv6 address, from now on; who had one before was never written down."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

_NICS = sa.table("nics", sa.column("ipv6"), sa.column("network_id"), sa.column("server_id"))
_SERVERS = sa.table("servers", sa.column("id"), sa.column("user_id"))
_USES = sa.table(
    "address_uses",
    *map(sa.column, ("address", "network_id", "server_id", "user_id", "since")),
)
_SHORT, _LONG = sa.String(length=20), sa.String(length=50)


def upgrade() -> None:
    with op.batch_alter_table("address_uses", schema=None) as batch_op:
        batch_op.alter_column("address", existing_type=_SHORT, type_=_LONG, existing_nullable=False)
    had = (
        sa.select(
            *(_NICS.c.ipv6, _NICS.c.network_id, _NICS.c.server_id, _SERVERS.c.user_id),
            sa.literal(meta.utc_now(), meta.UtcDateTime()),
        )
        .join_from(_NICS, _SERVERS, _SERVERS.c.id == _NICS.c.server_id)
        .where(_NICS.c.ipv6.is_not(None))
    )
    names = ["address", "network_id", "server_id", "user_id", "since"]
    op.execute(sa.insert(_USES).from_select(names, had))


def downgrade() -> None:
    op.execute(sa.delete(_USES).where(_USES.c.address.contains(":")))
    with op.batch_alter_table("address_uses", schema=None) as batch_op:
        batch_op.alter_column("address", existing_type=_LONG, type_=_SHORT, existing_nullable=False)
