"""The command ``cloudweb``: one module a noun, read only when its noun is used."""

import os
from typing import Any

import click

from cloudweb.cli.late import Late, LateGroup

NOUNS: Late = {
    "address": ("addresses:address", "Who has and had the addresses of networks."),
    "agents": ("agents:agents", "The agents on Ganeti's nodes."),
    "audit": ("audit:audit_", "Who did what, and what was refused."),
    "backend": ("backends:backend", "The Ganeti clusters."),
    "completion": ("completion:completion", "Have a shell complete commands."),
    "db": ("database:db", "The tables of the database."),
    "demo": ("demo:demo", "Something to try cloudweb with."),
    "flavor": ("flavors:flavor", "The sizes a server can have."),
    "image": ("images:image", "What a server's disk starts from."),
    "job": ("jobs:job", "Jobs in the queues of clusters, whoever asked for them."),
    "network": ("networks:network", "The public networks, and everybody's."),
    "node": ("nodes:node", "The nodes of the clusters."),
    "operation": ("operations:operation", "What clusters are to do, and did."),
    "pool": ("pools:pool", "Bridges, MAC prefixes and addresses that networks take."),
    "promoted": ("promoted:promoted_", "The recommended flavors of the federation."),
    "queue": ("queues:queue", "Messages from clusters, and dead letters."),
    "quota": ("quotas:quota", "How much users have, and may have."),
    "reconcile": ("reconcile:reconcile_", "How clusters and the database differ."),
    "region": ("regions:region", "The regions of the federation."),
    "secret": ("secrets:secret", "The key that seals passwords."),
    "serve-simulator": ("simulator:serve_simulator", "Run simulated Ganeti clusters."),
    "server": ("servers:server", "Everybody's servers."),
    "term": ("terms:term", "The terms of use."),
    "token": ("tokens:token", "The API tokens of users."),
    "user": ("users:user", "The people and programs that use cloudweb."),
}
"""Each noun: the module and object that is its command, and its line in the help."""


class Nouns(LateGroup):
    """The group of all nouns."""

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


@click.group(cls=Nouns, late=NOUNS, context_settings={"help_option_names": ["-h", "--help"]})
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
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    if ctx.invoked_subcommand == "agents":
        return  # a node has neither settings nor a database
    from cloudweb.cli.door import Door

    ctx.obj = door = Door(config)
    ctx.call_on_close(door.close)
