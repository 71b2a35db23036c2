"""Flavors: the sizes a server can have."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, pk, str50, table_args


class Flavor(Base):
    """A size; deleted ones stay for the servers that have them."""

    __tablename__ = "flavors"
    __table_args__ = table_args(
        sa.UniqueConstraint("cpu", "ram_mb", "disk_gb", "disk_template"),
        sa.CheckConstraint("cpu > 0 AND ram_mb > 0 AND disk_gb >= 0", name="sizes"),
    )

    id: Mapped[pk]
    cpu: Mapped[int]
    ram_mb: Mapped[int]
    disk_gb: Mapped[int]
    disk_template: Mapped[str50]
    deleted: Mapped[bool] = mapped_column(default=False)

    @property
    def name(self) -> str:
        """The documented name, such as ``C1R1024D20drbd``."""
        return f"C{self.cpu}R{self.ram_mb}D{self.disk_gb}{self.disk_template}"
