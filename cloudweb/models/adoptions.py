"""Adoptions of whole clusters: what was shown to whoever asked, and what became of it."""

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, created, pk, reference, str20, str64, str255, table_args


class AdoptionState(enum.StrEnum):
    """How far an adoption is."""

    WANTED = "wanted"
    """The cluster is to be asked what it has."""
    PLANNED = "planned"
    """What would come of each instance is known; somebody has to say yes."""
    CONFIRMED = "confirmed"
    """Somebody has: it is being done."""
    DONE = "done"
    FAILED = "failed"
    """The cluster did not answer."""


class Adoption(Base):
    """One adoption of a cluster; ``rules`` are lines "PATTERN EMAIL", ``owner`` has the rest."""

    __tablename__ = "adoptions"
    __table_args__ = table_args(sa.Index(None, "backend_id", "state"))

    id: Mapped[pk]
    backend_id: Mapped[int] = reference("backends.id")
    user_id: Mapped[int | None] = reference("users.id", nullable=True)
    """Who confirmed it, and asked for it before."""
    owner: Mapped[str255]
    rules: Mapped[str] = mapped_column(sa.Text())
    image_ref: Mapped[str] = mapped_column(sa.String(36))
    state: Mapped[AdoptionState] = mapped_column(default=AdoptionState.WANTED)
    reason: Mapped[str255] = mapped_column(default="")
    error: Mapped[str] = mapped_column(sa.String(500), default="")
    created: Mapped[created]
    taken: Mapped[dt.datetime | None]
    """When the cluster was asked."""
    finished: Mapped[dt.datetime | None]


class AdoptionStep(Base):
    """What is to become of one instance, as it was shown; once ``settled``, what became of it."""

    __tablename__ = "adoption_steps"
    __table_args__ = table_args(
        sa.Index(None, "adoption_id", "fate", "id"), sa.Index(None, "adoption_id", "settled")
    )

    id: Mapped[pk]
    adoption_id: Mapped[int] = reference("adoptions.id")
    instance: Mapped[str255]
    fate: Mapped[str20]
    owner: Mapped[str255]
    flavor: Mapped[str64]
    new_flavor: Mapped[bool]
    new_networks: Mapped[list[str]] = mapped_column(default=list)
    why: Mapped[str255]
    settled: Mapped[bool] = mapped_column(default=False)
