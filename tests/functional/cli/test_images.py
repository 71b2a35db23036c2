"""``cloudweb image``: registering, changing, sharing and removing images."""

from typing import Any

import pytest

from tests.functional.cli.conftest import Terminal

REGISTER = ("image", "register", "Debian 12", "debian-12")


def test_an_image_is_registered_and_shown(cli: Terminal) -> None:
    cli("user", "add", "uma@example.org", "--no-password")
    made = cli.json(
        *REGISTER,
        *("--owner", "uma@example.org", "--private", "--size", 5, "--property", "os=debian"),
    )

    shown = cli.json("image", "show", made["id"])

    assert shown["properties"] == {"os": "debian"}
    assert (shown["owner"], shown["is_public"], shown["size"]) == ("uma@example.org", False, 5)
    assert (shown["disk_format"], shown["status"], shown["members"]) == (
        "diskdump",
        "available",
        [],
    )
    assert "uma@example.org" in cli("image", "show", made["id"])
    assert cli.json("image", "list")[0]["id"] == made["id"]


def test_add_is_another_word_for_it(cli: Terminal) -> None:
    made = cli.json("image", "add", "Debian 12", "file:///srv/debian.img")
    assert made["is_public"] is True
    assert cli.json("image", "show", made["id"])["owner"] == "system"


def test_an_image_is_changed_and_keeps_what_is_not_named(cli: Terminal) -> None:
    made = cli.json(*REGISTER, "--property", "os=debian", "--property", "kernel=6.1")
    changed = ("--name", "Debian 13", "--private", "--property", "kernel=6.12")
    assert cli("image", "update", made["id"], *changed) == "Changed image Debian 13.\n"
    shown = cli.json("image", "show", made["id"])
    assert shown["properties"] == {"os": "debian", "kernel": "6.12"}
    assert (shown["name"], shown["is_public"]) == ("Debian 13", False)

    cli("image", "update", made["id"], "--purge", "--status", "unavailable", "--public")

    shown = cli.json("image", "show", made["id"])
    assert (shown["properties"], shown["status"]) == ({}, "unavailable")


def test_an_image_is_shared_by_address(cli: Terminal) -> None:
    for name in ("uma", "vic"):
        cli("user", "add", f"{name}@example.org", "--no-password")
    made = cli.json(*REGISTER, "--private")

    text = cli("image", "share", made["id"], "vic@example.org", "uma@example.org")

    assert text.endswith("is shared with: uma@example.org, vic@example.org.\n")
    assert cli.json("image", "show", made["id"])["members"] == [
        "uma@example.org",
        "vic@example.org",
    ]
    left = cli.json("image", "share", made["id"], "uma@example.org", "--stop")
    assert left["members"] == ["vic@example.org"]
    assert "not shared" in cli.refusal("image", "share", made["id"], "uma@example.org", "--stop")
    assert cli.refusal("image", "share", made["id"], "x@example.org") == "No user x@example.org."


def test_a_removed_image_is_listed_no_more(cli: Terminal) -> None:
    made = cli.json(*REGISTER)
    assert cli("image", "remove", made["id"]) == f"Image {made['id']} is deleted.\n"
    assert cli.json("image", "list") == []
    assert cli.json("image", "show", made["id"])["deleted"] is True
    for verb in (("remove",), ("update", "--name", "x")):
        assert cli.refusal("image", verb[0], made["id"], *verb[1:]) == "Image not found."


@pytest.mark.parametrize(
    "options",
    [
        ("--disk-format", "vhd"),
        ("--container-format", "docker"),
        ("--size", "-5"),
        ("--size", "many"),
        ("--checksum", "no checksum"),
        ("--owner", "nobody@example.org"),
        ("--property", "k=" + "x" * 1001),
    ],
)
def test_what_makes_no_sense_is_refused(cli: Terminal, options: tuple[Any, ...]) -> None:
    assert cli.refusal(*REGISTER, *options)
    assert cli.json("image", "list") == []


@pytest.mark.parametrize(("name", "location"), [("x", "ftp://a/b"), (" ", "debian"), ("x", "")])
def test_no_image_lies_nowhere(cli: Terminal, name: str, location: str) -> None:
    assert cli.refusal("image", "register", name, location)


def test_what_is_not_there_is_said_so(cli: Terminal) -> None:
    for verb in ("show", "update", "remove"):
        assert cli.refusal("image", verb, "nothing") == "Image not found."
