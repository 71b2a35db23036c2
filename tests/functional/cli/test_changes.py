"""``cloudweb server modify``, ``user modify|invite``, ``quota load``, maps, reserved addresses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudweb.models import Server
from tests.functional.cli.conftest import Terminal

MakeServer = Callable[..., Server]


@pytest.fixture
def olga(cli: Terminal) -> str:
    return str(cli.json("user", "add", "olga@example.org", "--no-password")["email"])


def test_a_server_gets_another_name_owner_and_metadata(
    cli: Terminal, make_server: MakeServer, olga: str
) -> None:
    server = make_server(metadata={"team": "red"})
    changes = ("--name", "web", "--owner", olga, "--metadata", "role=web", "--unset", "team")

    row = cli.json("server", "modify", server.id, *changes, "--dry-run")
    assert (row["name"], row["owner"]) == ("web", olga)
    assert cli.json("server", "show", server.id)["metadata"] == {"team": "red"}
    cli("server", "modify", server.id, *changes)

    shown = cli.json("server", "show", server.id)
    assert (shown["name"], shown["owner"]) == ("web", olga)
    assert shown["metadata"] == {"role": "web"}
    assert shown["status"] == "ACTIVE"
    assert cli.run("server", "modify", server.id).exit_code == 2
    assert cli.run("server", "modify", server.id, "--metadata", "role").exit_code == 2


def test_who_has_no_room_gets_no_server(cli: Terminal, make_server: MakeServer, olga: str) -> None:
    server = make_server()
    cli("quota", "set", olga, "servers", 0)
    assert "Limit for resource 'servers'" in cli.refusal(
        "server", "modify", server.id, "--owner", olga
    )
    assert cli.refusal("server", "modify", 999, "--owner", olga) == "No server 999."
    cli("user", "deactivate", olga, "--reason", "x")
    assert "is not active" in cli.refusal("server", "modify", server.id, "--owner", olga)


def test_servers_are_asked_all_or_none(cli: Terminal, make_server: MakeServer) -> None:
    first, second = make_server(), make_server()
    gone = make_server(deleted=True)

    assert "deleted" in cli.refusal("server", "shutdown", first.id, gone.id)
    assert cli.json("operation", "list") == []
    said = cli("server", "shutdown", second.id, first.id, first.id)
    assert said.splitlines()[-1] == "Each of 2 servers is to be shut down."
    assert len(cli.json("operation", "list")) == 2
    assert cli.run("server", "start").exit_code == 2


def test_a_server_is_removed_when_somebody_says_yes(cli: Terminal, make_server: MakeServer) -> None:
    server = make_server()
    assert cli.run("server", "remove", server.id, stdin="n\n").exit_code == 1
    assert cli.json("operation", "list") == []
    assert "is removed" in cli("server", "remove", server.id, stdin="y\n")


def test_a_user_gets_another_name_and_role(cli: Terminal, olga: str) -> None:
    cli("user", "modify", olga, "--name", "Olga O.", "--role", "operator", "--reason", "New job")
    shown = cli.json("user", "show", olga)
    assert (shown["name"], shown["role"]) == ("Olga O.", "operator")
    assert cli.run("user", "modify", olga).exit_code == 2
    assert "1 to 255 characters" in cli.refusal("user", "modify", olga, "--name", " ")


def test_who_is_invited_waits_for_the_link(cli: Terminal, olga: str) -> None:
    said = cli("user", "invite", "ivo@example.org", "--name", "Ivo")
    assert said == "An invitation to ivo@example.org is on its way.\n"
    assert cli.json("user", "show", "ivo@example.org")["state"] == "unverified"
    assert "exists" in cli.refusal("user", "invite", olga)
    assert "not an e-mail" in cli.refusal("user", "invite", "ivo")


def test_limits_come_from_a_file_all_or_none(cli: Terminal, olga: str, tmp_path: Path) -> None:
    file = tmp_path / "limits"
    file.write_text(f"{olga} cpu 8\n\n{olga} servers unlimited\n")
    cli("quota", "load", file, "--dry-run")
    assert cli.json("quota", "list") == []
    assert cli("quota", "load", file).splitlines()[-1] == "Set 2 limits."
    assert {row["resource"]: row["limit"] for row in cli.json("quota", "list")} == {
        "cpu": 8,
        "servers": "unlimited",
    }

    wrong = f"{olga} cpu default\nnobody@example.org cpu 3\n"
    assert "nobody@example.org" in cli.refusal("quota", "load", "-", stdin=wrong)
    assert len(cli.json("quota", "list")) == 2
    cli("quota", "load", "-", stdin=wrong.splitlines()[0])
    assert len(cli.json("quota", "list")) == 1
    assert "Line 1 is not" in cli.run("quota", "load", "-", stdin="olga 8").stderr


def test_a_pool_is_drawn_as_a_map(cli: Terminal) -> None:
    pool = cli.json("pool", "create", "bridge", "--base", "prv", "--size", 70)["id"]
    cli("pool", "modify", pool, "--reserve", "prv2", "--reason", "old")
    rows: list[dict[str, Any]] = cli.json("pool", "show", pool, "--map")
    assert [row["map"] for row in rows] == [".R" + "." * 62, "." * 6]
    assert (rows[1]["first"], rows[1]["last"]) == ("prv65", "prv70")


def test_addresses_of_a_network_are_kept_from_use(cli: Terminal) -> None:
    made = ("network", "create", "Internet", "--public", "--link", "br0")
    network = cli.json(*made, "--subnet", "203.0.113.0/24", "--gateway", "203.0.113.1")["id"]
    reserved = ("network", "modify", network, "--reserve", "203.0.113.7,203.0.113.8")
    assert cli.json(*reserved, "--reason", "Printers")["free"] == 251
    assert cli.json("network", "modify", network, "--release", "203.0.113.7")["free"] == 252
    other = cli.json("network", "create", "Bare", "--public", "--link", "br1")["id"]
    assert "no addresses of ours" in cli.refusal("network", "modify", other, "--release", "1")


def test_a_second_factor_that_is_not_there_cannot_be_taken_away(cli: Terminal, olga: str) -> None:
    assert olga in cli.refusal("user", "totp-reset", olga, "--reason", "Lost")
