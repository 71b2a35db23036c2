"""Initial tables."""

import sqlalchemy as sa
from alembic import op

from cloudweb.models import meta

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flavors",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("cpu", sa.Integer(), nullable=False),
        sa.Column("ram_mb", sa.Integer(), nullable=False),
        sa.Column("disk_gb", sa.Integer(), nullable=False),
        sa.Column("disk_template", sa.String(length=50), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "cpu > 0 AND ram_mb > 0 AND disk_gb >= 0", name=op.f("ck_flavors_sizes")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavors")),
        sa.UniqueConstraint(
            "cpu",
            "ram_mb",
            "disk_gb",
            "disk_template",
            name=op.f("uq_flavors_cpu_ram_mb_disk_gb_disk_template"),
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "sign_in_attempts",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("at", meta.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_attempts")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("sign_in_attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_in_attempts_at"), ["at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_sign_in_attempts_subject_at"), ["subject", "at"], unique=False
        )

    op.create_table(
        "users",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "backends",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("url", sa.String(length=255), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("password_sealed", sa.String(length=1024), nullable=False),
        sa.Column("ca_file", sa.String(length=255), nullable=True),
        sa.Column("fingerprint", sa.String(length=95), nullable=False),
        sa.Column("verify_tls", sa.Boolean(), nullable=False),
        sa.Column("event_source", sa.String(length=20), nullable=False),
        sa.Column("drained", sa.Boolean(), nullable=False),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("state_reason", sa.String(length=255), nullable=False),
        sa.Column("state_by_id", meta.BigId, nullable=True),
        sa.Column("state_since", meta.UtcDateTime(), nullable=True),
        sa.Column("hypervisor", sa.String(length=20), nullable=False),
        sa.Column("disk_templates", sa.JSON(), nullable=False),
        sa.Column("ganeti_version", sa.String(length=20), nullable=False),
        sa.Column("memory_total_mb", sa.BigInteger(), nullable=False),
        sa.Column("memory_free_mb", sa.BigInteger(), nullable=False),
        sa.Column("disk_total_mb", sa.BigInteger(), nullable=False),
        sa.Column("disk_free_mb", sa.BigInteger(), nullable=False),
        sa.Column("cpu_total", sa.Integer(), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("nodes_total", sa.Integer(), nullable=False),
        sa.Column("nodes_up", sa.Integer(), nullable=False),
        sa.Column("refreshed", meta.UtcDateTime(), nullable=True),
        sa.Column("unreachable_since", meta.UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(length=500), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.CheckConstraint("number >= 0 AND number < 16", name=op.f("ck_backends_number_range")),
        sa.ForeignKeyConstraint(
            ["state_by_id"], ["users.id"], name=op.f("fk_backends_state_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backends")),
        sa.UniqueConstraint("name", name=op.f("uq_backends_name")),
        sa.UniqueConstraint("number", name=op.f("uq_backends_number")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "images",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("owner_id", meta.BigId, nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("location", sa.String(length=1024), nullable=False),
        sa.Column("disk_format", sa.String(length=20), nullable=False),
        sa.Column("container_format", sa.String(length=20), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("updated", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_images_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_images_is_public_deleted"), ["is_public", "deleted"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_images_owner_id"), ["owner_id"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", meta.BigId, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("expires", meta.UtcDateTime(), nullable=True),
        sa.Column("revoked", meta.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tokens_user_id"), ["user_id"], unique=False)

    op.create_table(
        "web_sessions",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", meta.BigId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("last_seen", meta.UtcDateTime(), nullable=False),
        sa.Column("expires", meta.UtcDateTime(), nullable=False),
        sa.Column("flashes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_web_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_web_sessions_digest")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("web_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_web_sessions_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_web_sessions_user_id"), ["user_id"], unique=False)

    op.create_table(
        "servers",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("user_id", meta.BigId, nullable=False),
        sa.Column("backend_id", meta.BigId, nullable=False),
        sa.Column("instance_name", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("flavor_id", meta.BigId, nullable=False),
        sa.Column("image_ref", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("build_percentage", sa.Integer(), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("updated", meta.UtcDateTime(), nullable=False),
        sa.Column("state_time", meta.UtcDateTime(), nullable=True),
        sa.Column("state_job_id", sa.BigInteger(), nullable=False),
        sa.Column("job_time", meta.UtcDateTime(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("job_opcode", sa.String(length=64), nullable=False),
        sa.Column("job_status", sa.String(length=20), nullable=False),
        sa.Column("job_log", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["backend_id"], ["backends.id"], name=op.f("fk_servers_backend_id")
        ),
        sa.ForeignKeyConstraint(["flavor_id"], ["flavors.id"], name=op.f("fk_servers_flavor_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_servers_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servers")),
        sa.UniqueConstraint(
            "backend_id", "instance_name", name=op.f("uq_servers_backend_id_instance_name")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_servers_backend_id_deleted_id"),
            ["backend_id", "deleted", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_servers_deleted_id"), ["deleted", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_servers_deleted_state_id"), ["deleted", "state", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_servers_user_id_deleted_id"), ["user_id", "deleted", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_servers_user_id_updated_id"), ["user_id", "updated", "id"], unique=False
        )

    op.create_table(
        "nics",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("server_id", meta.BigId, nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("network", sa.String(length=50), nullable=False),
        sa.Column("mac", sa.String(length=20), nullable=True),
        sa.Column("ipv4", sa.String(length=20), nullable=True),
        sa.Column("ipv6", sa.String(length=50), nullable=True),
        sa.Column("firewall_profile", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_nics_server_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nics")),
        sa.UniqueConstraint("server_id", "index", name=op.f("uq_nics_server_id_index")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("nics", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_nics_ipv4"), ["ipv4"], unique=False)
        batch_op.create_index(batch_op.f("ix_nics_mac"), ["mac"], unique=False)

    op.create_table(
        "operations",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("backend_id", meta.BigId, nullable=False),
        sa.Column("server_id", meta.BigId, nullable=True),
        sa.Column("user_id", meta.BigId, nullable=True),
        sa.Column("request_id", sa.String(length=50), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("opcode", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", meta.UtcDateTime(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("sent", meta.UtcDateTime(), nullable=True),
        sa.Column("submitted", meta.UtcDateTime(), nullable=True),
        sa.Column("finished", meta.UtcDateTime(), nullable=True),
        sa.Column("error_class", sa.String(length=40), nullable=True),
        sa.Column("error", sa.String(length=2000), nullable=False),
        sa.Column("created", meta.UtcDateTime(), nullable=False),
        sa.Column("updated", meta.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backend_id"], ["backends.id"], name=op.f("fk_operations_backend_id")
        ),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name=op.f("fk_operations_server_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_operations_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
        sa.UniqueConstraint("key", name=op.f("uq_operations_key")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_operations_backend_id_job_id"), ["backend_id", "job_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_operations_backend_id_state_due"),
            ["backend_id", "state", "due"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_operations_finished"), ["finished"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_operations_server_id_state_id"),
            ["server_id", "state", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_operations_state_id"), ["state", "id"], unique=False)

    op.create_table(
        "server_metadata",
        sa.Column("server_id", meta.BigId, nullable=False),
        sa.Column("key", sa.String(length=50), nullable=False),
        sa.Column("value", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name=op.f("fk_server_metadata_server_id")
        ),
        sa.PrimaryKeyConstraint("server_id", "key", name=op.f("pk_server_metadata")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "audit",
        sa.Column("id", meta.BigId, autoincrement=True, nullable=False),
        sa.Column("at", meta.UtcDateTime(), nullable=False),
        sa.Column("user_id", meta.BigId, nullable=True),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("door", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=50), nullable=False),
        sa.Column("request_id", sa.String(length=50), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target_kind", sa.String(length=20), nullable=False),
        sa.Column("target_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("operation_id", meta.BigId, nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name=op.f("fk_audit_operation_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_audit_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_audit_target_kind_target_id_id"),
            ["target_kind", "target_id", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_audit_user_id_id"), ["user_id", "id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_user_id_id"))
        batch_op.drop_index(batch_op.f("ix_audit_target_kind_target_id_id"))

    op.drop_table("audit")
    op.drop_table("server_metadata")
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_operations_state_id"))
        batch_op.drop_index(batch_op.f("ix_operations_server_id_state_id"))
        batch_op.drop_index(batch_op.f("ix_operations_finished"))
        batch_op.drop_index(batch_op.f("ix_operations_backend_id_state_due"))
        batch_op.drop_index(batch_op.f("ix_operations_backend_id_job_id"))

    op.drop_table("operations")
    with op.batch_alter_table("nics", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_nics_mac"))
        batch_op.drop_index(batch_op.f("ix_nics_ipv4"))

    op.drop_table("nics")
    with op.batch_alter_table("servers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_servers_user_id_updated_id"))
        batch_op.drop_index(batch_op.f("ix_servers_user_id_deleted_id"))
        batch_op.drop_index(batch_op.f("ix_servers_deleted_state_id"))
        batch_op.drop_index(batch_op.f("ix_servers_deleted_id"))
        batch_op.drop_index(batch_op.f("ix_servers_backend_id_deleted_id"))

    op.drop_table("servers")
    with op.batch_alter_table("web_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_web_sessions_user_id"))
        batch_op.drop_index(batch_op.f("ix_web_sessions_expires"))

    op.drop_table("web_sessions")
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tokens_user_id"))

    op.drop_table("tokens")
    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_images_owner_id"))
        batch_op.drop_index(batch_op.f("ix_images_is_public_deleted"))

    op.drop_table("images")
    op.drop_table("backends")
    op.drop_table("users")
    with op.batch_alter_table("sign_in_attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sign_in_attempts_subject_at"))
        batch_op.drop_index(batch_op.f("ix_sign_in_attempts_at"))

    op.drop_table("sign_in_attempts")
    op.drop_table("flavors")
