"""``cloudweb term``: the terms of use, and who accepted them."""

import datetime as dt
from pathlib import Path

import click

from cloudweb import faults
from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, pass_door
from cloudweb.cli.lists import Wanted
from cloudweb.domain import acceptances, accounts, publishing, terms, terms_languages, terms_lists
from cloudweb.domain.acceptances import Row
from cloudweb.domain.terms_diff import Kind, compare
from cloudweb.models import Terms, TermsFormat

_COLUMNS = {
    "id": "ID",
    "version": "VERSION",
    "state": "STATE",
    "in_force": "IN FORCE",
    "summary": "WHAT IS NEW",
    "required": "TO ACCEPT",
    "accepted": "ACCEPTED",
}
_ACCEPTED = {
    "user": "USER",
    "at": "AT",
    "address": "ADDRESS",
    "door": "DOOR",
    "noted_by": "NOTED BY",
    "text": "TEXT",
}
_MARKS = {Kind.GONE: ("[-", "-]"), Kind.NEW: ("{+", "+}"), Kind.SAME: ("", "")}

_ID = click.argument("terms_id", type=int, metavar="ID")
_at = click.option(
    "--at",
    type=click.DateTime(("%Y-%m-%dT%H:%M", "%Y-%m-%d")),
    help="In force from this time on, in UTC. Default: at once.",
)


@click.group()
def term() -> None:
    """The terms of use, and who accepted them."""


@term.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--summary", default="", help="What is new, in a line. Default: the file's name.")
@click.option("--html", is_flag=True, help="The file is HTML. Default: by its name, or Markdown.")
@click.option("--no-acceptance", is_flag=True, help="Who accepted the version before owes nothing.")
@click.option("--publish", "reason", metavar="REASON", help="Publish it at once, for this reason.")
@_at
@dry_run
@printing.as_json
@pass_door
def add(
    door: Door,
    file: Path,
    summary: str,
    html: bool,
    no_acceptance: bool,
    reason: str | None,
    at: dt.datetime | None,
    as_json: bool,
) -> None:
    """Make a draft of the text in FILE; nobody is asked anything before it is published."""
    if at is not None and reason is None:
        raise click.UsageError("--at goes with --publish.")
    kind = TermsFormat.MARKDOWN
    if html or file.suffix.lower() in (".html", ".htm"):
        kind = TermsFormat.HTML
    text = _read(file)
    with door.changing() as session:
        made = terms.add(
            *(session, door.identity),
            text=text,
            summary=summary or file.name,
            kind=kind,
            requires_acceptance=not no_acceptance,
        )
        if reason is not None:
            publishing.publish(session, door.identity, made.id, in_force=_utc(at), reason=reason)
        row = _row(made, terms.in_force(session), 0)
    printing.done(_told(row), row, as_json=as_json)


def _read(file: Path) -> str:
    if file.stat().st_size > 4 * terms.LONGEST:
        raise faults.BadRequest(f"A text has at most {terms.LONGEST:,} characters.")
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError:
        raise faults.BadRequest(f"{file} is not UTF-8 text.") from None


def _utc(at: dt.datetime | None) -> dt.datetime | None:
    return at.replace(tzinfo=dt.UTC) if at is not None else None


def _told(row: dict[str, object]) -> str:
    if row["version"] is None:
        return f"Terms {row['id']} are a draft."
    return f"Terms {row['id']} are version {row['version']}, {row['state']}."


@term.command("list")
@lists.options(terms_lists.FIELDS)
@pass_door
def list_(door: Door, wanted: Wanted) -> None:
    """Show the drafts and the versions, the newest first."""
    with door.reading() as session:
        current = terms.in_force(session)
        found = wanted.select(session, terms_lists.rows())
        rows = [_row(each, current, accepted) for each, _, accepted, _ in found]
    wanted.show(rows, _COLUMNS)


@term.command()
@_ID
@click.option("--language", default="", help="Its text in this one. Default: the original.")
@printing.as_json
@pass_door
def show(door: Door, terms_id: int, language: str, as_json: bool) -> None:
    """Show one version with its text, and what publishing it would bring about."""
    with door.reading() as session:
        found = terms.get(session, terms_id)
        row = _row(found, terms.in_force(session), acceptances.count_of(session, found.id))
        row |= {"author": found.author, "published_by": found.published_by}
        row |= {"text_sha256": found.text_digest, "format": found.format.value}
        if found.number is None:
            impact = publishing.preview(session, found)
            row |= {"would_ask_users": impact.users, "would_refuse_tokens": impact.tokens}
            row |= {"of_them_without_password": impact.programs}
        there = terms_languages.list_of(session, found)
        if language and language not in (door.settings.terms_languages[0], *there):
            raise faults.ItemNotFound(f"It is not written in {language}.")
        row |= {"translations": " ".join(there)}
        text = terms_languages.text_of(session, found, there.get(language))
    if as_json:
        printing.record(row | {"text": text}, as_json=True)
        return
    printing.record(row, as_json=False)
    click.echo()
    for line in text.splitlines():
        click.echo(printing.escape(line))


