"""The contract suite runs on a fake Keystone and Nova, and on real ones with --openstack=real."""

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from cloudweb.backend.openstack.errors import NotFound
from cloudweb.backend.openstack.keystone import Login, PassBook
from cloudweb.backend.openstack.nova import Limits, NovaRegion
from cloudweb.specifications import Specification
from tests.fake_region import FakeCloud

REGIONS = ("Spain2", "Trento")
ACCOUNTS = {"admin": "adminpw", "demo": "demopw"}
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--openstack",
        choices=("fake", "real"),
        default="fake",
        help="the subject of tests/openstack: our fake, or the real Keystone and Nova whose"
        " Keystone CLOUDWEB_TEST_KEYSTONE_URL names",
    )


@dataclasses.dataclass(frozen=True)
class Subject:
    """A Keystone with two regions, and accounts there."""

    keystone_url: str

    def login(self, region: str = "Spain2", user: str = "admin", **changes: str) -> Login:
        login = Login(self.keystone_url, user, ACCOUNTS[user], user, region)
        return dataclasses.replace(login, **changes)

    def token(self, user: str = "admin", *, scoped: bool = True) -> dict[str, Any]:
        """A token of the account's, got without our client: its text and what Keystone says."""
        default = {"id": "default"}
        account = {"name": user, "password": ACCOUNTS[user], "domain": default}
        project = {"project": {"name": user, "domain": default}}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": account}},
            "scope": project if scoped else "unscoped",
        }
        url = f"{self.keystone_url}/auth/tokens"
        answer = requests.post(url, json={"auth": auth}, timeout=20)
        answer.raise_for_status()
        return answer.json()["token"] | {"text": answer.headers["X-Subject-Token"]}

    def compute_url(self, region: str = "Spain2") -> str:
        catalog = self.token()["catalog"]
        endpoints = next(s for s in catalog if s["type"] == "compute")["endpoints"]
        return str(
            next(e["url"] for e in endpoints if (e["region"], e["interface"]) == (region, "public"))
        )


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The clouds to speak to. Real ones that cannot be reached are a failure, never a skip."""
    # This file's option is unknown where pytest was started on more than this directory.
    if request.config.getoption("--openstack", default="fake") == "real":
        real = Subject(os.environ["CLOUDWEB_TEST_KEYSTONE_URL"])
        real.token()
        yield real
        return
    with FakeCloud(*REGIONS) as cloud:
        yield Subject(cloud.keystone_url)


@pytest.fixture
def passes() -> PassBook:
    return PassBook()


@pytest.fixture
def connect(subject: Subject, passes: PassBook) -> Iterator[Callable[..., NovaRegion]]:
    """Makes clients: of a region, as an account, or with the caller's own token."""
    made = []

    def make(region: str = "Spain2", *, token: str | None = None, **login: str) -> NovaRegion:
        client = NovaRegion(subject.login(region, **login), passes, Limits(), callers_token=token)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def region(connect: Callable[..., NovaRegion]) -> NovaRegion:
    """The first region, as its administrator."""
    return connect()


@pytest.fixture
def wanted(connect: Callable[..., NovaRegion]) -> Iterator[Callable[..., Specification]]:
    """Makes specifications with a name and an id of their own; what came of them is removed."""
    ids = []

    def make(**changes: Any) -> Specification:
        name = f"cloudweb.{os.getpid()}.{next(_numbers)}"
        values: dict[str, Any] = {"id": name, "name": name, "vcpus": 2, "ram_mb": 64, "disk_gb": 3}
        made = Specification(**(values | changes))
        ids.append(made.id)
        return made

    yield make
    for each in REGIONS:
        client = connect(each)
        for id_ in ids:
            try:
                client.delete(id_)
            except NotFound:
                continue
