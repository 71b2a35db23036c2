"""The contract suite runs on a simulated cluster, and on a real one with --ganeti=real."""

from collections.abc import Iterator

import pytest

from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator
from tests.contract.subject import Driver, Subject, real_subject


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ganeti",
        choices=("simulator", "real"),
        default="simulator",
        help="the subject of tests/contract: a simulated cluster, or the real one that"
        " CLOUDWEB_TEST_GANETI_URL, _USER, _PASSWORD and _CERT name",
    )


@pytest.fixture(scope="session")
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    """The cluster to speak to. A real one that cannot be reached is a failure, never a skip."""
    # This file's option is unknown where pytest was started on more than this directory.
    if request.config.getoption("--ganeti", default="simulator") == "real":
        real = real_subject()
        with real.client() as client:
            client.info()
        yield real
        return
    certificate = tmp_path_factory.mktemp("simulator") / "rapi-cert.pem"
    with Simulator(["alpha"], port=0, time_factor=0.1, tls=True) as simulator:
        assert simulator.certificate
        certificate.write_text(simulator.certificate, encoding="ascii")
        yield Subject(simulator.url("alpha"), "cloudweb", "cloudweb", str(certificate), 20)


@pytest.fixture
def client(subject: Subject) -> Iterator[RapiClient]:
    with subject.client() as client:
        yield client


@pytest.fixture
def cluster(client: RapiClient, subject: Subject) -> Iterator[Driver]:
    """A driver of the cluster, which removes what the test made."""
    driver = Driver(client, subject)
    yield driver
    driver.remove_all()
