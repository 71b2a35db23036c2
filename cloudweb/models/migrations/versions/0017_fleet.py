"""Who had which address when; differences of networks and pools."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "address_uses",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("address", sa.String(length=20), nullable=False),
        sa.Column("network_id", meta.BigId, nullable=False),
        sa.Column("server_id", meta.BigId, nullable=False),
        sa.Column("since", meta.UtcDateTime(), nullable=False),
        sa.Column("until", meta.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_address_uses_network_id")
        ),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name=op.f("fk_address_uses_server_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_uses")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_address_uses_address_id"), "address_uses", ["address", "id"])
    op.create_index(op.f("ix_address_uses_server_id_until"), "address_uses", ["server_id", "until"])
    op.create_index(op.f("ix_address_uses_until"), "address_uses", ["until"])
    # What is had now was had since the server was made, as far as is known. One statement that
    # locks no table: who takes an address while it runs writes its own row.
    op.execute(
        "INSERT INTO address_uses (address, network_id, server_id, since)"
        " SELECT nics.ipv4, nics.network_id, nics.server_id, servers.created"
        " FROM nics JOIN servers ON servers.id = nics.server_id"
        " WHERE nics.ipv4 IS NOT NULL"
    )
    with op.batch_alter_table("networks") as batch_op:
        batch_op.add_column(
            sa.Column("everywhere", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("reconcile_runs") as batch_op:
        batch_op.alter_column("backend_id", existing_type=meta.BigId, nullable=True)
    with op.batch_alter_table("reconcile_findings") as batch_op:
        batch_op.add_column(sa.Column("network_id", meta.BigId, nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_reconcile_findings_network_id"), "networks", ["network_id"], ["id"]
        )


def downgrade() -> None:
    with op.batch_alter_table("reconcile_findings") as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_reconcile_findings_network_id"), type_="foreignkey")
        batch_op.drop_column("network_id")
    op.execute(
        "DELETE FROM reconcile_findings WHERE run_id IN"
        " (SELECT id FROM reconcile_runs WHERE backend_id IS NULL)"
    )
    op.execute("DELETE FROM reconcile_runs WHERE backend_id IS NULL")
    with op.batch_alter_table("reconcile_runs") as batch_op:
        batch_op.alter_column("backend_id", existing_type=meta.BigId, nullable=False)
    with op.batch_alter_table("networks") as batch_op:
        batch_op.drop_column("everywhere")
    op.drop_table("address_uses")
