"""The federation: infrastructures, their flavors, the catalogue and installs."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogue_flavors",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("flavor_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("ram_mb", sa.Integer(), nullable=False),
        sa.Column("disk_gb", sa.Integer(), nullable=False),
        sa.Column("swap_mb", sa.Integer(), nullable=False),
        sa.Column("ephemeral_gb", sa.Integer(), nullable=False),
        sa.Column("rxtx_factor", sa.Double(), nullable=False),
        sa.Column("extra_specs", sa.JSON(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("access", sa.JSON(), nullable=False),
        sa.Column("access_keystone", sa.String(length=1024), nullable=False),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_flavors")),
        sa.UniqueConstraint("flavor_id", name=op.f("uq_catalogue_flavors_flavor_id")),
        sa.UniqueConstraint("name", name=op.f("uq_catalogue_flavors_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "infrastructures",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("keystone_url", sa.String(length=1024), nullable=False),
        sa.Column("nova_url", sa.String(length=1024), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("password_sealed", sa.String(length=2048), nullable=False),
        sa.Column("tenant", sa.String(length=255), nullable=False),
        sa.Column("region_name", sa.String(length=255), nullable=False),
        sa.Column("disk_template", sa.String(length=50), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("refreshed", meta.UtcDateTime(), nullable=True),
        sa.Column("tried", meta.UtcDateTime(), nullable=True),
        sa.Column("unreachable_since", meta.UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_infrastructures")),
        sa.UniqueConstraint("name", name=op.f("uq_infrastructures_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "catalogue_nodes",
        sa.Column("catalogue_id", meta.BigId, nullable=False),
        sa.Column("infrastructure_id", meta.BigId, nullable=False),
        sa.Column("flavor_id", sa.String(length=255), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["catalogue_id"], ["catalogue_flavors.id"], name=op.f("fk_catalogue_nodes_catalogue_id")
        ),
        sa.ForeignKeyConstraint(
            ["infrastructure_id"],
            ["infrastructures.id"],
            name=op.f("fk_catalogue_nodes_infrastructure_id"),
        ),
        sa.PrimaryKeyConstraint(
            "catalogue_id", "infrastructure_id", name=op.f("pk_catalogue_nodes")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("catalogue_nodes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_catalogue_nodes_infrastructure_id"), ["infrastructure_id"], unique=False
        )

    op.create_table(
        "installs",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("catalogue_id", meta.BigId, nullable=False),
        sa.Column("mend", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["catalogue_id"], ["catalogue_flavors.id"], name=op.f("fk_installs_catalogue_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installs")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("installs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_installs_catalogue_id"), ["catalogue_id"], unique=False
        )

    op.create_table(
        "regional_flavors",
        sa.Column("infrastructure_id", meta.BigId, nullable=False),
        sa.Column("flavor_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("ram_mb", sa.Integer(), nullable=False),
        sa.Column("disk_gb", sa.Integer(), nullable=False),
        sa.Column("swap_mb", sa.Integer(), nullable=False),
        sa.Column("ephemeral_gb", sa.Integer(), nullable=False),
        sa.Column("rxtx_factor", sa.Double(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("extra_specs", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["infrastructure_id"],
            ["infrastructures.id"],
            name=op.f("fk_regional_flavors_infrastructure_id"),
        ),
        sa.PrimaryKeyConstraint("infrastructure_id", "flavor_id", name=op.f("pk_regional_flavors")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("regional_flavors", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_regional_flavors_flavor_id"), ["flavor_id"], unique=False
        )

    op.create_table(
        "install_results",
        sa.Column("install_id", meta.BigId, nullable=False),
        sa.Column("infrastructure_id", meta.BigId, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("message", sa.String(length=500), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.String(length=64), nullable=False),
        sa.Column("lease", meta.UtcDateTime(), nullable=True),
        sa.Column("finished", meta.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["infrastructure_id"],
            ["infrastructures.id"],
            name=op.f("fk_install_results_infrastructure_id"),
        ),
        sa.ForeignKeyConstraint(
            ["install_id"], ["installs.id"], name=op.f("fk_install_results_install_id")
        ),
        sa.PrimaryKeyConstraint("install_id", "infrastructure_id", name=op.f("pk_install_results")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("install_results", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_install_results_infrastructure_id"), ["infrastructure_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_install_results_state_lease"), ["state", "lease"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("install_results", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_install_results_state_lease"))
        batch_op.drop_index(batch_op.f("ix_install_results_infrastructure_id"))

    op.drop_table("install_results")
    with op.batch_alter_table("regional_flavors", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_regional_flavors_flavor_id"))

    op.drop_table("regional_flavors")
    with op.batch_alter_table("installs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_installs_catalogue_id"))

    op.drop_table("installs")
    with op.batch_alter_table("catalogue_nodes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_catalogue_nodes_infrastructure_id"))

    op.drop_table("catalogue_nodes")
    op.drop_table("infrastructures")
    op.drop_table("catalogue_flavors")
