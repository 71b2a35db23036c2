"""Infrastructures: the regions of the federation, and the flavors each was last seen with."""

import datetime as dt
import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    created,
    pk,
    reference,
    str50,
    str255,
    table_args,
)


class InfrastructureKind(enum.StrEnum):
    """What answers there: Keystone and Nova, or the flavors of this installation's own clusters."""

    OPENSTACK = "openstack"
    GANETI = "ganeti"


class Infrastructure(Base):
    """A region: how it is reached, who registered it, and when it last told its flavors.

    ``region_name`` is what the region's own catalog calls it. ``disk_template`` is for Ganeti only:
    what new flavors there have. ``owner`` is the e-mail address, or the identity manager's name, of
    whoever registered it; empty when an operator did.
    """

    __tablename__ = "infrastructures"
    __table_args__ = table_args(sa.UniqueConstraint("name"))

    id: Mapped[pk]
    name: Mapped[str255]
    kind: Mapped[InfrastructureKind] = mapped_column(default=InfrastructureKind.OPENSTACK)
    owner: Mapped[str255] = mapped_column(default="")
    keystone_url: Mapped[str] = mapped_column(sa.String(1024), default="")
    nova_url: Mapped[str] = mapped_column(sa.String(1024), default="")
    username: Mapped[str255] = mapped_column(default="")
    password_sealed: Mapped[str] = mapped_column(sa.String(2048), default="")
    tenant: Mapped[str255] = mapped_column(default="")
    region_name: Mapped[str255] = mapped_column(default="")
    disk_template: Mapped[str50] = mapped_column(default="")
    created: Mapped[created]

    refreshed: Mapped[dt.datetime | None]
    """When the flavors known of it were told."""
    tried: Mapped[dt.datetime | None]
    """When a worker last began to ask; the next asks later."""
    unreachable_since: Mapped[dt.datetime | None]
    last_error: Mapped[str] = mapped_column(sa.String(500), default="")


class RegionalFlavor(Base):
    """A flavor a region was last seen with; ``flavor_id`` is the region's own id of it."""

    __tablename__ = "regional_flavors"
    __table_args__ = table_args(sa.Index(None, "flavor_id"))

    infrastructure_id: Mapped[int] = reference("infrastructures.id", primary_key=True)
    flavor_id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    name: Mapped[str255]
    vcpus: Mapped[int]
    ram_mb: Mapped[int]
    disk_gb: Mapped[int]
    swap_mb: Mapped[int] = mapped_column(default=0)
    ephemeral_gb: Mapped[int] = mapped_column(default=0)
    rxtx_factor: Mapped[float] = mapped_column(sa.Double(), default=1.0)
    is_public: Mapped[bool] = mapped_column(default=True)
    extra_specs: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    """None where the region does not tell."""
