"""Lists as somebody likes them: filter, sort and columns, under a name."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, created, pk, reference, str20, str50, table_args


class SavedView(Base):
    """A list's address, kept by its owner; ``query`` is what comes after the question mark.

    ``shared_with`` is empty for nobody, ``everyone``, or a role.
    """

    __tablename__ = "saved_views"
    __table_args__ = table_args(
        sa.UniqueConstraint("user_id", "listing", "name"), sa.Index(None, "listing")
    )

    id: Mapped[pk]
    user_id: Mapped[int] = reference("users.id")
    listing: Mapped[str50]
    name: Mapped[str50]
    query: Mapped[str] = mapped_column(sa.String(2000))
    shared_with: Mapped[str20]
    opens: Mapped[bool] = mapped_column(default=False)
    """Whether its owner's list opens so."""
    created: Mapped[created]
