"""Who acts, through which door: a plain value that outlives its session."""

import dataclasses
import datetime as dt

from cloudweb.models import Role


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """The actor of one request, command or message."""

    user_id: int | None
    email: str
    role: Role
    door: str
    address: str = ""
    request_id: str = ""
    lists_version: int | None = None
    """Moves with anything this actor's lists show; as it was when the credential was checked."""
    lists_changed: dt.datetime | None = None
    """When it last moved: nothing in the lists is newer."""

    may_write: bool = True
    """False for a token that only reads."""

    owes_terms: bool = False
    """Whether the terms of use are to be accepted before anything else."""

    reason: str = ""
    """Why it is done, for all that is done, where nothing more particular is said."""

    undoes: int | None = None
    """The entry in the audit of what is undone by what is done."""

    @property
    def is_staff(self) -> bool:
        """Whether the dashboard and other people's servers are open to this actor."""
        return self.role is not Role.USER


def system(door: str, request_id: str = "") -> Identity:
    """cloudweb itself, or whoever may run its commands on the machine."""
    return Identity(None, "system", Role.ADMIN, door, request_id=request_id)


def stranger(door: str, address: str, request_id: str) -> Identity:
    """Somebody who has not said who they are."""
    return Identity(None, "stranger", Role.USER, door, address, request_id)
