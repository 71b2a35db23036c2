"""A fake cloud of two regions, both registered, and the people who use the federation."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import webtest

from cloudweb.backend.federation import Federation
from cloudweb.domain import identity, infrastructures
from cloudweb.domain.identity import Identity
from cloudweb.models import Infrastructure, Role, SessionFactory, unit_of_work
from cloudweb.openapi.places import endpoints_at
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from tests.conftest import Person
from tests.fake_region import FakeCloud

NANO = {"name": "TestNano", "vcpus": 1, "ram": 2, "disk": 10, "swap": 0}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(
        settings, region_connect_timeout_s=0.5, region_read_timeout_s=0.7, region_refresh_s=0.5
    )


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with FakeCloud("Spain2", "Trento") as cloud:
        yield cloud


@pytest.fixture
def manager(make_user: Callable[..., Person]) -> Person:
    return make_user(role=Role.FLAVOR_MANAGER)


@pytest.fixture
def operator(make_user: Callable[..., Person]) -> Person:
    """May register regions; manages those that are theirs."""
    return make_user(role=Role.OPERATOR)


@pytest.fixture
def owner(make_user: Callable[..., Person]) -> Person:
    """Registered Spain2."""
    return make_user(password="owners-password")


@pytest.fixture
def reader(make_user: Callable[..., Person]) -> Person:
    return make_user()


@pytest.fixture
def register(
    sessions: SessionFactory, sealer: Sealer, cloud: FakeCloud
) -> Callable[..., Infrastructure]:
    """Registers a region, as this actor."""

    def make(name: str, actor: Identity | None = None, **values: Any) -> Infrastructure:
        defaults: dict[str, Any] = {
            "keystone_url": cloud.keystone_url,
            "username": "admin",
            "password_sealed": sealer.seal("adminpw"),
            "tenant": "admin",
        }
        with unit_of_work(sessions) as session:
            return infrastructures.register(
                session, actor or identity.system("cli"), name=name, **(defaults | values)
            )

    return make


@pytest.fixture
def federation(settings: Settings, sessions: SessionFactory) -> Federation:
    return Federation(settings, sessions)


@pytest.fixture
def refresh(federation: Federation, sessions: SessionFactory) -> Callable[[], None]:
    """Asks every region, as the worker does."""

    def work() -> None:
        with unit_of_work(sessions, write=False) as session:
            rows = infrastructures.list_all(session)
        federation.refresh_all(identity.system("tests"), rows)

    return work


@pytest.fixture
def regions(
    register: Callable[..., Infrastructure], owner: Person, refresh: Callable[[], None]
) -> None:
    """Spain2 is the owner's, Trento the operators'; both were asked."""
    register("Spain2", owner.identity)
    register("Trento")
    refresh()


@dataclasses.dataclass
class Client:
    """Calls the API as somebody; what no endpoint declares is an error, whatever the test asks."""

    app: webtest.TestApp

    def __call__(self, method: str, path: str, body: Any = None, **how: Any) -> Any:
        answer = self._call(method, path, body, **how)
        declared = _declared(self.app, method, path.partition("?")[0])
        assert declared is None or answer.status_code in declared, (method, path, answer.text)
        return answer

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        by: Person | None = None,
        region_token: str | None = None,
        xml: bool = False,
        **headers: str,
    ) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= by.headers if by else {}
        if region_token is not None:
            sent["X-Auth-Token-KeyStone"] = region_token
        if xml:
            sent["Accept"] = "application/xml"
        if isinstance(body, (bytes, str)):
            sent.setdefault("Content-Type", "application/xml")
            raw = body.encode() if isinstance(body, str) else body
            return self.app.request(path, method=method, body=raw, headers=sent, expect_errors=True)
        if body is not None:
            raw = json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} | sent
            return self.app.request(path, method=method, body=raw, headers=sent, expect_errors=True)
        return self.app.request(path, method=method, headers=sent, expect_errors=True)


def _declared(app: webtest.TestApp, method: str, path: str) -> set[int] | None:
    """The statuses that the endpoint there declares; None where there is no such endpoint."""
    path = path.removeprefix("/api").replace("/region/", "/regions/").replace("/nodes", "/regions")
    for place, endpoints in endpoints_at(app.app.registry, "federation").items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", place.path.rstrip("/"))
        if re.fullmatch(pattern, path.rstrip("/")):
            for endpoint in endpoints:
                if endpoint.method == method:
                    refused = {fault.code for fault in endpoint.faults}
                    return {endpoint.status, *endpoint.other, *refused}
    return None


@pytest.fixture
def call(app: webtest.TestApp) -> Client:
    return Client(app)


@pytest.fixture
def promote(call: Client, manager: Person) -> Callable[..., Any]:
    """Makes a promoted flavor."""

    def make(**changes: Any) -> Any:
        answer = call("POST", "/v1/promotedflavors", {"flavor": NANO | changes}, by=manager)
        assert answer.status_code == 201, answer.text
        return answer.json["flavor"]

    return make
