"""Addresses, fingerprints and certificate files that a client takes, and those it refuses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloudweb.backend.ganeti import transport
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator.certificate import make_certificate


def authority() -> str:
    """The certificate of an authority, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An authority")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    "url",
    [
        "https://ganeti.example:5080",
        "http://127.0.0.1:5180/alpha",
        "http://[::1]/a",
        "http://localhost:1/",
    ],
)
def test_https_anywhere_and_http_on_this_machine_are_taken(url: str) -> None:
    assert transport.normal_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://ganeti.example:5080",
        "http://10.0.0.1",
        "http://127.0.0.1.example",
        "ftp://127.0.0.1",
        "https://",
        "127.0.0.1:5080",
        "https://user:secret@ganeti.example",
        "https://ganeti.example/?a=1",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"cluster|http") as refusal:
        RapiClient(url, "u", "p")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("value", ["", "ab", "g" * 64, "00" * 20])
def test_what_is_no_sha256_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        transport.normal_fingerprint(value)


def test_one_certificate_that_is_no_authority_is_the_clusters_own(tmp_path: Path) -> None:
    certificate = make_certificate()[0]
    path = tmp_path / "own.pem"
    path.write_text(certificate, encoding="ascii")
    assert transport.own_certificate(str(path)) == transport.fingerprint_of(certificate)


def test_authorities_are_not_compared_but_asked(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(authority(), encoding="ascii")
    assert transport.own_certificate(str(path)) is None
    path.write_text(authority() + make_certificate()[0], encoding="ascii")
    assert transport.own_certificate(str(path)) is None


@pytest.mark.parametrize("content", [None, "", "nothing"])
def test_a_file_without_certificates_is_refused_at_once(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content, encoding="ascii")
    with pytest.raises(ValueError, match="not a file of certificates"):
        RapiClient("https://ganeti.example", "u", "p", ca_file=str(path))
