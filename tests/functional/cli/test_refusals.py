"""How commands say no: one line and status 1, or a usage error and status 2; never a traceback."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cloudweb.cli import NOUNS, Nouns, main
from cloudweb.settings import Secret, Settings
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import write_ini

DEVELOPMENT = "development.ini"


def test_a_fault_is_one_line_on_standard_error(cli: Terminal) -> None:
    result = cli.run("server", "show", 9)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: No server 9.\n"


def test_a_database_that_is_away_is_one_line(settings: Settings, tmp_path: Path) -> None:
    away = Secret("postgresql+psycopg://nobody:geheim@127.0.0.1:1/cloudweb")
    cli = Terminal(write_ini(tmp_path, dataclasses.replace(settings, database_url=away)))

    sentence = cli.refusal("user", "list")

    assert sentence.startswith("The database does not answer")
    assert "geheim" not in sentence


@pytest.mark.parametrize("url", ["nonsense", "oracle9://x/y"])
def test_a_database_url_nobody_understands_names_the_setting(
    settings: Settings, tmp_path: Path, url: str
) -> None:
    cli = Terminal(write_ini(tmp_path, dataclasses.replace(settings, database_url=Secret(url))))

    assert "cloudweb.database_url" in cli.refusal("user", "list")


def test_a_missing_ini_file_is_one_line(tmp_path: Path) -> None:
    cli = Terminal(tmp_path / "none.ini")

    assert cli.refusal("user", "list") == f"There is no file {tmp_path}/none.ini."


def test_the_name_of_a_noun_or_option_that_is_none_is_a_usage_error(cli: Terminal) -> None:
    assert cli.run("castle").exit_code == 2
    assert cli.run("user", "list", "--tall").exit_code == 2
    assert cli.run("token", "add").exit_code == 2


@pytest.mark.parametrize("present", [["production.ini", DEVELOPMENT], [DEVELOPMENT]])
def test_the_ini_file_is_production_here_else_development_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in present:
        (tmp_path / name).write_text("[nothing]\n")

    result = CliRunner().invoke(main, ["user", "list"])

    assert result.stderr == f"error: {present[0]} has no section [app:main].\n"


def test_the_variable_names_the_ini_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["user", "list"], env={"CLOUDWEB_CONFIG": "other.ini"})

    assert result.stderr == "error: There is no file other.ini.\n"


def test_every_noun_explains_itself() -> None:
    assert isinstance(main, Nouns)
    for noun in NOUNS:
        result = CliRunner().invoke(main, [noun, "--help"])
        assert result.exit_code == 0, result.output
        assert noun in CliRunner().invoke(main, ["--help"]).stdout


def _is_written(command: str, text: str) -> bool:
    """Whether the command is shown being run, or is named as code."""
    shown = (f"$ cloudweb {command}", f"`cloudweb {command}", f"`{command}")
    return any(f"{form}{end}" in text for form in shown for end in " `\n")


def test_every_command_has_its_line_in_the_documentation(project: Path) -> None:
    written = (project / "docs/commands.md").read_text()
    for noun in NOUNS:
        command = main.get_command(click.Context(main), noun)
        verbs = list(command.commands) if isinstance(command, click.Group) else [""]
        missing = [verb for verb in verbs if not _is_written(f"{noun} {verb}".rstrip(), written)]
        assert not missing, noun


def test_help_and_the_settings_do_without_the_web_and_the_database() -> None:
    code = (
        "import sys, cloudweb.cli.config; from cloudweb.cli import main; "
        "main(['--help'], standalone_mode=False); "
        "print([name for name in ('pyramid', 'sqlalchemy', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
