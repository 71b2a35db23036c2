"""``cloudweb audit``: who did what, and what was refused."""

import re
import sys

import click
import orjson

from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.lists import Wanted
from cloudweb.cli.refusals import Refused
from cloudweb.domain import audit_chain, audit_lists, keysets
from cloudweb.domain.audit_chain import Head
from cloudweb.models import AuditEntry

_COLUMNS = {
    "id": "ID",
    "at": "AT",
    "actor": "WHO",
    "door": "DOOR",
    "action": "WHAT",
    "on": "ON",
    "outcome": "OUTCOME",
    "reason": "WHY",
}
_PORTION = 1000

_filters = click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="FILTER",
    help="Only entries such as outcome=refused,at>7d,actor~alice.",
)


@click.group("audit")
def audit_() -> None:
    """Who did what, and what was refused."""


@audit_.command("list")
@lists.options(audit_lists.FIELDS, limit=50)
@pass_door
def list_(door: Door, wanted: Wanted) -> None:
    """Show entries, the newest first."""
    query = audit_lists.rows().order_by(AuditEntry.id.desc())
    with door.reading() as session:
        rows = [
            audit_lists.as_row(entry) | {"job": audit_lists.job_of(entry)}
            for (entry,) in wanted.select(session, query)
        ]
    if wanted.notation != "json":
        rows = [row | {"on": f"{row['kind']} {row['target']}"} for row in rows]
    wanted.show(rows, _COLUMNS)


@audit_.command()
@_filters
@pass_door
def export(door: Door, filters: tuple[str, ...]) -> None:
    """Write every entry as a line of JSON, the oldest first, with what its seal is made of."""
    query = audit_lists.rows().where(*audit_lists.FIELDS.where(*filters))
    sorts, after = audit_lists.FIELDS.sorts("id"), ""
    while True:
        with door.reading() as session:
            page = keysets.page(session, query, sorts, after=after, limit=_PORTION)
        for (entry,) in page.rows:
            line = orjson.dumps(audit_lists.as_row(entry), option=orjson.OPT_UTC_Z)
            sys.stdout.write(line.decode() + "\n")
        if page.following is None:
            return
        after = page.following


@audit_.command()
@printing.as_json
@pass_door
def seal(door: Door, as_json: bool) -> None:
    """Seal what is not sealed yet, which a worker does by itself; prints the end of the chain."""
    head: Head | None = None
    while head is None or head.is_full:
        with door.changing() as session:
            head = audit_chain.seal(session)
        if head is None:
            raise Refused("A worker is sealing just now; look again.")
    printing.done(str(head), {"number": head.number, "seal": head.seal}, as_json=as_json)


@audit_.command()
@click.option("--noted", metavar="HEAD", help="An end of the chain that was written down before.")
@printing.as_json
@pass_door
def verify(door: Door, noted: str | None, as_json: bool) -> None:
    """Compute every seal again. Ends with status 1 when something was changed or is missing."""
    with door.reading() as session:
        report = audit_chain.verify(session, noted=_head(noted))
    row = {
        "checked": report.checked,
        "unsealed": report.unsealed,
        "head": str(report.head),
        "problem": report.problem or None,
    }
    if report.problem:
        if as_json:
            printing.record(row, as_json=True)
        raise Refused(report.problem)
    sentence = (
        f"{report.checked} entries hold, {report.unsealed} wait for their seal. {report.head}"
    )
    printing.done(sentence, row, as_json=as_json)


def _head(text: str | None) -> Head | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text)
    if found is None:
        raise click.UsageError("--noted is like 1042:5e60…, as verify prints it.")
    return Head(int(found[1]), found[2])
