"""Opens the console of a server: where its screen is now, and a proxy that lends it.

The one thing a request waits for outside: its answer is only true now (docs/adr).
"""

import collections
import contextlib
import dataclasses
import logging
import secrets
import string
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from cloudweb import faults
from cloudweb.backend.ganeti.errors import RapiError
from cloudweb.backend.target import Target
from cloudweb.backend.vncproxy.client import ProxyAway, ProxyClient, ProxyRefused
from cloudweb.models import Backend
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings, SettingsError

_log = logging.getLogger(__name__)

_PASSWORD_CHARS = string.ascii_letters + string.digits
# VNC looks at no more.
_PASSWORD_LENGTH = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Console:
    """Where a VNC client goes, and the password that it says there."""

    host: str
    port: int
    password: str = dataclasses.field(repr=False)
    type: str = "vnc"


@dataclasses.dataclass(frozen=True, slots=True)
class _Screen:
    """Where a node shows an instance."""

    node: str
    port: int


class Turns:
    """Lets ``at_once`` in at a time, half of them for one cluster: one that hangs is not all."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._of_one = max(1, at_once // 2)
        self._taken: collections.Counter[int] = collections.Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def take(self, backend_id: int) -> Iterator[None]:
        """A turn. Raises ServiceUnavailable at once when there is none."""
        with self._lock:
            if self._taken.total() >= self._at_once or self._taken[backend_id] >= self._of_one:
                raise faults.ServiceUnavailable("Too many consoles are being opened. Try again.")
            self._taken[backend_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[backend_id] -= 1


class Consoles:
    """Opens consoles as the settings say; for any number of threads. Raises SettingsError."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_s = settings.console_timeout_s
        self._host = settings.console_host or urlsplit(settings.public_url).hostname or ""
        self._sealer = Sealer.of(settings)
        self._turns = Turns(settings.console_at_once)
        self._proxy: ProxyClient | None = None
        if settings.vncproxy_url:
            self._proxy = _proxy_client(settings)

    def open(self, backend: Backend, instance: str) -> Console:
        """A console that waits for its client. Raises ServiceUnavailable, saying why.

        Takes no longer than the settings allow, and no database: have none open meanwhile.
        """
        if self._proxy is None:
            raise faults.ServiceUnavailable("Consoles are not set up here.")
        with self._turns.take(backend.id):
            ends = time.monotonic() + self._timeout_s
            target = self._target(backend)
            screen = _find_screen(target, instance, ends)
            password = "".join(secrets.choice(_PASSWORD_CHARS) for _ in range(_PASSWORD_LENGTH))
            port = self._forward(self._proxy, screen, password, ends)
            # It may have moved to another node in between: its old port may be another's now.
            if _find_screen(target, instance, ends) != screen:
                raise faults.ServiceUnavailable("VNC Server settings changed.")
        return Console(self._host, port, password)

    def _target(self, backend: Backend) -> Target:
        try:
            return Target.of(backend, self._sealer)
        except ValueError as error:
            _log.error("password unreadable", extra={"backend": backend.name, "error": str(error)})
            raise faults.ServiceUnavailable("The server's cluster cannot be asked.") from None

    def _forward(self, proxy: ProxyClient, screen: _Screen, password: str, ends: float) -> int:
        try:
            return proxy.forward(screen.node, screen.port, password, timeout_s=_left(ends))
        except ProxyRefused as error:
            _log.warning("console refused", extra={"node": screen.node, "error": str(error)})
            raise faults.ServiceUnavailable("vncauthproxy returned error status") from None
        except ProxyAway as error:
            _log.error("console proxy away", extra={"error": str(error)})
            raise faults.ServiceUnavailable("vncauthproxy is unavailable") from None


def _proxy_client(settings: Settings) -> ProxyClient:
    try:
        return ProxyClient(
            settings.vncproxy_url,
            user=settings.vncproxy_user,
            password=settings.vncproxy_password,
            ca_file=settings.vncproxy_ca_file,
        )
    except OSError as error:
        raise SettingsError(f"Setting cloudweb.vncproxy_ca_file: {error}") from None


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise faults.ServiceUnavailable("The server's cluster takes too long to answer.")
    return left


def _find_screen(target: Target, instance: str, ends: float) -> _Screen:
    """Where the cluster says that the instance's screen is now. Raises ServiceUnavailable."""
    try:
        with target.connect_within(_left(ends)) as client:
            found = client.instance(instance)
    except RapiError as error:
        _log.warning("no console", extra={"backend": target.name, "error": error.message[:200]})
        raise faults.ServiceUnavailable("The server's cluster does not answer.") from None
    except ValueError as error:
        _log.error("bad address", extra={"backend": target.name, "error": str(error)})
        raise faults.ServiceUnavailable("The server's cluster cannot be asked.") from None
    if found.serial_console:
        raise faults.ServiceUnavailable("The server has a serial console and no VNC.")
    if found.pnode is None or found.network_port is None:
        raise faults.ServiceUnavailable("The server has no VNC console.")
    return _Screen(found.pnode, found.network_port)