@term.command()
@_ID
@click.argument("language")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--summary", default="", help="What is new, in that language. Default: the file's name."
)
@dry_run
@printing.as_json
@pass_door
def translate(
    door: Door, terms_id: int, language: str, file: Path, summary: str, as_json: bool
) -> None:
    """Keep what a draft says in another language; an empty FILE takes that away."""
    known = door.settings.terms_languages[1:]
    if language not in known:
        there = ", ".join(known) or "none but the original's"
        raise faults.BadRequest(f"The languages of the settings are: {there}.")
    text = _read(file)
    with door.changing() as session:
        draft = terms_languages.translate(
            *(session, door.identity, terms_id, language), text=text, summary=summary or file.name
        )
        row = _row(draft, terms.in_force(session), 0) | {"language": language}
    name = terms_languages.name(language)
    done = f"is written in {name}" if text.strip() else f"is not written in {name} any more"
    printing.done(f"Draft {draft.id} {done}.", row, as_json=as_json)


@term.command()
@_ID
@_at
@click.option("--reason", required=True, help="Why; for the audit.")
@dry_run
@printing.as_json
@pass_door
def publish(door: Door, terms_id: int, at: dt.datetime | None, reason: str, as_json: bool) -> None:
    """Publish a draft. Its text never changes again; `term show` says who would be asked."""
    with door.changing() as session:
        done = publishing.publish(
            session, door.identity, terms_id, in_force=_utc(at), reason=reason
        )
        row = _row(done, terms.in_force(session), 0)
    printing.done(_told(row), row, as_json=as_json)


@term.command()
@_ID
@click.option("--reason", required=True, help="Why; for the audit.")
@dry_run
@printing.as_json
@pass_door
def unschedule(door: Door, terms_id: int, reason: str, as_json: bool) -> None:
    """Make a version that is not in force yet a draft again."""
    with door.changing() as session:
        done = publishing.unschedule(session, door.identity, terms_id, reason=reason)
        row = _row(done, terms.in_force(session), 0)
    printing.done(_told(row), row, as_json=as_json)


@term.command()
@_ID
@dry_run
@printing.as_json
@pass_door
def withdraw(door: Door, terms_id: int, as_json: bool) -> None:
    """Make a draft of the text before the version in force; publishing it withdraws that."""
    with door.changing() as session:
        draft = publishing.withdraw(session, door.identity, terms_id)
        row = _row(draft, terms.in_force(session), 0)
    printing.done(f"{_told(row)[:-1]}: {draft.summary}.", row, as_json=as_json)


@term.command()
@click.argument("before", type=int)
@click.argument("after", type=int)
@printing.as_json
@pass_door
def diff(door: Door, before: int, after: int, as_json: bool) -> None:
    """Show word by word how the text of one ID became that of another."""
    with door.reading() as session:
        texts = [terms.text_of(session, terms.get(session, each)) for each in (before, after)]
    found = compare(*texts)
    if as_json:
        pieces = [{"kind": piece.kind.value, "text": piece.text} for piece in found.pieces]
        printing.record({"verdict": found.verdict, "pieces": pieces}, as_json=True)
        return
    click.echo(found.verdict)
    marked = "".join(
        f"{_MARKS[piece.kind][0]}{piece.text}{_MARKS[piece.kind][1]}" for piece in found.pieces
    )
    for line in marked.splitlines():
        click.echo(printing.escape(line))


@term.command("acceptances")
@_ID
@printing.as_json
@pass_door
def acceptances_(door: Door, terms_id: int, as_json: bool) -> None:
    """Show who accepted a version, when, from where, and which text."""
    with door.reading() as session:
        rows = [
            _acceptance(row) for row in acceptances.walk(session, terms.get(session, terms_id).id)
        ]
    shown = rows if as_json else [row | {"text": str(row["text"])[:12]} for row in rows]
    printing.listing(shown, _ACCEPTED, as_json=as_json)


@term.command()
@click.argument("email")
@click.option("--reason", required=True, help="Where and how they accepted.")
@dry_run
@printing.as_json
@pass_door
def accept(door: Door, email: str, reason: str, as_json: bool) -> None:
    """Write down that somebody accepted the version in force elsewhere; for programs, too."""
    with door.changing() as session:
        user = accounts.get(session, email)
        current = acceptances.accept_for(session, door.identity, user.id, reason=reason)
    sentence = f"{user.email} accepts version {current.number}."
    printing.done(sentence, {"user": user.email, "version": current.number}, as_json=as_json)


def _row(each: Terms, current: Terms | None, accepted: int) -> dict[str, object]:
    return {
        "id": each.id,
        "version": each.number,
        "state": terms.state_of(each, current).value,
        "in_force": each.in_force,
        "summary": each.summary,
        "required": each.requires_acceptance,
        "accepted": accepted,
    }


def _acceptance(row: Row) -> dict[str, object]:
    each = row.acceptance
    return {
        "user": row.email,
        "at": each.at,
        "address": each.address,
        "door": each.door,
        "noted_by": each.noted_by,
        "reason": each.reason,
        "text": each.text_digest,
    }
