"""What our client makes of regions that are down, slow, broken or talk nonsense."""

import dataclasses
import datetime as dt
import ipaddress
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloudweb.addresses import normal_url
from cloudweb.backend.openstack import errors
from cloudweb.backend.openstack.keystone import Login, PassBook
from cloudweb.backend.openstack.nova import Limits, NovaRegion
from cloudweb.specifications import Specification
from tests.fake_region import FakeCloud

ORDER = Specification("new", "new", 1, 64, 1, extra_specs={"a": "1"})
QUICK = Limits(connect_s=0.3, read_s=0.5)


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with FakeCloud("Spain2") as cloud:
        yield cloud


@pytest.fixture
def connect(cloud: FakeCloud) -> Iterator[Callable[..., NovaRegion]]:
    made = []
    passes = PassBook()

    def make(limits: Limits = QUICK, token: str | None = None, **changes: Any) -> NovaRegion:
        login = Login(cloud.keystone_url, "admin", "adminpw", "admin", "Spain2")
        login = dataclasses.replace(login, **changes)
        made.append(NovaRegion(login, passes, limits, callers_token=token))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def region(connect: Callable[..., NovaRegion]) -> NovaRegion:
    return connect()


def test_a_region_that_is_down_is_unreachable(connect: Callable[..., NovaRegion]) -> None:
    with pytest.raises(errors.Unreachable):
        connect(keystone_url="http://127.0.0.1:1/v3").list_flavors()


@pytest.mark.parametrize("where", ["/auth/tokens", "/flavors"])
@pytest.mark.parametrize(
    "trouble", [{"delay_s": 3.0}, {"drip_s": 0.05}, {"drop": True}], ids=["slow", "drip", "drop"]
)
def test_no_step_takes_longer_than_the_limits(
    region: NovaRegion, cloud: FakeCloud, where: str, trouble: dict[str, Any]
) -> None:
    cloud.fail(where, **trouble)
    began = time.monotonic()
    with pytest.raises(errors.Unreachable):
        region.list_flavors()
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("where", ["/auth/tokens", "/flavors"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"<html>"),
        (503, b"{}"),
        (200, b"<html>nonsense</html>"),
        (200, b"[1]"),
        (200, b"{}"),
        (200, b'{"token": 7, "flavors": 7}'),
        (200, b'{"token": {"expires_at": "soon"}, "flavors": [{"id": 1}]}'),
        (302, b""),
    ],
)
def test_nonsense_is_a_bad_answer(
    region: NovaRegion, cloud: FakeCloud, where: str, status: int, body: bytes
) -> None:
    cloud.fail(where, status=status, body=body)
    with pytest.raises(errors.BadAnswer):
        region.list_flavors()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.Unauthorized),
        (409, errors.BadAnswer),
        (500, errors.BadAnswer),
    ],
)
def test_what_keystone_says_is_told_apart(
    region: NovaRegion, cloud: FakeCloud, status: int, kind: type[errors.RegionError]
) -> None:
    cloud.fail("/auth/tokens", status=status, body=b'{"error": {"message": "It says so."}}')
    with pytest.raises(kind, match="It says so"):
        region.list_flavors()


def test_errors_never_hold_the_password_or_the_token(
    region: NovaRegion, connect: Callable[..., NovaRegion], cloud: FakeCloud
) -> None:
    cloud.fail("/auth/tokens", status=500, body=b'{"error": {"message": "adminpw my-token"}}')
    with pytest.raises(errors.BadAnswer) as caught:
        region.list_flavors()
    assert "adminpw" not in caught.value.message
    with pytest.raises(errors.BadAnswer) as caught:
        connect(token="my-token").list_flavors()
    assert "my-token" not in caught.value.message


def test_a_list_is_one_call_and_the_token_is_kept(region: NovaRegion, cloud: FakeCloud) -> None:
    [region.list_flavors() for _ in range(3)]
    assert [line.split()[0] for line in cloud.asked] == ["POST", "GET", "GET", "GET"]


def test_a_token_is_renewed_shortly_before_it_ends(region: NovaRegion, cloud: FakeCloud) -> None:
    cloud.token_lasts_s = 30
    [region.list_flavors() for _ in range(2)]
    assert [line.split()[0] for line in cloud.asked] == ["POST", "GET", "POST", "GET"]


def test_a_refused_token_is_renewed_once_and_not_for_ever(
    region: NovaRegion, cloud: FakeCloud
) -> None:
    cloud.fail("/flavors", status=401)
    with pytest.raises(errors.Unauthorized):
        region.list_flavors()
    assert [line.split()[0] for line in cloud.asked] == ["POST", "GET", "POST", "GET"]


