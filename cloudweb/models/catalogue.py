"""The catalogue: published and promoted flavors, where they are installed, and installing them."""

import datetime as dt
import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, created, pk, reference, str64, str255, table_args


class CatalogueFlavor(Base):
    """A published flavor, perhaps a promoted one, under the id it has in every region.

    ``access`` are projects of the Keystone at ``access_keystone``: they mean nothing elsewhere.
    """

    __tablename__ = "catalogue_flavors"
    __table_args__ = table_args(sa.UniqueConstraint("flavor_id"), sa.UniqueConstraint("name"))

    id: Mapped[pk]
    flavor_id: Mapped[str255]
    name: Mapped[str255]
    vcpus: Mapped[int]
    ram_mb: Mapped[int]
    disk_gb: Mapped[int]
    swap_mb: Mapped[int] = mapped_column(default=0)
    ephemeral_gb: Mapped[int] = mapped_column(default=0)
    rxtx_factor: Mapped[float] = mapped_column(sa.Double(), default=1.0)
    extra_specs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_public: Mapped[bool] = mapped_column(default=True)
    """Whether every project of a region may use it."""
    access: Mapped[list[str]] = mapped_column(default=list)
    access_keystone: Mapped[str] = mapped_column(sa.String(1024), default="")
    promoted: Mapped[bool] = mapped_column(default=False)
    created: Mapped[created]


class CatalogueNode(Base):
    """A region where a flavor of the catalogue is, and the id it has there."""

    __tablename__ = "catalogue_nodes"
    __table_args__ = table_args(sa.Index(None, "infrastructure_id"))

    catalogue_id: Mapped[int] = reference("catalogue_flavors.id", primary_key=True)
    infrastructure_id: Mapped[int] = reference("infrastructures.id", primary_key=True)
    flavor_id: Mapped[str255]
    created: Mapped[created]


class ResultState(enum.StrEnum):
    """How far an installation in one region is; only WAITING and FAILED ones are done again."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    UNCHANGED = "unchanged"
    """It was there already, as it should be."""
    FAILED = "failed"


class Install(Base):
    """One order to have a flavor of the catalogue in regions; ``mend`` replaces what differs."""

    __tablename__ = "installs"
    __table_args__ = table_args(sa.Index(None, "catalogue_id"))

    id: Mapped[pk]
    catalogue_id: Mapped[int] = reference("catalogue_flavors.id")
    mend: Mapped[bool] = mapped_column(default=False)
    actor: Mapped[str255]
    created: Mapped[created]


class InstallResult(Base):
    """What became of an order in one region; ``claim`` says who works on it until ``lease``."""

    __tablename__ = "install_results"
    __table_args__ = table_args(
        sa.Index(None, "state", "lease"), sa.Index(None, "infrastructure_id")
    )

    install_id: Mapped[int] = reference("installs.id", primary_key=True)
    infrastructure_id: Mapped[int] = reference("infrastructures.id", primary_key=True)
    state: Mapped[ResultState] = mapped_column(default=ResultState.WAITING)
    message: Mapped[str] = mapped_column(sa.String(500), default="")
    attempts: Mapped[int] = mapped_column(default=0)
    claim: Mapped[str64] = mapped_column(default="")
    lease: Mapped[dt.datetime | None]
    finished: Mapped[dt.datetime | None]
