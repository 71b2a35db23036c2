"""Groups of commands that are read only when they are used, so that the others begin at once."""

import importlib
from collections.abc import Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

Late = Mapping[str, tuple[str, str]]
"""Each command: the module of ``cloudweb.cli`` and the object in it, and its line in the help."""


class LateGroup(click.Group):
    """A group with commands of its own, and ``late`` ones."""

    def __init__(self, *args: Any, late: Late, **options: Any) -> None:
        super().__init__(*args, **options)
        self.late = late

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *self.late})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.late:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.late[cmd_name][0].partition(":")
        try:
            command = getattr(importlib.import_module(f"cloudweb.cli.{module}"), name)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"This command needs {error.name}, which is not installed here: "
                "pip install 'cloudweb[server]'"
            ) from None
        assert isinstance(command, click.Command)
        return command

    def _line(self, ctx: click.Context, name: str) -> str:
        if name in self.late:
            return self.late[name][1]
        return self.commands[name].get_short_help_str(limit=80)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        lines = [(name, self._line(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(lines)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What may stand here; names of commands without reading them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=self._line(ctx, name))
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
