"""``cloudweb backend adopt`` and ``server import``: servers out of instances that are there."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from cloudweb.backend import found
from cloudweb.cli import clusters, printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.refusals import Refused
from cloudweb.domain import adoption, fleet, owners
from cloudweb.domain.adoption import Fate, Step
from cloudweb.faults import BadRequest

_COLUMNS = {
    "instance": "INSTANCE",
    "fate": "FATE",
    "owner": "OWNER",
    "flavor": "FLAVOR",
    "new_flavor": "NEW",
    "new_networks": "NEW NETWORKS",
    "why": "WHY",
}

_owner = click.option("--owner", metavar="EMAIL", help="Whose the rest is to be.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would come of it.")
_reason = click.option("--reason", default="", help="Why; kept in the audit.")
_image = click.option("--image", default=adoption.UNKNOWN_IMAGE, help="The image to name.")


@click.command()
@click.argument("key", metavar="BACKEND")
@_owner
@click.option(
    "--owner-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Lines "PATTERN EMAIL": the first pattern that fits an instance\'s name says whose it is.',
)
@_image
@_dry_run
@_reason
@printing.as_json
@pass_door
def adopt(
    door: Door,
    key: str,
    owner: str | None,
    owner_file: Path | None,
    image: str,
    dry_run: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Make servers of all instances of a cluster; nothing is restarted or renamed there.

    Interrupted, it is completed by running it again. The status is 1 when any was refused.
    """
    if owner is None and owner_file is None:
        raise click.UsageError("Say whose they are: --owner, --owner-file or both.")
    patterns = _patterns(owner_file) if owner_file is not None else []
    _adopt(door, key, owners.owner_of(patterns, owner), None, image, dry_run, reason, as_json)


@click.command("import")
@click.argument("instance", metavar="INSTANCE")
@click.option("--backend", "key", metavar="BACKEND", required=True, help="The cluster it is on.")
@click.option("--owner", metavar="EMAIL", required=True, help="Whose it is to be.")
@_image
@_dry_run
@_reason
@printing.as_json
@pass_door
def import_(
    door: Door,
    instance: str,
    key: str,
    owner: str,
    image: str,
    dry_run: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Make a server of one instance of a cluster; it is not restarted or renamed there."""
    _adopt(door, key, lambda _name: owner, instance, image, dry_run, reason, as_json)


def _adopt(
    door: Door,
    key: str,
    owner_of: owners.OwnerOf,
    only: str | None,
    image: str,
    dry_run: bool,
    reason: str,
    as_json: bool,
) -> None:
    with door.reading() as session:
        row = fleet.by_key(session, key)
    with clusters.connect(door, clusters.target(door, row)) as client:
        instances, networks = found.instances(client), found.networks(client)
    if only is not None:
        instances = [each for each in instances if each.name == only]
        if not instances:
            raise Refused(f"{row.name} has no instance {only}.")
    prefix = door.settings.instance_prefix
    with door.reading() as session:
        steps = adoption.plan(session, row, instances, owner_of=owner_of, prefix=prefix)
    if not dry_run:
        done: list[Step] = []
        with click.progressbar(length=len(steps), label="Adopting", file=sys.stderr) as bar:
            for batch in adoption.batches(steps):
                with door.changing() as session:
                    done += adoption.adopt(
                        session,
                        door.identity,
                        row,
                        batch,
                        networks,
                        image_ref=image,
                        reason=reason,
                    )
                bar.update(len(batch))
        steps = done
    _report(steps, dry_run=dry_run, as_json=as_json, alone=only is not None)


def _report(steps: list[Step], *, dry_run: bool, as_json: bool, alone: bool) -> None:
    printing.listing([_row(step) for step in steps], _COLUMNS, as_json=as_json)
    counts = Counter(step.fate for step in steps)
    would = "would be " if dry_run else ""
    if not as_json:
        click.echo(
            f"{counts[Fate.ADOPT]} {would}adopted, {counts[Fate.OURS]} ours already, "
            f"{counts[Fate.REFUSED]} refused."
        )
    if alone and counts[Fate.OURS]:
        raise Refused(f"{steps[0].instance.name} is ours already.")
    if counts[Fate.REFUSED]:
        raise Refused(f"{counts[Fate.REFUSED]} refused.")


def _row(step: Step) -> dict[str, Any]:
    return {
        "instance": step.instance.name,
        "fate": step.fate.value,
        "owner": step.owner.email if step.owner is not None else None,
        "flavor": step.flavor,
        "new_flavor": step.new_flavor,
        "new_networks": list(step.new_networks),
        "why": step.why,
    }


def _patterns(path: Path) -> list[tuple[str, str]]:
    try:
        return owners.parse(path.read_text(encoding="utf-8"))
    except BadRequest as fault:
        raise Refused(f"{path}: {fault.message}") from None
