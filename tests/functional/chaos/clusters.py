"""The clusters of a cloud that goes through chaos, as the story, the monkey and the audit see them.

``simulated`` has those that every machine can run, ``ganeti`` real ones.
"""

import abc
import dataclasses
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

Card = tuple[str | None, str | None, str | None, str | None]
"""Name, MAC, address and network of a card, by Ganeti's names."""
Maker = Callable[[], tuple[str, str, object]]
"""Makes up what is to go wrong, with whom, and how."""


@dataclasses.dataclass(frozen=True)
class Mishap:
    """``what`` happens to ``whom`` ``at_s`` seconds after the start, and lasts ``for_s``."""

    at_s: float
    for_s: float
    what: str
    whom: str
    how: object = None

    def __str__(self) -> str:
        how = f" {self.how}" if self.how is not None else ""
        return f"{self.at_s:6.1f} s  {self.what} {self.whom}{how}, for {self.for_s:.1f} s"


@dataclasses.dataclass
class TakenJob:
    """A job as its cluster has it; ``reason`` is what our side wrote into its trail."""

    cluster: str
    id: int
    opcode: str
    target: str
    reason: str
    status: str
    received: float

    @property
    def key(self) -> str:
        """Of the operation that wanted it."""
        return self.reason.partition(" ")[0].removeprefix("cloudweb:")

    @property
    def request_id(self) -> str:
        """Of the request that wanted that."""
        return self.reason.partition(" request:")[2].partition(" ")[0]

    def __str__(self) -> str:
        when = time.strftime("%H:%M:%S", time.gmtime(self.received))
        return f"{self.cluster} {self.id} {self.opcode} {self.target} {self.status} ({when})"


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a cluster is spoken to, and by what it is proved."""

    url: str
    username: str
    password: str
    ca_file: str | None = None


@dataclasses.dataclass(frozen=True)
class SeenInstance:
    """An instance as its cluster has it."""

    running: bool | None
    cards: Sequence[Card]
    tags: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Seen:
    """A cluster's instances by name, and the names of its networks."""

    instances: Mapping[str, SeenInstance]
    networks: Collection[str]


class Clusters(abc.ABC):
    """Two clusters by their short names: of the first an agent tells, the second is asked."""

    names: tuple[str, str]
    disk_template: str
    settings: Mapping[str, Any]
    """What cloudweb is told because they take the time they take."""

    @abc.abstractmethod
    def full_name(self, name: str) -> str:
        """What the cluster calls itself."""

    @abc.abstractmethod
    def port(self, name: str) -> int:
        """Where its remote API listens on this machine."""

    @abc.abstractmethod
    def address(self, name: str, port: int) -> Address:
        """How it is spoken to by the way that begins at this port."""

    @abc.abstractmethod
    def agent(self) -> list[str]:
        """The arguments by which the first one's agent finds its queue."""

    @abc.abstractmethod
    def makers(self, chance: random.Random) -> list[Maker]:
        """What may happen to them beside what may happen to any part of a cloud."""

    @abc.abstractmethod
    def suffer(self, mishap: Mishap) -> None:
        """Let one of these happen; returns when it is over."""

    @abc.abstractmethod
    def mend(self) -> None:
        """Have them work as if nothing had ever happened."""

    @abc.abstractmethod
    def jobs(self) -> Sequence[TakenJob]:
        """Every job of ours that they ever took."""

    @abc.abstractmethod
    def look(self) -> Mapping[str, Seen]:
        """What there is now, by the clusters' own names."""
