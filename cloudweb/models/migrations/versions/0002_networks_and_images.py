"""Networks, pools, quotas, handovers and diagnostics; images have members."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta
from cloudweb.models.meta import utc_now

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "networks",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("user_id", meta.BigId, nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("drained", sa.Boolean(), nullable=False),
        sa.Column("dhcp", sa.Boolean(), nullable=False),
        sa.Column("cidr", sa.String(length=20), nullable=True),
        sa.Column("gateway", sa.String(length=20), nullable=True),
        sa.Column("cidr6", sa.String(length=50), nullable=True),
        sa.Column("gateway6", sa.String(length=50), nullable=True),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("link", sa.String(length=64), nullable=False),
        sa.Column("mac_prefix", sa.String(length=20), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("updated", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_networks_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("networks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_networks_deleted_id"), ["deleted", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_networks_public_deleted_id"), ["public", "deleted", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_networks_user_id_deleted_id"), ["user_id", "deleted", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_networks_user_id_updated_id"), ["user_id", "updated", "id"], unique=False
        )

    op.create_table(
        "quotas",
        sa.Column("user_id", meta.BigId, nullable=False),
        sa.Column("resource", sa.String(length=20), nullable=False),
        sa.Column("limit", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_quotas_user_id")),
        sa.PrimaryKeyConstraint("user_id", "resource", name=op.f("pk_quotas")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "backend_networks",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("network_id", meta.BigId, nullable=False),
        sa.Column("backend_id", meta.BigId, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("updated", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backend_id"], ["backends.id"], name=op.f("fk_backend_networks_backend_id")
        ),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_backend_networks_network_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backend_networks")),
        sa.UniqueConstraint(
            "network_id", "backend_id", name=op.f("uq_backend_networks_network_id_backend_id")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("backend_networks", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_backend_networks_backend_id_name"), ["backend_id", "name"], unique=False
        )

    op.create_table(
        "image_members",
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", meta.BigId, nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_image_members_image_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_image_members_user_id")),
        sa.PrimaryKeyConstraint("image_id", "user_id", name=op.f("pk_image_members")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("image_members", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_image_members_user_id_image_id"), ["user_id", "image_id"], unique=False
        )

    op.create_table(
        "pools",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("base", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("network_id", meta.BigId, nullable=True),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_pools_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pools")),
        sa.UniqueConstraint("network_id", name=op.f("uq_pools_network_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("pools", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pools_kind_id"), ["kind", "id"], unique=False)

    op.create_table(
        "diagnostics",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("server_id", meta.BigId, nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=50), nullable=False),
        sa.Column("source_date", meta.UtcDateTime(), nullable=True),
        sa.Column("message", sa.String(length=255), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name=op.f("fk_diagnostics_server_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_diagnostics")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("diagnostics", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_diagnostics_server_id_id"), ["server_id", "id"], unique=False
        )

    op.create_table(
        "handovers",
        sa.Column("server_id", meta.BigId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sealed", meta.LongText, nullable=False),
        sa.Column("expires", meta.UtcDateTime(), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_handovers_server_id")),
        sa.PrimaryKeyConstraint("server_id", name=op.f("pk_handovers")),
        sa.UniqueConstraint("digest", name=op.f("uq_handovers_digest")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("handovers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_handovers_expires"), ["expires"], unique=False)

    op.create_table(
        "pool_values",
        sa.Column("pool_id", meta.BigId, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("use", sa.String(length=20), nullable=False),
        sa.Column("holder_kind", sa.String(length=20), nullable=True),
        sa.Column("holder_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pools.id"], name=op.f("fk_pool_values_pool_id")),
        sa.PrimaryKeyConstraint("pool_id", "number", name=op.f("pk_pool_values")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("pool_values", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_pool_values_holder_kind_holder_id"),
            ["holder_kind", "holder_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_pool_values_pool_id_use_number"),
            ["pool_id", "use", "number"],
            unique=False,
        )

    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("node_groups", sa.JSON(), nullable=False, server_default="[]")
        )

    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("version", sa.BigInteger(), nullable=False, server_default="1")
        )
        batch_op.add_column(sa.Column("size", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("checksum", sa.String(length=64), nullable=True))
        batch_op.add_column(
            sa.Column("status", sa.String(length=20), nullable=False, server_default="available")
        )
        batch_op.add_column(sa.Column("deleted_at", meta.UtcDateTime(), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_images_owner_id_updated"), ["owner_id", "updated"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_images_updated"), ["updated"], unique=False)
        batch_op.drop_index(batch_op.f("ix_images_owner_id"))

    with op.batch_alter_table("list_versions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "changed", meta.UtcDateTime(), nullable=False, server_default="2026-01-01 00:00:00"
            )
        )

    with op.batch_alter_table("nics", schema=None) as batch_op:
        batch_op.add_column(sa.Column("network_id", meta.BigId, nullable=True))
        batch_op.add_column(sa.Column("name", sa.String(length=64), nullable=True))
        batch_op.add_column(
            sa.Column("state", sa.String(length=20), nullable=False, server_default="ACTIVE")
        )

    _attach_to_public()

    with op.batch_alter_table("nics", schema=None) as batch_op:
        batch_op.alter_column("network_id", existing_type=meta.BigId, nullable=False)
        batch_op.create_index(
            batch_op.f("ix_nics_network_id_server_id"), ["network_id", "server_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_nics_server_id_index"), ["server_id", "index"], unique=False
        )
        batch_op.drop_constraint(batch_op.f("uq_nics_server_id_index"), type_="unique")
        batch_op.create_foreign_key(
            batch_op.f("fk_nics_network_id"), "networks", ["network_id"], ["id"]
        )
        batch_op.drop_column("network")

    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("network_id", meta.BigId, nullable=True))
        batch_op.add_column(sa.Column("nic_id", sa.BigInteger(), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_operations_network_id_backend_id_state_id"),
            ["network_id", "backend_id", "state", "id"],
            unique=False,
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_operations_network_id"), "networks", ["network_id"], ["id"]
        )


def _attach_to_public() -> None:
    """Servers had one card on the network ``public``: from now on that is a row."""
    now = utc_now()
    networks = sa.table(
        "networks",
        *(sa.column(name) for name in ("id", "version", "name", "kind", "public", "state")),
        *(sa.column(name) for name in ("deleted", "drained", "dhcp", "mode", "link")),
        sa.column("tags", sa.JSON()),
        sa.column("created", meta.UtcDateTime()),
        sa.column("updated", meta.UtcDateTime()),
    )
    op.bulk_insert(
        networks,
        [
            {
                "version": 1,
                "name": "public",
                "kind": "CUSTOM",
                "public": True,
                "state": "ACTIVE",
                "deleted": False,
                "drained": False,
                "dhcp": False,
                "mode": "bridged",
                "link": "br0",
                "tags": [],
                "created": now,
                "updated": now,
            }
        ],
    )
    nics = sa.table("nics", sa.column("network_id"))
    op.execute(
        sa.update(nics).values(network_id=sa.select(sa.func.min(networks.c.id)).scalar_subquery())
    )


def downgrade() -> None:
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_operations_network_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_operations_network_id_backend_id_state_id"))
        batch_op.drop_column("nic_id")
        batch_op.drop_column("network_id")

    with op.batch_alter_table("nics", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("network", sa.String(length=50), nullable=False, server_default="public")
        )
        batch_op.drop_constraint(batch_op.f("fk_nics_network_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_nics_server_id_index"))
        batch_op.drop_index(batch_op.f("ix_nics_network_id_server_id"))
        batch_op.create_unique_constraint(
            batch_op.f("uq_nics_server_id_index"), ["server_id", "index"]
        )
        batch_op.drop_column("state")
        batch_op.drop_column("name")
        batch_op.drop_column("network_id")

    with op.batch_alter_table("list_versions", schema=None) as batch_op:
        batch_op.drop_column("changed")

    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_images_updated"))
        batch_op.drop_index(batch_op.f("ix_images_owner_id_updated"))
        batch_op.create_index(batch_op.f("ix_images_owner_id"), ["owner_id"], unique=False)
        batch_op.drop_column("deleted_at")
        batch_op.drop_column("status")
        batch_op.drop_column("checksum")
        batch_op.drop_column("size")
        batch_op.drop_column("version")

    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("node_groups")

    with op.batch_alter_table("pool_values", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pool_values_pool_id_use_number"))
        batch_op.drop_index(batch_op.f("ix_pool_values_holder_kind_holder_id"))

    op.drop_table("pool_values")
    with op.batch_alter_table("handovers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_handovers_expires"))

    op.drop_table("handovers")
    with op.batch_alter_table("diagnostics", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_diagnostics_server_id_id"))

    op.drop_table("diagnostics")
    with op.batch_alter_table("pools", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pools_kind_id"))

    op.drop_table("pools")
    with op.batch_alter_table("image_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_image_members_user_id_image_id"))

    op.drop_table("image_members")
    with op.batch_alter_table("backend_networks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_backend_networks_backend_id_name"))

    op.drop_table("backend_networks")
    op.drop_table("quotas")
    with op.batch_alter_table("networks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_networks_user_id_updated_id"))
        batch_op.drop_index(batch_op.f("ix_networks_user_id_deleted_id"))
        batch_op.drop_index(batch_op.f("ix_networks_public_deleted_id"))
        batch_op.drop_index(batch_op.f("ix_networks_deleted_id"))

    op.drop_table("networks")
