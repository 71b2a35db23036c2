"""What a flavor gives a server, as the catalogue and every region have it. Imports none of ours."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

MAX_NUMBER = 2**31 - 1
MAX_VCPUS = 32_767
MAX_NAME = 255
MAX_ID = 255

HARDWARE = ("vcpus", "ram_mb", "disk_gb", "swap_mb", "ephemeral_gb")
"""The fields that make two flavors the same hardware."""


@dataclasses.dataclass(frozen=True, slots=True)
class Specification:
    """A flavor. ``extra_specs`` and ``access`` are None where they are not known.

    ``access`` are the projects that may use a flavor that is not ``is_public``.
    """

    id: str
    name: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    swap_mb: int = 0
    ephemeral_gb: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    extra_specs: Mapping[str, str] | None = None
    access: tuple[str, ...] | None = None

    @property
    def hardware(self) -> tuple[Any, ...]:
        """What a server gets, whatever the flavor is called."""
        return tuple(getattr(self, field) for field in HARDWARE)

    def differences(self, other: "Specification") -> Iterator[tuple[str, Any, Any]]:
        """Each field, beside the id, in which the other differs: its name and both values.

        What one of the two does not know is no difference.
        """
        for field in ("name", *HARDWARE, "rxtx_factor"):
            ours, theirs = getattr(self, field), getattr(other, field)
            if ours != theirs:
                yield field, ours, theirs
        if self.extra_specs is not None and other.extra_specs is not None:
            ours, theirs = dict(self.extra_specs), dict(other.extra_specs)
            if ours != theirs:
                yield "extra_specs", ours, theirs
