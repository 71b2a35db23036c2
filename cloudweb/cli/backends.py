"""``cloudweb backend``: the Ganeti clusters."""

from typing import Any

import click
from sqlalchemy.orm import Session

from cloudweb.backend.ganeti.errors import RapiError
from cloudweb.backend.lane import Target
from cloudweb.cli import clusters, printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.refusals import Refused, sentence
from cloudweb.domain import fleet
from cloudweb.faults import ItemNotFound
from cloudweb.models import Backend, EventSource

_COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "state": "STATE",
    "instances": "INSTANCES",
    "memory_free_mb": "FREE MiB",
    "memory_total_mb": "OF",
    "disk_free_mb": "DISK MiB",
    "disk_total_mb": "OF",
    "cpu_total": "CPUS",
    "nodes_up": "NODES",
    "nodes_total": "OF",
    "refreshed": "REFRESHED",
    "state_reason": "REASON",
}
_KEYS = (
    *("id", "number", "name", "url", "username", "ca_file", "fingerprint", "verify_tls"),
    *("event_source", "drained", "offline", "state_reason", "state_since", "hypervisor"),
    *("disk_templates", "ganeti_version", "memory_total_mb", "memory_free_mb"),
    *("disk_total_mb", "disk_free_mb", "cpu_total", "instances", "nodes_total", "nodes_up"),
    *("refreshed", "unreachable_since", "last_error", "created"),
)

_key = click.argument("key", metavar="BACKEND")


@click.group()
def backend() -> None:
    """The Ganeti clusters. BACKEND is the id or the name of one."""


@backend.command()
@click.argument("url")
@click.option("--name", help="The name the cluster must have. Default: what it answers.")
@clusters.connection_options
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
    as_json: bool,
) -> None:
    """Add a cluster after asking it how it is; no server goes there before "undrain".

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
    report = clusters.ask(door, wanted)
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
            report=report,
        )
    said = f"{new.name} is backend {new.id}, drained: cloudweb backend undrain {new.id} opens it."
    printing.done(said, _row(new), as_json=as_json)


@backend.command("list")
@printing.as_json
@pass_door
def list_(door: Door, as_json: bool) -> None:
    """Show the clusters and their room, as it was when they were last asked."""
    with door.reading() as session:
        rows = [_row(each) for each in fleet.list_all(session)]
    printing.listing(rows, _COLUMNS, as_json=as_json)


@backend.command()
@_key
@click.option("--url", help="Where its remote API answers.")
@clusters.connection_options
@click.option("--new-password", is_flag=True, help="Ask for another password.")
@printing.as_json
@pass_door
def modify(
    door: Door,
    /,
    key: str,
    password_stdin: bool,
    new_password: bool,
    events: str | None,
    as_json: bool,
    **others: str | bool | None,
) -> None:
    """Change how a cluster is reached, without asking it; what is not named stays.

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
    with door.changing() as session:
        row = _find(session, key)
        wanted = clusters.target(door, row, **changes)
        clusters.connect(door, wanted).close()  # a file or an address that cannot be is refused
        fleet.modify(session, door.identity, row, **changes)
    clusters.warn_of_tls(wanted)
    said = f"Changed {row.name}; whether it answers: cloudweb backend refresh {row.id}"
    printing.done(said, _row(row), as_json=as_json)


@backend.command()
@click.argument("keys", metavar="[BACKEND]...", nargs=-1)
@printing.as_json
@pass_door
def refresh(door: Door, keys: tuple[str, ...], as_json: bool) -> None:
    """Ask clusters how they are; all that are not offline, if none is named.

    One that does not answer is marked so, the others are asked all the same; the status is 1.
    """
    with door.reading() as session:
        if keys:
            chosen = [_find(session, key) for key in keys]
        else:
            chosen = [each for each in fleet.list_all(session) if not each.offline]
    rows, failures = [], []
    for each in chosen:
        try:
            rows.append(_refresh(door, each))
        except RapiError as error:
            failures.append(f"{each.name}: {sentence(error)}")
            _note_unreachable(door, each, str(error))
    printing.listing(rows, _COLUMNS, as_json=as_json)
    if failures:
        raise Refused("; ".join(failures))


def _refresh(door: Door, each: Backend) -> dict[str, Any]:
    if each.offline:
        raise Refused(f"{each.name} is offline: it is not to be contacted.")
    report = clusters.ask(door, clusters.target(door, each))
    with door.changing() as session:
        row = session.get_one(Backend, each.id, with_for_update=True)
        fleet.refresh(session, row, report)
    return _row(row)


def _note_unreachable(door: Door, each: Backend, message: str) -> None:
    with door.changing() as session:
        row = session.get_one(Backend, each.id, with_for_update=True)
        fleet.note_unreachable(row, message)


@backend.command()
@_key
@click.option("--reason", required=True, help="Why; shown to operators and kept in the audit.")
@printing.as_json
@pass_door
def drain(door: Door, key: str, reason: str, as_json: bool) -> None:
    """Let no new server go to a cluster; those it has are not touched."""
    _set_drained(door, key, reason, drained=True, as_json=as_json)


@backend.command()
@_key
@click.option("--reason", default="", help="Why; shown to operators and kept in the audit.")
@printing.as_json
@pass_door
def undrain(door: Door, key: str, reason: str, as_json: bool) -> None:
    """Let new servers go to a cluster."""
    _set_drained(door, key, reason, drained=False, as_json=as_json)


def _set_drained(door: Door, key: str, reason: str, *, drained: bool, as_json: bool) -> None:
    with door.changing() as session:
        row = _find(session, key)
        changed = fleet.set_drained(session, door.identity, row, drained=drained, reason=reason)
    is_now = "is drained" if drained else "takes new servers"
    said = f"{row.name} {is_now}{'' if changed else ' already; nothing was changed'}."
    printing.done(said, _row(row) | {"changed": changed}, as_json=as_json)


def _find(session: Session, key: str) -> Backend:
    """The backend with this id or name. Raises ItemNotFound."""
    for each in fleet.list_all(session):
        if key in (str(each.id), each.name):
            return each
    raise ItemNotFound(f"No backend {key}.")


def _row(each: Backend) -> dict[str, Any]:
    return {"state": _state(each)} | {key: getattr(each, key) for key in _KEYS}


def _state(each: Backend) -> str:
    if each.offline:
        return "offline"
    if each.unreachable_since is not None:
        return "unreachable"
    return "drained" if each.drained else "open"
