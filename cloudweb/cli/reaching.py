"""``cloudweb backend add|modify|refresh``: what has to do with how clusters are reached."""

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

import click

from cloudweb.backend.ganeti.errors import RapiError
from cloudweb.backend.target import Target
from cloudweb.cli import clusters, printing
from cloudweb.cli.backends import COLUMNS, backend_row, key_argument
from cloudweb.cli.door import (
    Door,
    dry_run,
    pass_door,
    reason_option,
)
from cloudweb.cli.refusals import Refused, sentence
from cloudweb.domain import fleet
from cloudweb.domain.fleet import ClusterReport
from cloudweb.models import MAX_BACKENDS, Backend, EventSource, utc_now


@click.command()
@click.argument("url")
@click.option("--name", help="The name the cluster must have. Default: what it answers.")
@clusters.connection_options
@click.option(
    "--public/--no-public",
    default=True,
    help="Whether new servers of everybody may go there, or of users pinned to it only.",
)
@reason_option
@dry_run
@printing.as_json
@pass_door
def add(
    door: Door,
    url: str,
    name: str | None,
    username: str | None,
    password_stdin: bool,
    ca_file: str | None,
    fingerprint: str | None,
    verify_tls: bool | None,
    events: str | None,
    public: bool,
    as_json: bool,
) -> None:
    """Add a cluster after trying it out; no server goes there before "undrain".

    URL is where its remote API answers, such as https://cluster.example.org:5080.
    """
    if username is None:
        raise click.UsageError("Missing option '--username'.")
    wanted = Target(
        id=0,
        name=name or "",
        url=url,
        username=username,
        password=clusters.password(from_stdin=password_stdin),
        ca_file=ca_file,
        fingerprint=fingerprint or "",
        verify_tls=verify_tls is not False,
        event_source=EventSource(events or EventSource.AGENTLESS),
    )
    clusters.warn_of_tls(wanted)
    report = clusters.try_out(door, wanted)
    with door.changing() as session:
        new = fleet.add(
            session,
            door.identity,
            name=name or report.name,
            url=url,
            username=username,
            password_sealed=door.sealer.seal(wanted.password),
            ca_file=ca_file,
            fingerprint=wanted.fingerprint,
            verify_tls=wanted.verify_tls,
            event_source=wanted.event_source,
            public=public,
            report=report,
        )
    said = f"{new.name} is backend {new.id}, drained: cloudweb backend undrain {new.id} opens it."
    printing.done(said, backend_row(new), as_json=as_json)


@click.command()
@key_argument
@click.option("--url", help="Where its remote API answers.")
@clusters.connection_options
@click.option("--new-password", is_flag=True, help="Ask for another password.")
@click.option("--check", is_flag=True, help="Try the cluster out first, and refuse what fails.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def modify(
    door: Door,
    /,
    key: str,
    password_stdin: bool,
    new_password: bool,
    check: bool,
    events: str | None,
    as_json: bool,
    **others: str | bool | None,
) -> None:
    """Change how a cluster is reached; what is not named stays.

    What the cluster still has to do waits for it, and is not lost should the change be wrong.

    A fingerprint takes the place of a CA file, and a CA file that of a fingerprint.
    """
    changes: dict[str, Any] = {name: value for name, value in others.items() if value is not None}
    if "url" in changes:
        changes["url"] = changes["url"].rstrip("/")
    if "fingerprint" in changes:
        changes.setdefault("ca_file", None)
    elif "ca_file" in changes:
        changes["fingerprint"] = ""
    if events is not None:
        changes["event_source"] = EventSource(events)
    if password_stdin or new_password:
        changes["password_sealed"] = door.sealer.seal(clusters.password(from_stdin=password_stdin))
    if not changes:
        raise click.UsageError("Nothing to change: name what is to be different.")
    with door.reading() as session:
        row = fleet.by_key(session, key)
    wanted = clusters.target(door, row, **changes)
    clusters.connect(door, wanted).close()  # a file or an address that cannot be is refused
    if check and clusters.try_out(door, wanted).name != row.name:
        raise Refused(f"Another cluster answers there than {row.name}.")
    with door.changing() as session:
        row = fleet.by_key(session, key)
        fleet.modify(session, door.identity, row, **changes)
    clusters.warn_of_tls(wanted)
    said = f"Changed {row.name}; whether it answers: cloudweb backend refresh {row.id}"
    printing.done(said, backend_row(row), as_json=as_json)


@click.command()
@click.argument("keys", metavar="[BACKEND]...", nargs=-1)
@click.option(
    "--older-than",
    type=click.IntRange(min=0),
    metavar="MINUTES",
    help="Leave out those that were asked since.",
)
@click.option("--later", is_flag=True, help="Only have the worker ask them, at once.")
@dry_run
@printing.as_json
@pass_door
def refresh(
    door: Door, keys: tuple[str, ...], older_than: int | None, later: bool, as_json: bool
) -> None:
    """Ask clusters how they are; all that are not offline, if none is named.

    They are asked at the same time. One that does not answer is marked so; the status is 1.
    """
    with door.reading() as session:
        if keys:
            chosen = [fleet.by_key(session, key) for key in keys]
        else:
            chosen = [each for each in fleet.list_all(session) if not each.offline]
    if offline := [each.name for each in chosen if each.offline]:
        raise Refused(f"{offline[0]} is offline: it is not to be contacted.")
    if older_than is not None:
        since = utc_now() - dt.timedelta(minutes=older_than)
        chosen = [each for each in chosen if each.refreshed is None or each.refreshed < since]
    if later:
        _have_asked(door, chosen, as_json=as_json)
        return
    rows, failures = [], []
    with ThreadPoolExecutor(MAX_BACKENDS) as threads:
        answers = threads.map(_ask, (clusters.target(door, each) for each in chosen), repeat(door))
        for each, answer in zip(chosen, answers, strict=True):
            if isinstance(answer, RapiError):
                failures.append(f"{each.name}: {sentence(answer)}")
                _note_unreachable(door, each, str(answer))
            else:
                rows.append(_keep(door, each, answer))
    printing.listing(rows, COLUMNS, as_json=as_json)
    if failures:
        raise Refused("; ".join(failures))


def _have_asked(door: Door, chosen: Sequence[Backend], *, as_json: bool) -> None:
    """Leave it to the worker."""
    names = [each.name for each in chosen]
    with door.changing() as session:
        asked = [
            each.name
            for each in sorted(chosen, key=lambda each: each.id)
            if fleet.ask_refresh(session, door.identity, fleet.get(session, each.id))
        ]
    said = f"The worker is about to ask {', '.join(names) or 'no cluster'}."
    printing.done(said, {"backends": names, "asked": asked}, as_json=as_json)


def _ask(wanted: Target, door: Door) -> ClusterReport | RapiError:
    try:
        return clusters.ask(door, wanted)
    except RapiError as error:
        return error


def _keep(door: Door, each: Backend, report: ClusterReport) -> dict[str, Any]:
    with door.changing() as session:
        row = session.get_one(Backend, each.id, with_for_update=True)
        fleet.refresh(session, row, report)
    return backend_row(row)


def _note_unreachable(door: Door, each: Backend, message: str) -> None:
    with door.changing() as session:
        row = session.get_one(Backend, each.id, with_for_update=True)
        fleet.note_unreachable(row, message)
