"""A cluster as whoever speaks to it needs to know it: where it is, and how it is proved."""

import dataclasses

from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.models import Backend, EventSource
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """All one needs to know of a cluster to speak to it, with its password open."""

    id: int
    name: str
    url: str
    username: str
    password: str = dataclasses.field(repr=False)
    ca_file: str | None
    fingerprint: str
    verify_tls: bool
    event_source: EventSource

    @classmethod
    def of(cls, backend: Backend, sealer: Sealer) -> "Target":
        """The target of a backend's row. Raises ValueError when its password cannot be opened."""
        return cls(
            id=backend.id,
            name=backend.name,
            url=backend.url,
            username=backend.username,
            password=sealer.open(backend.password_sealed),
            ca_file=backend.ca_file,
            fingerprint=backend.fingerprint,
            verify_tls=backend.verify_tls,
            event_source=backend.event_source,
        )

    def connect(self, settings: Settings) -> RapiClient:
        """A client for one thread. Raises ValueError for an address that cannot be one."""
        return self._client(settings.rapi_connect_timeout_s, settings.rapi_read_timeout_s)

    def connect_within(self, seconds: float) -> RapiClient:
        """A client for one question whose answer is worth nothing later. Raises ValueError."""
        return self._client(seconds / 2, seconds / 2)

    def _client(self, connect_timeout_s: float, read_timeout_s: float) -> RapiClient:
        return RapiClient(
            self.url,
            self.username,
            self.password,
            ca_file=self.ca_file,
            fingerprint=self.fingerprint or None,
            verify=self.verify_tls,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
        )
