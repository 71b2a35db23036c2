"""Who may ask a cluster, and how the cluster proves who it is."""

from pathlib import Path

import pytest
from cryptography import x509

from cloudweb.backend import cluster_report
from cloudweb.backend.ganeti.errors import TlsFailed, Unauthorized
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator.certificate import make_certificate
from tests.contract.subject import Subject


@pytest.mark.parametrize("call", ["version", "info", "nodes_bulk", "instances_bulk", "jobs_bulk"])
def test_every_call_needs_credentials(subject: Subject, call: str) -> None:
    how = {"fingerprint": subject.fingerprint}
    stranger = RapiClient(subject.url, subject.user, "wrong", **how)
    with stranger as client, pytest.raises(Unauthorized) as refusal:
        getattr(client, call)()
    assert refusal.value.status == 401
    assert refusal.value.message == "No permission -- see authorization schemes"
    assert not refusal.value.maybe_sent


def test_the_version_of_the_api_is_2(client: RapiClient) -> None:
    assert client.version() == 2


def test_the_right_fingerprint_is_accepted(subject: Subject) -> None:
    with subject.client(fingerprint=subject.fingerprint) as client:
        assert client.version() == 2


def test_how_long_the_certificate_is_good_is_told_with_the_figures(subject: Subject) -> None:
    with subject.client(fingerprint=subject.fingerprint) as client:
        assert client.certificate_ends() is None
        told = cluster_report.read_report(client).certificate_ends
    certificate = x509.load_pem_x509_certificate(Path(subject.certificate_file).read_bytes())
    assert told == certificate.not_valid_after_utc


def test_a_fingerprint_may_have_colons_and_capitals(subject: Subject) -> None:
    digits = subject.fingerprint.upper()
    spelt = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    with subject.client(fingerprint=spelt) as client:
        assert client.version() == 2


def test_a_wrong_fingerprint_is_refused_before_anything_is_sent(subject: Subject) -> None:
    with subject.client(fingerprint="00" * 32) as client, pytest.raises(TlsFailed) as refusal:
        client.version()
    assert not refusal.value.maybe_sent


def test_the_clusters_own_certificate_is_accepted_as_ca_file(subject: Subject) -> None:
    with subject.client(ca_file=subject.certificate_file) as client:
        assert client.version() == 2


def test_another_certificate_as_ca_file_is_refused(subject: Subject, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(make_certificate()[0], encoding="ascii")
    with subject.client(ca_file=str(other)) as client, pytest.raises(TlsFailed):
        client.version()


def test_a_self_signed_certificate_is_refused_without_a_pin(subject: Subject) -> None:
    with subject.client(verify=True) as client, pytest.raises(TlsFailed) as refusal:
        client.version()
    assert "self-signed" in refusal.value.message.lower()
    assert not refusal.value.maybe_sent


def test_anybody_is_believed_only_when_told_so(subject: Subject) -> None:
    with subject.client(verify=False) as client:
        assert client.version() == 2
