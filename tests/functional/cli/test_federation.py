"""``cloudweb region`` and ``cloudweb promoted``."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloudweb.models import Flavor, SessionFactory, unit_of_work
from cloudweb.settings import Settings
from tests.fake_region import FakeCloud
from tests.functional.cli.conftest import Terminal

NANO = ("--vcpus", 1, "--ram", 64, "--disk", 1)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, region_connect_timeout_s=0.5, region_read_timeout_s=0.7)


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with FakeCloud("Spain2", "Trento") as cloud:
        yield cloud


@pytest.fixture
def add(cli: Terminal, cloud: FakeCloud) -> Callable[..., Any]:
    def register(name: str, url: str | None = None) -> Any:
        where = ("--keystone-url", url or cloud.keystone_url)
        who = ("--username", "admin", "--tenant", "admin", "--password-stdin")
        return cli.json("region", "add", name, *where, *who, stdin="adminpw\n")

    return register


@pytest.fixture
def regions(cli: Terminal, add: Callable[..., Any]) -> None:
    add("Spain2")
    add("Trento")
    cli("region", "refresh")


def results(shown: Any) -> dict[str, str]:
    return {row["region"]: row["result"] for row in shown}


def standings(cli: Terminal, *options: str) -> set[tuple[str, str, str]]:
    rows = cli.json("promoted", "diff", *options)
    return {(row["region"], row["flavor"], row["standing"]) for row in rows}


def test_a_region_is_added_asked_and_removed(
    cli: Terminal, add: Callable[..., Any], cloud: FakeCloud
) -> None:
    assert add("Spain2")["state"] == "new"
    assert cli.json("region", "refresh") == [{"name": "Spain2", "flavors": 3, "error": ""}]
    assert "answers" in cli("region", "list")
    cli("region", "remove", "Spain2")
    assert cli.json("region", "list") == []
    assert "adminpw" not in cli("region", "list", "--json")


def test_one_that_is_down_is_marked_and_the_others_are_asked(
    cli: Terminal, add: Callable[..., Any]
) -> None:
    add("Spain2")
    add("Down", "http://127.0.0.1:1/v3")
    assert "Down: http://127.0.0.1:1: not reachable" in cli.refusal("region", "refresh")
    states = {row["name"]: row["state"] for row in cli.json("region", "list")}
    assert states == {"Spain2": "answers", "Down": "away"}


def test_what_cannot_be_a_region_is_refused(cli: Terminal, add: Callable[..., Any]) -> None:
    add("Spain2")
    where = ("--keystone-url", "ftp://a", "--username", "a", "--tenant", "a", "--password-stdin")
    assert cli.run("region", "add", "a", *where, stdin="x").exit_code == 2
    assert cli.run("region", "add", "a", "--kind", "ganeti").exit_code == 2
    assert "does not exist" in cli.refusal("region", "remove", "nope")
    assert "does not exist" in cli.refusal("region", "refresh", "nope")


def test_a_promoted_flavor_is_installed_everywhere_and_again(
    cli: Terminal, regions: None, cloud: FakeCloud
) -> None:
    made = cli.json("promoted", "create", "nano", *NANO, "--extra-spec", "a=1", "--swap", 8)
    assert standings(cli) >= {("Spain2", "nano", "missing"), ("Spain2", "m1.tiny", "extra")}
    everywhere = {"Spain2": "done", "Trento": "done"}
    assert results(cli.json("promoted", "install", "nano")) == everywhere
    row = cloud.flavors["Trento"][made["id"]]
    assert (row["name"], row["swap"], row["extra_specs"]) == ("nano", 8, {"a": "1"})
    before = list(cloud.flavors["Trento"])
    unchanged = {"Spain2": "unchanged", "Trento": "unchanged"}
    assert results(cli.json("promoted", "install", "nano")) == unchanged
    assert list(cloud.flavors["Trento"]) == before
    assert cli.json("promoted", "list")[0]["nodes"] == ["Spain2", "Trento"]
    assert "Request-Line is not allowed" in cli.refusal("promoted", "delete", "nano")
    assert ("Spain2", "nano", "same") not in standings(cli)
    assert "nano" not in {flavor for _, flavor, _ in standings(cli)}


def test_partial_failure_is_shown_and_done_again_alone(
    cli: Terminal, regions: None, add: Callable[..., Any], cloud: FakeCloud
) -> None:
    cli("promoted", "create", "nano", *NANO)
    cloud.fail("/compute/Trento", status=500)
    shown = cli.run("promoted", "install", "nano")
    assert shown.exit_code == 1
    assert "Not in Trento" in shown.stderr
    assert cli.json("promoted", "list")[0]["nodes"] == ["Spain2"]
    cloud.mend()
    again = cli.json("promoted", "install", "nano")
    assert results(again) == {"Spain2": "unchanged", "Trento": "done"}


def test_what_was_changed_behind_our_back_is_seen_and_mended(
    cli: Terminal, regions: None, cloud: FakeCloud
) -> None:
    made = cli.json("promoted", "create", "nano", *NANO, "--extra-spec", "a=1")
    cli("promoted", "install", "nano")
    cloud.flavors["Trento"][made["id"]] |= {"vcpus": 8, "extra_specs": {}}
    cli("region", "refresh", "Trento")
    assert ("Trento", "nano", "different, vcpus 8, not 1, extra_specs {}, not {'a': '1'}") in (
        standings(cli, "--region", "Trento")
    )
    refused = cli.run("promoted", "install", "nano")
    assert "It is there with another vcpus, extra_specs; mend it." in refused.stdout
    assert cloud.flavors["Trento"][made["id"]]["vcpus"] == 8
    mended = cli.json("promoted", "install", "nano", "--mend", "--region", "Trento")
    assert results(mended) == {"Trento": "done"}
    assert cloud.flavors["Trento"][made["id"]]["vcpus"] == 1
    assert cloud.flavors["Trento"][made["id"]]["extra_specs"] == {"a": "1"}
    assert "nano" not in {flavor for _, flavor, _ in standings(cli)}


def test_a_flavor_is_taken_from_every_region_and_forgotten(
    cli: Terminal, regions: None, cloud: FakeCloud
) -> None:
    made = cli.json("promoted", "create", "nano", *NANO)
    cli("promoted", "install", "nano")
    del cloud.flavors["Spain2"][made["id"]]
    fault = cloud.fail("/compute/Trento", status=500)
    assert "Trento: " in cli.refusal("promoted", "delete", "nano", "--from-regions")
    assert cli.json("promoted", "list")[0]["nodes"] == ["Trento"]
    cloud.faults.remove(fault)
    cli("promoted", "delete", "nano", "--from-regions")
    assert cli.json("promoted", "list") == []
    assert "nano" not in cloud.names("Trento")


def test_the_same_hardware_under_another_name_is_told_apart(
    cli: Terminal, regions: None, cloud: FakeCloud
) -> None:
    cli("promoted", "create", "tiny", "--vcpus", 1, "--ram", 512, "--disk", 1)
    assert ("Spain2", "tiny", "other name: m1.tiny") in standings(cli)
    assert ("Spain2", "m1.tiny", "extra") not in standings(cli)


def test_our_own_clusters_are_a_region(
    cli: Terminal, sessions: SessionFactory, make_flavor: Callable[..., Flavor]
) -> None:
    cli("region", "add", "Home", "--kind", "ganeti", "--disk-template", "drbd")
    make_flavor(cpu=1, ram_mb=512, disk_gb=5, disk_template="drbd")
    make_flavor(cpu=1, ram_mb=512, disk_gb=5, disk_template="plain")
    assert cli.json("region", "refresh")[0]["flavors"] == 1
    cli("promoted", "create", "nano", *NANO)
    cli("promoted", "create", "swapping", *NANO, "--swap", 1)
    assert results(cli.json("promoted", "install", "nano")) == {"Home": "done"}
    assert results(cli.json("promoted", "install", "nano")) == {"Home": "unchanged"}
    assert "Not in Home" in cli.refusal("promoted", "install", "swapping")
    with unit_of_work(sessions) as session:
        made = session.query(Flavor).filter_by(ram_mb=64).one()
    assert (made.cpu, made.disk_gb, made.disk_template) == (1, 1, "drbd")
    assert standings(cli) == {
        ("Home", "C1R512D5drbd", "extra"),
        ("Home", "swapping", "missing"),
    }


def test_what_cannot_be_installed_is_refused(cli: Terminal, regions: None) -> None:
    assert cli.refusal("promoted", "install", "nope") == "No promoted flavor nope"
    cli("promoted", "create", "nano", *NANO)
    assert "Atlantis does not exist" in cli.refusal(
        "promoted", "install", "nano", "--region", "Atlantis"
    )
    assert "already a flavor named nano" in cli.refusal("promoted", "create", "nano", *NANO)
    assert cli.run("promoted", "create", "x", "--vcpus", 0, "--ram", 1, "--disk", 1).exit_code == 2
    cli("promoted", "delete", "nano")
    assert cli.json("promoted", "list") == []
