"""How RAPI is reached: what proves which cluster it is, and what surely was never sent."""

import datetime as dt
import hashlib
import ipaddress
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool


def fingerprint_of(certificate_pem: str) -> str:
    """The SHA-256 fingerprint of a certificate, as hex digits."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate_pem)).hexdigest()


def normal_fingerprint(value: str) -> str:
    """64 lower-case hex digits, from a fingerprint with or without colons; else ValueError."""
    digits = value.replace(":", "").strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError("a fingerprint is the SHA-256 of a certificate: 64 hex digits")
    return digits


def own_certificate(ca_file: str) -> str | None:
    """The fingerprint of the one certificate in a file, if it is a server's own and no authority.

    Such is what Ganeti makes for itself: it names no host, so that only comparing it proves
    anything. None for a file of authorities; ValueError for no certificates at all.
    """
    try:
        certificates = x509.load_pem_x509_certificates(Path(ca_file).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{ca_file} is not a file of certificates") from error
    if len(certificates) != 1 or _is_authority(certificates[0]):
        return None
    return certificates[0].fingerprint(hashes.SHA256()).hex()


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def normal_url(url: str) -> str:
    """The URL without a slash at its end; ValueError unless it is https, or http on loopback."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise ValueError("a cluster's address is a URL with https, or on this machine http")
    if parts.username or parts.password:
        raise ValueError("credentials do not belong in a cluster's URL")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("plain http is only for clusters on this machine")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ConnectWatch:
    """Remembers whether the last request failed before there was a connection to send it over.

    And with which certificate the cluster answered when it was last connected to.
    """

    def __init__(self) -> None:
        self.failed = False
        self._certificate: bytes | None = None

    def connected(self, sock: Any) -> None:
        self.failed = False
        self._certificate = sock.getpeercert(binary_form=True)

    def certificate_ends(self) -> dt.datetime | None:
        """How long the certificate is good; None where there was none."""
        if self._certificate is None:
            return None
        try:
            return x509.load_der_x509_certificate(self._certificate).not_valid_after_utc
        except ValueError:  # what OpenSSL took, a stricter reader need not
            return None


class RapiAdapter(HTTPAdapter):
    """Watches connects, and where there is a fingerprint lets only that certificate through.

    With a fingerprint the certificate is compared while connecting, before anything is sent;
    neither its issuer nor its name matters then.
    """

    def __init__(self, watch: ConnectWatch, fingerprint: str | None) -> None:
        self._connection_classes = _watched_classes(watch)
        self._fingerprint = fingerprint
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self._fingerprint:
            kwargs["assert_fingerprint"] = self._fingerprint
        super().init_poolmanager(*args, **kwargs)

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(request, *args, **kwargs)
        assert isinstance(pool, HTTPConnectionPool)
        pool.ConnectionCls = self._connection_classes[pool.scheme or "http"]
        return pool


def _watched_classes(watch: ConnectWatch) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def connect(self) -> None:
            watch.failed = True
            super().connect()
            watch.failed = False

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            watch.failed = True
            super().connect()
            watch.connected(self.sock)

    return {"http": Plain, "https": Secure}
