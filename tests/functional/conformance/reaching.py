"""What a row of the table says: how to reach an endpoint."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tests.functional.conformance.world import World


@dataclasses.dataclass(frozen=True)
class Reached:
    """What one call needs: the keys of its path, and the rest of the request."""

    keys: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    body: Any = None
    """As JSON; the same is said in XML by what the endpoint takes."""
    query: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Row:
    """``reach`` makes what is needed; ``stranger`` is what another user is answered with."""

    reach: Callable[[World], Reached] = lambda _world: Reached()
    stranger: int | None = None
    """By default 404 where the path has keys, and as for the owner where it has none."""
