"""Adoptions that are shown before they are done."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "adoptions",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("backend_id", meta.BigId, nullable=False),
        sa.Column("user_id", meta.BigId, nullable=True),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("image_ref", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("taken", meta.UtcDateTime(), nullable=True),
        sa.Column("finished", meta.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["backend_id"], ["backends.id"], name=op.f("fk_adoptions_backend_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_adoptions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adoptions")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(op.f("ix_adoptions_backend_id_state"), "adoptions", ["backend_id", "state"])
    op.create_table(
        "adoption_steps",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("adoption_id", meta.BigId, nullable=False),
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("fate", sa.String(length=20), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("flavor", sa.String(length=64), nullable=False),
        sa.Column("new_flavor", sa.Boolean(), nullable=False),
        sa.Column("new_networks", sa.JSON(), nullable=False),
        sa.Column("why", sa.String(length=255), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["adoption_id"], ["adoptions.id"], name=op.f("fk_adoption_steps_adoption_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adoption_steps")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index(
        op.f("ix_adoption_steps_adoption_id_fate_id"),
        "adoption_steps",
        ["adoption_id", "fate", "id"],
    )
    op.create_index(
        op.f("ix_adoption_steps_adoption_id_settled"), "adoption_steps", ["adoption_id", "settled"]
    )


def downgrade() -> None:
    op.drop_table("adoption_steps")
    op.drop_table("adoptions")
