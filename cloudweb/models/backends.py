"""Backends: one row a Ganeti cluster."""

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    UtcDateTime,
    bigint,
    created,
    pk,
    reference,
    str20,
    str50,
    str64,
    str255,
    table_args,
)

MAX_BACKENDS = 16


class EventSource(enum.StrEnum):
    """Who tells what happens on the cluster: the worker asking, or agents on the cluster."""

    AGENTLESS = "agentless"
    AGENTS = "agents"


class Backend(Base):
    """A Ganeti cluster: where its RAPI is, whether it takes servers, what it had at ``refreshed``.

    Sizes are in MiB. ``number`` (0-15) is the last digit of the cluster's MAC prefix. A removed one
    stays for the history that names it, without a number, and under a name nobody looks for.
    """

    __tablename__ = "backends"
    __table_args__ = table_args(
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("number"),
        sa.CheckConstraint(f"number >= 0 AND number < {MAX_BACKENDS}", name="number_range"),
    )

    id: Mapped[pk]
    number: Mapped[int] = mapped_column(nullable=True)
    """None only for one that is removed."""
    name: Mapped[str] = mapped_column(sa.String(128))
    """Ganeti's own name of the cluster; op-status messages carry it as ``cluster``."""
    url: Mapped[str255]
    username: Mapped[str64]
    password_sealed: Mapped[str] = mapped_column(sa.String(1024))
    ca_file: Mapped[str255 | None]
    fingerprint: Mapped[str] = mapped_column(sa.String(95), default="")
    verify_tls: Mapped[bool] = mapped_column(default=True)
    event_source: Mapped[EventSource] = mapped_column(default=EventSource.AGENTLESS)

    drained: Mapped[bool] = mapped_column(default=True)
    offline: Mapped[bool] = mapped_column(default=False)
    public: Mapped[bool] = mapped_column(default=True)
    """Whether anybody's new servers may go there; else only those of users pinned to it."""
    state_reason: Mapped[str255] = mapped_column(default="")
    state_by_id: Mapped[int | None] = reference("users.id", nullable=True)
    state_since: Mapped[dt.datetime | None]
    drained_until: Mapped[dt.datetime | None]
    """By when who drained it means to be done; nothing happens by itself then."""

    hypervisor: Mapped[str20] = mapped_column(default="")
    disk_templates: Mapped[list[str]] = mapped_column(default=list)
    node_groups: Mapped[list[str]] = mapped_column(default=list)
    ganeti_version: Mapped[str20] = mapped_column(default="")
    memory_total_mb: Mapped[bigint] = mapped_column(default=0)
    memory_free_mb: Mapped[bigint] = mapped_column(default=0)
    disk_total_mb: Mapped[bigint] = mapped_column(default=0)
    disk_free_mb: Mapped[bigint] = mapped_column(default=0)
    cpu_total: Mapped[int] = mapped_column(default=0)
    instances: Mapped[int] = mapped_column(default=0)
    nodes_total: Mapped[int] = mapped_column(default=0)
    nodes_up: Mapped[int] = mapped_column(default=0)
    refreshed: Mapped[dt.datetime | None]
    refresh_asked: Mapped[dt.datetime | None]
    """When somebody asked for newer figures than there are; None once they are there."""
    certificate_ends: Mapped[dt.datetime | None]
    """How long the certificate is good with which the cluster answered then."""
    jobs_read: Mapped[dt.datetime | None]
    """When its queue of jobs was last read."""
    heartbeat: Mapped[str | None] = mapped_column(sa.String(128))
    """The newest question that the cluster's agent has answered."""
    heartbeat_at: Mapped[dt.datetime | None]
    unreachable_since: Mapped[dt.datetime | None]
    last_error: Mapped[str50] = mapped_column(sa.String(500), default="")
    created: Mapped[created]
    removed: Mapped[dt.datetime | None]

    @property
    def silent_since(self) -> dt.datetime | None:
        """Since when nothing is heard of it: it is offline, or does not answer; else None."""
        return (self.state_since or self.refreshed) if self.offline else self.unreachable_since

    @property
    def is_silent(self) -> bool:
        """Whether what is known of it, and of all that is on it, is as it once was."""
        return self.offline or self.unreachable_since is not None


class Node(Base):
    """A node of a cluster, as it was when the cluster was last asked; sizes are in MiB."""

    __tablename__ = "nodes"

    backend_id: Mapped[int] = reference("backends.id", primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    node_group: Mapped[str64]
    role: Mapped[str20] = mapped_column(default="")
    """Ganeti's letter: M master, C candidate, R regular, D drained, O offline."""
    drained: Mapped[bool]
    offline: Mapped[bool]
    vm_capable: Mapped[bool]
    memory_total_mb: Mapped[bigint]
    memory_free_mb: Mapped[bigint]
    disk_total_mb: Mapped[bigint]
    disk_free_mb: Mapped[bigint]
    cpus: Mapped[int]
    primaries: Mapped[int]
    secondaries: Mapped[int]


class BackendHour(Base):
    """What a cluster had in an hour, when that was first looked at; sizes in MiB."""

    __tablename__ = "backend_hours"
    __table_args__ = table_args(sa.Index(None, "hour"))

    backend_id: Mapped[int] = reference("backends.id", primary_key=True)
    hour: Mapped[dt.datetime] = mapped_column(UtcDateTime(), primary_key=True)
    memory_total_mb: Mapped[bigint]
    memory_free_mb: Mapped[bigint]
    disk_total_mb: Mapped[bigint]
    disk_free_mb: Mapped[bigint]
    instances: Mapped[int]


class BackendPin(Base):
    """A user whose new servers go to one cluster only."""

    __tablename__ = "backend_pins"
    __table_args__ = table_args(sa.Index(None, "backend_id"))

    user_id: Mapped[int] = reference("users.id", primary_key=True, autoincrement=False)
    backend_id: Mapped[int] = reference("backends.id")
    created: Mapped[created]
