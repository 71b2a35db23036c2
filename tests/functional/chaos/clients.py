"""Clients that ask for whatever may be asked for, and remember what they were promised."""

import collections
import dataclasses
import http.client
import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from tests.functional.chaos.stack import Stack, Tenant

PATIENCE_S = 20.0
"""How long a client waits for an answer; what became of the request is not known after that."""
PROMISED = (200, 201, 202, 204)
PROFILES = ("ENABLED", "DISABLED", "PROTECTED")


@dataclasses.dataclass(frozen=True)
class Promise:
    """A request that was accepted."""

    request_id: str
    act: str
    status: int
    server_id: int | None = None
    network_id: int | None = None


@dataclasses.dataclass
class Machine:
    """A server as its owner may expect it: what was promised, and what may have happened."""

    names: set[str]
    notes: set[str | None] = dataclasses.field(default_factory=lambda: {None})
    networks: set[int] = dataclasses.field(default_factory=set)


class Client(threading.Thread):
    """One user's client; what it asks for depends on the seed and on the answers."""

    def __init__(
        self, stack: Stack, tenant: Tenant, *, seed: str, servers: int, pace_s: float
    ) -> None:
        super().__init__(name=f"client {tenant.id}", daemon=True)
        self.machines: dict[int, Machine] = {}
        self.networks: list[int] = []
        self.promises: list[Promise] = []
        self.answers: collections.Counter[tuple[str, str]] = collections.Counter()
        self.broken: list[str] = []
        """Answers that no fault outside explains."""
        self._stack, self._tenant = stack, tenant
        self._random = random.Random(seed)
        self._wanted, self._pace_s = servers, pace_s
        self._done = threading.Event()
        self._weights: dict[Callable[[int], None], int] = {
            self._power: 40,
            self._rename: 8,
            self._note: 8,
            self._firewall: 10,
            self._look: 5,
            self._remove: 8,
            self._add_network: 2,
            self._plug: 14,
            self._unplug: 8,
            self._drop_network: 1,
        }

    def stop(self) -> None:
        """End after the request at hand."""
        self._done.set()

    def run(self) -> None:
        took_s = 0.0
        # Where answers are late they ask less, as people do: what waits is not to grow for ever.
        while not self._done.wait(self._random.uniform(0.5, 1.5) * max(self._pace_s, 3 * took_s)):
            started = time.monotonic()
            self._act()
            took_s = time.monotonic() - started

    # --- what it does

    def _act(self) -> None:
        if not self.machines or (len(self.machines) < self._wanted and self._random.random() < 0.5):
            self._create()
            return
        [act] = self._random.choices(list(self._weights), list(self._weights.values()))
        act(self._random.choice(list(self.machines)))

    def _create(self) -> None:
        name = f"web-{self._random.randrange(10**6)}"
        order = {"imageRef": self._stack.image_id, "flavorRef": self._stack.flavor_id}
        status, body = self._ask("create", "POST", "/servers", {"server": {"name": name, **order}})
        if status == 202:
            self.machines[body["server"]["id"]] = Machine({name})
            self._promised(server_id=body["server"]["id"])

    def _power(self, server: int) -> None:
        kind = self._random.choice(("SOFT", "HARD"))
        act, given = self._random.choice(
            (("start", {}), ("shutdown", {}), ("reboot", {"type": kind}))
        )
        status, _ = self._ask(act, "POST", f"/servers/{server}/action", {act: given})
        if status == 202:
            self._promised(server_id=server)

    def _firewall(self, server: int) -> None:
        given = {"profile": self._random.choice(PROFILES)}
        body = {"firewallProfile": given}
        status, _ = self._ask("firewall", "POST", f"/servers/{server}/action", body)
        if status == 202:
            self._promised(server_id=server)

    def _rename(self, server: int) -> None:
        name = f"name-{self._random.randrange(10**6)}"
        body = {"server": {"name": name}}
        status, _ = self._ask("rename", "PUT", f"/servers/{server}", body)
        self.machines[server].names = _expect(self.machines[server].names, name, status)

    def _note(self, server: int) -> None:
        note = f"note {self._random.randrange(10**6)}"
        body = {"metadata": {"note": note}}
        status, _ = self._ask("metadata", "POST", f"/servers/{server}/meta", body)
        self.machines[server].notes = _expect(self.machines[server].notes, note, status)

    def _look(self, server: int) -> None:
        self._ask("get", "GET", f"/servers/{server}")
        self._ask("list", "GET", "/servers/detail")

    def _remove(self, server: int) -> None:
        status, _ = self._ask("delete", "DELETE", f"/servers/{server}")
        if status == 204:
            self._promised(server_id=server)
        if status in (204, 400, 404):
            del self.machines[server]

    def _add_network(self, _server: int) -> None:
        number = self._random.randrange(10**6)
        # Each may have the same addresses; without any it exists only with us.
        wanted = {"cidr": "192.168.7.0/24"} if self._random.random() < 0.8 else {}
        body = {"network": {"name": f"net-{number}", **wanted}}
        status, answer = self._ask("network", "POST", "/networks", body)
        if status == 202:
            self.networks.append(answer["network"]["id"])
            self._promised(network_id=answer["network"]["id"])

    def _plug(self, server: int) -> None:
        if not self.networks:
            self._add_network(server)
            return
        network = self._random.choice(self.networks)
        body = {"add": {"serverRef": server}}
        status, _ = self._ask("connect", "POST", f"/networks/{network}/action", body)
        if status == 202:
            self.machines[server].networks.add(network)
            self._promised(server_id=server, network_id=network)

    def _unplug(self, server: int) -> None:
        mine = sorted(self.machines[server].networks)
        if not mine:
            self._plug(server)
            return
        network = self._random.choice(mine)
        body = {"remove": {"serverRef": server}}
        status, _ = self._ask("disconnect", "POST", f"/networks/{network}/action", body)
        if status in (202, 404):
            self.machines[server].networks.discard(network)
        if status == 202:
            self._promised(server_id=server, network_id=network)

    def _drop_network(self, _server: int) -> None:
        if not self.networks:
            return
        network = self._random.choice(self.networks)
        status, _ = self._ask("drop network", "DELETE", f"/networks/{network}")
        if status == 204:
            self._promised(network_id=network)
        if status in (204, 404):
            self.networks.remove(network)

    # --- how it asks

    def _promised(self, **about: int) -> None:
        self.promises.append(Promise(*self._last, **about))

    def _ask(self, act: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and body of the answer; status 0 where it was not to be had."""
        request_id = uuid.UUID(int=self._random.getrandbits(128)).hex
        port = self._random.choice(self._stack.web_ports)
        headers = {"X-Auth-Token": self._tenant.token, "X-Request-Id": request_id}
        status, text, sent = 0, b"", False
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        try:
            connection.connect()
            sent = True
            if body is not None:
                headers["Content-Type"] = "application/json"
            content = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1.1{path}", content, headers)
            answer = connection.getresponse()
            text, status = answer.read(), answer.status
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        if not sent:
            time.sleep(0.2)
        self._last = (request_id, act, status)
        word = "no answer" if not status else "accepted" if status in PROMISED else str(status)
        self.answers[act, word] += 1
        if status in (500, 501, 502, 504) or (status and status not in _KNOWN):
            self.broken.append(f"{act}: {status} {text[:300]!r}")
        return status, json.loads(text) if text.startswith(b"{") else None


_KNOWN = (*PROMISED, 400, 404, 409, 413, 503)


def _expect(known: Any, new: str, status: int) -> Any:
    """What a value may be, after it was to become new and that was the answer."""
    if status in (200, 201, 204):
        return {new}
    # A request without an answer, or with one that says only that something failed, may yet count.
    return known | {new} if status in (0, 500, 503) else known
