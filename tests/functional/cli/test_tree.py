"""The whole tree of commands: help, options, documentation, a test, and Synnefo's names."""

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from cloudweb.cli import main
from tests.functional.cli.tree import commands, takes

COMMANDS = commands()

READING = {
    *("list", "show", "inspect", "history", "current", "check", "diff", "place", "pins", "letters"),
    "errors",
    *(
        "wait",
        "refresh",
        "verify",
        "export",
        "acceptances",
        "sessions",
        "completion",
        "serve-simulator",
        "new",
        "status",
    ),
}
"""Verbs that change nothing of ours."""

PREPARES = {"db upgrade", "demo seed", "agents uninstall", "audit seal"}
"""What makes or unmakes an installation, or what a worker does by itself all the time."""


UNEXPLAINED = {"agents install", "secret rotate", "term add", "term translate", "term withdraw"}
"""What is not in the audit, or says its reason in another way."""


def test_every_command_and_option_says_what_it_is_for() -> None:
    assert [words for words, command in COMMANDS.items() if not command.help] == []
    for noun in main.list_commands(click.Context(main)):
        command = main.get_command(click.Context(main), noun)
        assert command is not None
        assert command.help, noun


def test_what_changes_anything_can_be_rehearsed() -> None:
    changing = {
        words: command
        for words, command in COMMANDS.items()
        if words.split()[-1] not in READING and words not in PREPARES
    }
    assert [words for words, each in changing.items() if not takes(each, "--dry-run")] == []
    given = {words for words, each in changing.items() if takes(each, "--reason")}
    assert set(changing) - given <= UNEXPLAINED


def test_every_list_can_be_filtered_sorted_and_exported() -> None:
    lists = {words: each for words, each in COMMANDS.items() if words.endswith(" list")}
    for option in ("--filter", "--sort", "--limit", "--csv", "--json"):
        assert [words for words, each in lists.items() if not takes(each, option)] == [], option


def test_every_command_is_documented(project: Path) -> None:
    written = (project / "docs/commands.md").read_text()
    assert [words for words in COMMANDS if not _is_written(words, written)] == []


def test_every_command_line_of_the_documents_is_one(project: Path) -> None:
    lines = [
        line.removeprefix("    $ cloudweb ")
        for path in sorted(project.glob("docs/*.md"))
        for line in path.read_text().splitlines()
        if line.startswith("    $ cloudweb ")
    ]
    assert len(lines) > 100
    wrong = {line: why for line in lines if (why := _refusal(line)) is not None}
    assert wrong == {}


def _refusal(line: str) -> str | None:
    """Why a command line is none; files that it names need not exist."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    lexer.whitespace_split, lexer.commenters = True, "#"
    arguments = list(itertools.takewhile(lambda word: not set(word) <= set("|<>;&"), lexer))
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    try:
        command.make_context(command.name, arguments, parent=context.parent)
    except click.BadParameter as error:
        missing = "does not exist", "No such file"
        return None if any(word in error.message for word in missing) else error.message
    except click.ClickException as error:
        return error.message
    return None


def _is_written(words: str, text: str) -> bool:
    return re.search(rf"(\$ cloudweb |`(cloudweb )?){re.escape(words)}[ `\n]", text) is not None


def test_every_command_is_tested(project: Path) -> None:
    # A test names a command as its words, one string or several in a row.
    files = [*project.glob("tests/**/*.py"), *project.glob("benchmarks/*.py")]
    text = "\n".join(path.read_text() for path in files if "vendor" not in path.parts)
    quoted = re.sub(r"[\s\"',(]+", " ", text)
    assert [words for words in COMMANDS if f" {words} " not in quoted] == []


def test_each_command_of_synnefo_has_ours_beside_it(project: Path) -> None:
    written = (project / "docs/commands.md").read_text()
    table = written.partition("## Coming from Synnefo")[2]
    rows = re.findall(r"^\| `([a-z0-9-]+)`.*? \| (.+?) \|", table, re.MULTILINE)
    assert [name for name, _ours in rows] == [*CYCLADES, *ASTAKOS]
    for name, ours in rows:
        named = re.findall(r"`cloudweb ([a-z-]+(?: [a-z-]+)?)", ours)
        assert named, name
        for words in named:
            assert words in COMMANDS, f"{name}: {words}"


CYCLADES = (
    *("backend-add", "backend-list", "backend-modify", "backend-remove", "backend-update-status"),
    *("pool-create", "pool-list", "pool-show", "pool-modify", "pool-remove"),
    *("flavor-create", "flavor-list", "flavor-modify"),
    *("network-create", "network-list", "network-modify", "network-remove", "network-inspect"),
    *("server-create", "server-list", "server-show", "server-inspect", "server-modify"),
    *("server-import", "queue-inspect", "queue-retry", "reconcile-servers", "reconcile-networks"),
    *("reconcile-pools", "image-list", "image-show", "cyclades-usage-verify"),
    *("cyclades-reset-usage", "cyclades-reconcile-commissions", "cyclades-export-quota"),
    "cyclades-astakos-migrate-013",
)
ASTAKOS = (
    *("user-list", "user-show", "user-add", "user-update", "user-invite", "user-activation-send"),
    *("user-set-initial-quota", "term-add", "astakos-init", "astakos-quota", "project-control"),
    *("project-list", "project-show", "service-add", "service-list", "service-remove"),
    *("service-update", "service-token-renew", "resource-add", "resource-list", "resource-remove"),
    *("invitation-list", "invitation-details", "full-cleanup", "fix-superusers"),
)


@pytest.mark.parametrize(
    ("shell", "begins"), [("bash", "_cloudweb_completion()"), ("zsh", "#compdef"), ("fish", "func")]
)
def test_a_shell_is_told_how_to_complete(shell: str, begins: str) -> None:
    text = CliRunner().invoke(main, ["completion", shell]).stdout
    assert text.startswith(begins)
    assert f"_CLOUDWEB_COMPLETE={shell}_complete" in text


def test_nouns_verbs_and_options_are_completed() -> None:
    complete = ShellComplete(main, {}, "cloudweb", "_CLOUDWEB_COMPLETE")

    def words(*typed: str) -> list[str]:
        return [each.value for each in complete.get_completions(list(typed[:-1]), typed[-1])]

    assert words("ser") == ["serve-simulator", "server"]
    assert words("server", "sh") == ["show", "shutdown"]
    assert words("server", "list", "--fi") == ["--filter"]
    assert words("server", "list", "--state", "ST") == ["STOPPED", "STARTED"]


def test_bash_completes_a_noun() -> None:
    typed = {"COMP_WORDS": "cloudweb netw", "COMP_CWORD": "1"}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cloudweb"))],
        env=os.environ | {"_CLOUDWEB_COMPLETE": "bash_complete"} | typed,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "plain,network\n"
