"""What one user may have, where it differs from the settings."""

import enum

from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, bigint, reference


class Resource(enum.StrEnum):
    """What is counted; ``ram_mb`` in MiB, ``disk_gb`` in GiB."""

    SERVERS = "servers"
    CPU = "cpu"
    RAM_MB = "ram_mb"
    DISK_GB = "disk_gb"
    NETWORKS = "networks"
    IMAGES = "images"


UNLIMITED = -1
"""A limit that is none."""


class Quota(Base):
    """How much of a resource a user may have; ``UNLIMITED``: as much as there is."""

    __tablename__ = "quotas"

    user_id: Mapped[int] = reference("users.id", primary_key=True)
    resource: Mapped[Resource] = mapped_column(primary_key=True)
    limit: Mapped[bigint]
