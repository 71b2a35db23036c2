"""``cloudweb queue``: what waits on the message bus, and the messages nobody could apply."""

import dataclasses
from typing import Any

import click

from cloudweb import faults
from cloudweb.backend.amqp.retrying import retry as retry_letter
from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, pass_door, reason_option, required_reason
from cloudweb.cli.lists import Wanted
from cloudweb.domain import consumers, dead_letters
from cloudweb.models import DeadLetter, LetterState

COLUMNS = {
    "id": "ID",
    "received": "RECEIVED",
    "queue": "QUEUE",
    "backend": "BACKEND",
    "event": "EVENT",
    "tries": "TRIES",
    "state": "STATE",
    "reason": "REASON",
}


@click.group()
def queue() -> None:
    """What waits on the message bus, and what could not be applied."""


@queue.command("list")
@lists.options(dead_letters.COUNT_FIELDS)
@pass_door
def list_(door: Door, wanted: Wanted) -> None:
    """Show how full each queue was when a consumer last looked."""
    columns = {"name": "NAME", "waiting": "WAITING", "consumers": "CONSUMERS", "noted": "AS OF"}
    with door.reading() as session:
        found = wanted.select(session, dead_letters.count_rows(), "name")
    wanted.show([{key: getattr(each, key) for key in columns} for (each,) in found], columns)


@queue.command("letters")
@click.option("--all", "every", is_flag=True, help="Those that were applied or dropped, too.")
@click.option("--before", "before_id", type=int, metavar="ID", help="Only older ones.")
@lists.options(dead_letters.FIELDS, limit=50)
@pass_door
def letters(door: Door, every: bool, before_id: int | None, wanted: Wanted) -> None:
    """Show the dead letters, newest first."""
    query = dead_letters.rows()
    if not every and not wanted.selection.names("state"):
        query = query.where(DeadLetter.state == LetterState.WAITING)
    if before_id is not None:
        query = query.where(DeadLetter.id < before_id)
    with door.reading() as session:
        rows = [_row(letter) for (letter,) in wanted.select(session, query)]
    wanted.show(rows, COLUMNS)


@queue.command("errors")
@printing.as_json
@pass_door
def errors(door: Door, as_json: bool) -> None:
    """Count what could not be applied in the last 24 hours, by kind of error."""
    with door.reading() as session:
        rows = [dataclasses.asdict(each) for each in dead_letters.list_failures(session)]
    columns = {
        "kind": "KIND",
        "last_hour": "LAST HOUR",
        "last_day": "24 HOURS",
        "waiting": "OF THEM WAITING",
    }
    printing.listing(rows, columns, as_json=as_json)


@queue.command("inspect")
@click.argument("letter_id", type=int, metavar="ID")
@printing.as_json
@pass_door
def inspect(door: Door, letter_id: int, as_json: bool) -> None:
    """Show one dead letter with all that is in it."""
    with door.reading() as session:
        row = _row(dead_letters.get(session, letter_id))
    printing.record(row, as_json=as_json)


@queue.command()
@click.argument("letter_ids", type=int, metavar="ID...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Each that waits, oldest first.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def retry(door: Door, letter_ids: tuple[int, ...], every: bool, as_json: bool) -> None:
    """Apply dead letters once more; one that still cannot be applied stays.

    Ends with status 1 when any stayed.
    """
    if bool(letter_ids) == every:
        raise click.UsageError("Name the letters, or say --all.")
    if every:
        letter_ids = _waiting(door)
    rows = []
    for letter_id in letter_ids:
        with door.changing() as session:
            applied = retry_letter(session, door.identity, letter_id)
            row = _row(dead_letters.get(session, letter_id))
        rows.append({"id": letter_id, "applied": applied, "reason": row["reason"]})
    printing.listing(rows, {"id": "ID", "applied": "APPLIED", "reason": "REASON"}, as_json=as_json)
    if not all(row["applied"] for row in rows):
        raise faults.Conflict("Some could not be applied; they stay.")


def _waiting(door: Door) -> tuple[int, ...]:
    """The ids of all that wait, oldest first."""
    found: list[int] = []
    while True:
        with door.reading() as session:
            before = found[-1] if found else None
            page = dead_letters.list_recent(session, before_id=before, limit=1000)
        if not page:
            return tuple(reversed(found))
        found += [letter.id for letter in page]


@queue.command()
@click.argument("letter_ids", type=int, metavar="ID...", nargs=-1, required=True)
@required_reason
@dry_run
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_door
def drop(door: Door, letter_ids: tuple[int, ...], reason: str, yes: bool) -> None:
    """Decide that dead letters are not wanted; what was in them stays to be seen."""
    many = f"{len(letter_ids)} dead letter{'' if len(letter_ids) == 1 else 's'}"
    if not yes and not printing.is_rehearsal():
        click.confirm(f"Drop {many}?", abort=True)
    with door.changing() as session:
        for letter_id in sorted(letter_ids):
            dead_letters.drop(session, door.identity, letter_id, reason=reason)
    printing.done(f"Dropped {many}.", {}, as_json=False)


@queue.command()
@required_reason
@dry_run
@pass_door
def pause(door: Door, reason: str) -> None:
    """Have the consumers rest: messages stay in the queues until they are resumed."""
    with door.changing() as session:
        consumers.pause(session, door.identity, reason=reason)
    printing.done("The consumers rest within some seconds.", {}, as_json=False)


@queue.command()
@reason_option
@dry_run
@pass_door
def resume(door: Door) -> None:
    """Have the consumers listen again."""
    with door.changing() as session:
        consumers.resume(session, door.identity)
    printing.done("The consumers listen again within some seconds.", {}, as_json=False)


def _row(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "received": letter.received,
        "queue": letter.queue,
        "routing_key": letter.routing_key,
        "backend": letter.cluster,
        "event": letter.event,
        "kind": letter.kind,
        "state": letter.state.value,
        "tries": letter.tries,
        "tried": letter.tried,
        "reason": letter.reason,
        "traceback": letter.traceback,
        "body": letter.body.decode("utf-8", "backslashreplace"),
    }
