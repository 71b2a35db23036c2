"""KeyRock: whose a token of the identity manager is, and which roles they have."""

import collections
import dataclasses
import threading
import time
from typing import Any
from urllib.parse import quote

from cloudweb.backend.openstack.errors import RegionError, Unreachable
from cloudweb.backend.openstack.keystone import key_of
from cloudweb.backend.openstack.nova import Limits

_MAX_KEPT = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """Who has the token; ``roles`` are those of the person, not of organizations."""

    id: str
    roles: frozenset[str]


class KeyRock:
    """Asks KeyRock, and takes its word for as long as it is told; for all threads."""

    def __init__(self, url: str, limits: Limits, *, keep_s: float) -> None:
        self._url = url
        self._limits = limits
        self._keep_s = keep_s
        self._kept: collections.OrderedDict[str, tuple[float, Person]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def find(self, token: str) -> Person | None:
        """Who has this token; None for nobody. Raises Unreachable."""
        key, now = key_of(token), time.monotonic()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept[0] > now:
            return kept[1]
        person = self._ask(token)
        with self._lock:
            self._kept.pop(key, None)
            # Only who is known is kept: a token may become good at any moment.
            if person is not None and self._keep_s:
                self._kept[key] = (now + self._keep_s, person)
                while len(self._kept) > _MAX_KEPT:
                    self._kept.popitem(last=False)
        return person

    def _ask(self, token: str) -> Person | None:
        talk = self._limits.begin()
        try:
            url = self._url + quote(token, safe="")
            answer = talk.call("GET", url, headers={}, secrets=(token,))
        except Unreachable:
            raise
        except RegionError:
            return None
        finally:
            talk.close()
        return _person(answer.body) if answer.status == 200 else None


def _person(body: dict[str, Any]) -> Person | None:
    found = body.get("id") or body.get("email")
    if not isinstance(found, (str, int)) or not found:
        return None
    roles = body.get("roles")
    names = [role.get("name") for role in roles or () if isinstance(role, dict)]
    return Person(str(found)[:200], frozenset(name for name in names if isinstance(name, str)))