def test_a_long_list_is_read_page_by_page(region: NovaRegion, cloud: FakeCloud) -> None:
    cloud.page = 2
    assert len(region.list_flavors()) == 3


def test_an_old_nova_is_asked_without_a_version(region: NovaRegion, cloud: FakeCloud) -> None:
    cloud.newest = (2, 1)
    cloud.flavors["Spain2"]["1"]["extra_specs"] = {"a": "1"}
    assert region.list_flavors()[0].extra_specs is None
    assert region.get("1").extra_specs == {"a": "1"}


@pytest.mark.parametrize(
    ("told", "swap"), [('""', 0), ("0", 0), ("4096", 4096), ('"512"', 512), ("null", 0)]
)
def test_swap_is_read_in_all_its_spellings(
    region: NovaRegion, cloud: FakeCloud, told: str, swap: int
) -> None:
    row = f'{{"id": "1", "name": "a", "vcpus": 1, "ram": 1, "disk": 1, "swap": {told}}}'
    cloud.fail("/flavors", status=200, body=f'{{"flavors": [{row}]}}'.encode())
    assert region.list_flavors()[0].swap_mb == swap


@pytest.mark.parametrize("told", ["-1", "1.5", '"much"', "true", "99999999999"])
def test_a_swap_that_is_none_is_a_bad_answer(
    region: NovaRegion, cloud: FakeCloud, told: str
) -> None:
    row = f'{{"id": "1", "name": "a", "vcpus": 1, "ram": 1, "disk": 1, "swap": {told}}}'
    cloud.fail("/flavors", status=200, body=f'{{"flavors": [{row}]}}'.encode())
    with pytest.raises(errors.BadAnswer):
        region.list_flavors()


def test_a_flavor_that_cannot_be_completed_is_taken_away(
    region: NovaRegion, cloud: FakeCloud
) -> None:
    cloud.fail("/os-extra_specs", status=500)
    with pytest.raises(errors.BadAnswer):
        region.create(ORDER)
    assert "new" not in cloud.names("Spain2")


@pytest.mark.parametrize(
    "trouble", [{"status": 500}, {"status": 403}, {"drop": True}, {"delay_s": 2.0}]
)
@pytest.mark.parametrize(
    ("where", "method", "skip"),
    [
        ("/flavors", "POST", 0),  # the flavor beside it
        ("/os-extra_specs", "POST", 0),
        ("/flavors/old", "DELETE", 0),
        ("/flavors", "POST", 2),  # the new one
        ("/flavors/old/os-extra_specs", "POST", 0),
    ],
)
def test_a_replacement_that_fails_anywhere_puts_the_old_one_back(
    region: NovaRegion,
    cloud: FakeCloud,
    where: str,
    method: str,
    skip: int,
    trouble: dict[str, Any],
) -> None:
    old = region.create(dataclasses.replace(ORDER, id="old", name="old"))
    before = cloud.names("Spain2")
    cloud.fail(where, method=method, skip=skip, times=1, **trouble)
    with pytest.raises(errors.RegionError):
        region.replace("old", dataclasses.replace(old, vcpus=4))
    time.sleep(0.1)
    cloud.mend()
    assert region.get("old") == old
    assert cloud.names("Spain2") == before


def test_what_is_not_different_is_not_replaced(region: NovaRegion, cloud: FakeCloud) -> None:
    old = region.create(ORDER)
    cloud.asked.clear()
    assert region.replace("new", dataclasses.replace(old, extra_specs=None)) == old
    assert not [line for line in cloud.asked if not line.startswith("GET")]


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(host, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, secret


def test_only_known_authorities_are_believed(cloud: FakeCloud, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate, key = own_certificate(tmp_path)
    context.load_cert_chain(certificate, key)
    cloud.serve_tls(context)
    url = cloud.keystone_url.replace("http:", "https:")
    login = Login(url, "admin", "wrong", "admin", "Spain2")
    for ca_file, kind in (("", errors.Unreachable), (str(certificate), errors.Unauthorized)):
        limits = dataclasses.replace(QUICK, ca_file=ca_file)
        with NovaRegion(login, PassBook(), limits) as region, pytest.raises(kind):
            region.list_flavors()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a.example/",
        "a.example",
        "http://",
        "http://u:p@a.example",
        "http://@a.example",
        "http://a.example\\@b.example",
        "http://a.example:0",
        "http://a.example:x",
        "http://a.example/?a",
        "http://a.example/#",
        "http://:5000/",
        "http://a b/",
        "http://[",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        normal_url(url)
