"""Every command there is, by walking the nouns and their verbs."""

from collections.abc import Iterator

import click

from cloudweb.cli import main


def commands() -> dict[str, click.Command]:
    """Each command that does something, by its words: ``server list``."""
    return dict(_walk(click.Context(main), main, ""))


def _walk(
    context: click.Context, group: click.Group, words: str
) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        path = f"{words} {name}".strip()
        if isinstance(command, click.Group):
            yield from _walk(context, command, path)
        else:
            yield path, command


def takes(command: click.Command, option: str) -> bool:
    """Whether the command has this option."""
    return any(option in each.opts for each in command.params)
