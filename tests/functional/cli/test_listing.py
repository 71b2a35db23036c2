"""What every list can do, whatever it lists: filter, sort, end, CSV, colours."""

import csv
import io
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from cloudweb.cli import main
from cloudweb.models import Flavor, OperState, Server
from tests.functional.cli.conftest import Terminal
from tests.functional.cli.tree import commands, takes

MakeServer = Callable[..., Server]

LISTS = sorted(words for words, command in commands().items() if takes(command, "--sort"))


@pytest.fixture
def three(make_server: MakeServer, make_flavor: Callable[..., Flavor]) -> list[Server]:
    """A small server that runs, a large one that runs, a large one that does not."""
    small, large = make_flavor(ram_mb=1024), make_flavor(ram_mb=4096)
    return [
        make_server(name="web-1", flavor=small),
        make_server(name="=cmd|' /C calc'!A0", flavor=large),
        make_server(name="db, old", flavor=large, state=OperState.STOPPED),
    ]


@pytest.mark.parametrize("command", LISTS)
def test_every_list_filters_sorts_and_ends_by_each_of_its_fields(
    cli: Terminal, three: list[Server], command: str
) -> None:
    words = command.split()
    refusal = cli.refusal(*words, "--filter", "colour=red")
    assert refusal.startswith("There is no field 'colour' here; there are: ")

    fields = refusal.removesuffix(".").partition("there are: ")[2].split(", ")
    texts = [each for field in fields for each in (field, f"-{field}")]
    assert cli.json(*words, "--sort", ",".join(texts), "--limit", 1) is not None
    assert cli.json(*words, *(o for f in fields for o in ("--filter", f"{f}!="))) is not None
    assert cli(*words, "--csv").splitlines()[0].count(",") > 0


def test_servers_are_filtered_sorted_and_cut(cli: Terminal, three: list[Server]) -> None:
    def ids(*options: object) -> list[int]:
        return [row["id"] for row in cli.json("server", "list", *options)]

    small, large, old = (server.id for server in three)
    assert ids("--filter", "state=ACTIVE,ram>=2048") == [large]
    assert ids("--filter", 'name="db, old"') == [old]
    assert ids("--filter", "ram>=2048", "--filter", "state=STOPPED") == [old]
    assert ids("--sort", "-ram,id") == [large, old, small]
    assert ids("--sort", "-id", "--limit", 2)[:2] == [old, large]
    assert ids("--filter", "deleted=yes") == []


def test_a_list_that_is_cut_says_so(cli: Terminal, three: list[Server]) -> None:
    result = cli.run("server", "list", "--limit", 2)
    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == "2 are shown, and there are more: --limit 0 shows all.\n"
    assert cli.run("server", "list", "--limit", 0).stderr == ""


def test_csv_is_read_back_and_no_cell_is_a_formula(cli: Terminal, three: list[Server]) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("server", "list", "--csv"))))

    assert [row["name"] for row in rows] == ["web-1", "'=cmd|' /C calc'!A0", "db, old"]
    assert rows[0]["id"] == str(three[0].id)
    assert rows[0]["open_operation"] == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--filter", "ram>=much"), "ram: 'much' is not a number, or too large a one."),
        (("--filter", "name<b"), "name: This is compared by = != ~."),
        (("--sort", "size"), "There is no field 'size' here"),
    ],
)
def test_a_filter_that_means_nothing_is_one_line(
    cli: Terminal, options: tuple[str, ...], said: str
) -> None:
    assert said in cli.refusal("server", "list", *options)


def test_two_notations_at_once_are_a_mistake(cli: Terminal) -> None:
    assert cli.run("server", "list", "--csv", "--json").exit_code == 2


def test_only_a_terminal_that_wants_it_sees_colours(cli: Terminal, three: list[Server]) -> None:
    command = ["--config", str(cli.ini), "server", "list"]

    def shown(*, color: bool, **variables: str) -> str:
        result = CliRunner().invoke(main, command, color=color, env=variables)
        assert result.exit_code == 0
        return result.stdout

    assert "\x1b[32mACTIVE\x1b[0m" in shown(color=True)
    assert "\x1b" not in shown(color=True, NO_COLOR="1")
    assert "\x1b" not in shown(color=False)
    assert click.unstyle(shown(color=True)) == shown(color=False)
