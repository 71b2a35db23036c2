"""The jobs in the queues of all clusters are known, also those that are not ours."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cluster_jobs",
        sa.Column("backend_id", meta.BigId, nullable=False),
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("opcode", sa.String(length=64), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("tool", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("operation_id", meta.BigId, nullable=True),
        sa.Column("server_id", meta.BigId, nullable=True),
        sa.Column("received", meta.UtcDateTime(), nullable=False),
        sa.Column("started", meta.UtcDateTime(), nullable=True),
        sa.Column("ended", meta.UtcDateTime(), nullable=True),
        sa.Column("took_ms", sa.BigInteger(), nullable=True),
        sa.Column("error_class", sa.String(length=40), nullable=True),
        sa.Column("error", sa.String(length=2000), nullable=False),
        sa.Column("read_status", sa.String(length=20), nullable=False),
        sa.Column("detail", meta.LongText, nullable=False),
        sa.Column("cancel_wanted", meta.UtcDateTime(), nullable=True),
        sa.Column("cancel_asked", meta.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["backend_id"], ["backends.id"], name=op.f("fk_cluster_jobs_backend_id")
        ),
        sa.PrimaryKeyConstraint("backend_id", "job_id", name=op.f("pk_cluster_jobs")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("cluster_jobs", schema=None) as batch_op:
        for column in ("status", "opcode", "target", "received", "operation_id"):
            batch_op.create_index(batch_op.f(f"ix_cluster_jobs_{column}"), [column], unique=False)
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.add_column(sa.Column("jobs_read", meta.UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("jobs_read")
    op.drop_table("cluster_jobs")
