"""The command ``cloudweb``: one module a noun, read only when its noun is used."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

NOUNS: Mapping[str, tuple[str, str]] = {
    "backend": ("backends:backend", "The Ganeti clusters."),
    "db": ("database:db", "The tables of the database."),
    "demo": ("demo:demo", "Something to try cloudweb with."),
    "flavor": ("flavors:flavor", "The sizes a server can have."),
    "image": ("images:image", "What a server's disk starts from."),
    "operation": ("operations:operation", "What clusters are to do, and did."),
    "serve-simulator": ("simulator:serve_simulator", "Run simulated Ganeti clusters."),
    "server": ("servers:server", "Everybody's servers."),
    "token": ("tokens:token", "The API tokens of users."),
    "user": ("users:user", "The people and programs that use cloudweb."),
}
"""Each noun: the module and object that is its command, and its line in the help."""


class Nouns(click.Group):
    """The group of all nouns; imports one when it is asked for, and none for the list of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOUNS:
            return None
        module, _, name = NOUNS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"cloudweb.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(noun, help_line) for noun, (_, help_line) in NOUNS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it refuses, or cannot reach, becomes one line and status 1."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from cloudweb.cli.refusals import Refused, sentence

            known = sentence(error)
            if known is None:
                raise
            raise Refused(known) from None


@click.group(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    metavar="FILE",
    envvar="CLOUDWEB_CONFIG",
    help="The ini file with the settings. Default: what CLOUDWEB_CONFIG names, else "
    "production.ini here if there is one, else development.ini here.",
)
@click.pass_context
def main(ctx: click.Context, config: str | None) -> None:
    """Manage a cloudweb installation.

    Lists are tables, or JSON with --json. What is refused ends with status 1 and one line on
    standard error, a mistake in the command itself with status 2.
    """
    from cloudweb.cli.door import Door

    ctx.obj = door = Door(config)
    ctx.call_on_close(door.close)
