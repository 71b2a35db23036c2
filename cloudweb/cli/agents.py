"""``cloudweb agents``: put the agents on a Ganeti node; needs nothing but the agents themselves."""

from pathlib import Path

import click

from cloudweb.backend.agents import install as node


@click.group()
def agents() -> None:
    """The agents on Ganeti's nodes.

    Runs on a node, as root: `pip install cloudweb[agent]` there is enough.
    """


def _root() -> click.Path:
    return click.Path(file_okay=False, path_type=Path)


@agents.command()
@click.option("--amqp", multiple=True, metavar="URL", help="A node of the broker; again for more.")
@click.option("--root", type=_root(), default=Path("/"), help="Another root, as for an image.")
@click.option("--start", is_flag=True, help="Have systemd run the event agent at once.")
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
def install(amqp: tuple[str, ...], root: Path, start: bool, dry_run: bool) -> None:
    """Write configuration, systemd unit and Ganeti hooks; again changes nothing.

    Do so on each master candidate: only the master's agent publishes.
    """
    if any(not url.startswith(("amqp://", "amqps://")) for url in amqp):
        raise click.ClickException("An address begins with amqp:// or amqps://.")
    try:
        changed = node.pending(root, amqp) if dry_run else node.install(root, amqp)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}.") from None
    for path in changed:
        click.echo(f"{'would write' if dry_run else 'wrote'} {path}")
    if not changed:
        click.echo("Everything is as it should be.")
    if start and not dry_run and not node.start_service():
        raise click.ClickException(f"systemd does not run {node.UNIT}.")


@agents.command()
@click.option("--root", type=_root(), default=Path("/"), help="Another root, as for an image.")
def uninstall(root: Path) -> None:
    """Take unit and hooks away; the configuration and what waits to be published stay."""
    try:
        gone = node.uninstall(root)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}.") from None
    for path in gone:
        click.echo(f"removed {path}")
