"""What comparing clusters with our servers found."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reconcile_runs",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("backend_id", meta.BigId, nullable=False),
        sa.Column("user_id", meta.BigId, nullable=True),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("taken", meta.UtcDateTime(), nullable=True),
        sa.Column("compared", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["backend_id"], ["backends.id"], name=op.f("fk_reconcile_runs_backend_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_reconcile_runs_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconcile_runs")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_reconcile_runs_backend_id_id"), "reconcile_runs", ["backend_id", "id"])
    op.create_table(
        "reconcile_findings",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("run_id", meta.BigId, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("server_id", meta.BigId, nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("ours", sa.String(length=255), nullable=False),
        sa.Column("theirs", sa.String(length=255), nullable=False),
        sa.Column("remedy", sa.String(length=255), nullable=False),
        sa.Column("fix", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("settled", meta.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["reconcile_runs.id"], name=op.f("fk_reconcile_findings_run_id")
        ),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name=op.f("fk_reconcile_findings_server_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconcile_findings")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_reconcile_findings_run_id_id"), "reconcile_findings", ["run_id", "id"])
    op.create_index(
        op.f("ix_reconcile_findings_state_kind"), "reconcile_findings", ["state", "kind"]
    )


def downgrade() -> None:
    op.drop_table("reconcile_findings")
    op.drop_table("reconcile_runs")
