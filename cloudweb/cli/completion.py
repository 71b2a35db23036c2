"""``cloudweb completion``: what makes a shell complete the words of commands."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_CLOUDWEB_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete nouns, verbs and options.

    For bash: cloudweb completion bash > ~/.local/share/bash-completion/completions/cloudweb
    """
    from cloudweb.cli import main

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "cloudweb", _VARIABLE).source())
