"""Reaches clusters from the terminal: credentials, warnings, and what a cluster says of itself."""

import os
import re
from collections.abc import Callable
from typing import Any

import click

from cloudweb.backend.cluster_report import read_report
from cloudweb.backend.ganeti import errors
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.target import Target
from cloudweb.cli import printing
from cloudweb.cli.door import Door, read_secret
from cloudweb.cli.refusals import Refused
from cloudweb.domain.fleet import ClusterReport
from cloudweb.models import Backend, EventSource

RAPI_VERSION = 2
OLDEST_GANETI = (2, 12)
"""The first one with reason trails, by which jobs are found again."""
PASSWORD_VARIABLE = "CLOUDWEB_RAPI_PASSWORD"  # noqa: S105  (the name of a variable)


def password(*, from_stdin: bool) -> str:
    """The password of a remote API: from standard input, the environment or the keyboard."""
    known = os.environ.get(PASSWORD_VARIABLE)
    if known is not None and not from_stdin:
        return known
    return read_secret("Password of the remote API", from_stdin=from_stdin)


def target(door: Door, backend: Backend, **changes: Any) -> Target:
    """How the backend is reached, or would be after these changes of its row."""
    values = {
        name: getattr(backend, name)
        for name in (
            *("id", "name", "url", "username", "password_sealed", "ca_file", "fingerprint"),
            *("verify_tls", "event_source"),
        )
    } | changes
    sealed = values.pop("password_sealed")
    try:
        return Target(**values, password=door.sealer.open(sealed))
    except ValueError as error:
        raise Refused(f"The password of {backend.name} cannot be read: {error}") from None


def connect(door: Door, wanted: Target) -> RapiClient:
    """A client, not connected yet. Raises Refused for an address or a file that cannot be."""
    try:
        return wanted.connect(door.settings)
    except ValueError as error:
        raise Refused(str(error)) from None


def ask(door: Door, wanted: Target) -> ClusterReport:
    """What the cluster says of itself. Raises RapiError or Refused."""
    with connect(door, wanted) as client:
        return read_report(client)


def try_out(door: Door, wanted: Target) -> ClusterReport:
    """What the cluster says of itself, if cloudweb can work with it: its version, and writing.

    Nothing is changed on it: a tag is rehearsed. Raises RapiError or Refused.
    """
    with connect(door, wanted) as client:
        if client.version() != RAPI_VERSION:
            raise Refused(f"This remote API has a version other than {RAPI_VERSION}.")
        report = read_report(client)
        if _version(report.version) < OLDEST_GANETI:
            oldest = ".".join(map(str, OLDEST_GANETI))
            raise Refused(f"The cluster runs Ganeti {report.version}; {oldest} is the oldest.")
        try:
            client.rehearse_tag("cloudweb:try", "cloudweb:try")
        except errors.Unauthorized as error:
            raise Refused(
                f"The cluster lets {wanted.username} read but not write: {error.message}"
            ) from None
    return report


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def warn_of_tls(wanted: Target) -> None:
    """Say so when anybody could pass for the cluster."""
    if not wanted.verify_tls and wanted.url.startswith("https:"):
        printing.warn(
            f"The certificate of {wanted.url} is not verified: whoever stands in between gets "
            "the password and the cluster. Better: --fingerprint or --ca-file."
        )


_OPTIONS = (
    click.option("--username", metavar="NAME", help="User of the remote API."),
    click.option(
        "--password-stdin",
        is_flag=True,
        help=f"Read the password from standard input. Else {PASSWORD_VARIABLE} has it, "
        "or it is asked for.",
    ),
    click.option(
        "--ca-file",
        type=click.Path(exists=True, dir_okay=False, resolve_path=True),
        help="Authorities that vouch for the cluster's certificate, or the certificate itself.",
    ),
    click.option(
        "--fingerprint", help="SHA-256 of the cluster's certificate, in place of authorities."
    ),
    click.option(
        "--verify-tls/--no-verify-tls", default=None, help="Whether the certificate must be right."
    ),
    click.option(
        "--events",
        type=click.Choice([source.value for source in EventSource]),
        help="Who tells what happens: the worker asks, or agents on the cluster tell.",
    ),
)


def connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of ``add`` and ``modify`` that say how a cluster is reached."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
