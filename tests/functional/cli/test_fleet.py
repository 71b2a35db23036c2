"""``cloudweb backend``, ``node``, ``secret`` and placement: the fleet from the terminal."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Flavor,
    Network,
    Server,
    SessionFactory,
    unit_of_work,
)
from cloudweb.settings import Secret, Settings
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import write_ini

Add = Callable[..., Any]


def test_a_user_who_may_only_read_is_refused(
    cli: Terminal, simulator: Simulator, add_alpha: Add
) -> None:
    simulator.clusters["alpha"].faults.update({"read_only": True})
    command = ("backend", "add", simulator.url("alpha"), "--username", "cloudweb")

    sentence = cli.refusal(*command, "--no-verify-tls", CLOUDWEB_RAPI_PASSWORD="cloudweb")

    assert sentence.startswith("The cluster lets cloudweb read but not write")
    assert cli.json("backend", "list") == []


def test_trying_a_cluster_out_changes_nothing_on_it(simulator: Simulator, add_alpha: Add) -> None:
    add_alpha()

    jobs = simulator.clusters["alpha"].state.jobs.values()
    assert [(job.opcode, job.arguments["dry_run"]) for job in jobs] == [("OP_TAGS_SET", True)]


def test_a_seventeenth_cluster_is_refused(
    cli: Terminal, simulator: Simulator, make_backend: Callable[..., Backend]
) -> None:
    for _ in range(16):
        make_backend()
    command = ("backend", "add", simulator.url("alpha"), "--username", "cloudweb")

    sentence = cli.refusal(*command, "--no-verify-tls", CLOUDWEB_RAPI_PASSWORD="cloudweb")

    assert sentence == "There can be no more than 16 backends."


def test_a_change_can_be_tried_before_it_is_made(cli: Terminal, add_alpha: Add) -> None:
    made = add_alpha()
    modify = ("backend", "modify", made["id"], "--password-stdin", "--check")

    assert cli.refusal(*modify, stdin="wrong\n").startswith("The cluster refuses this user")
    assert cli.json(*modify, stdin="cloudweb\n")["name"] == made["name"]
    assert cli.json("backend", "refresh", made["id"])[0]["state"] == "drained"


def test_offline_and_online_keep_the_reason(cli: Terminal, add_alpha: Add) -> None:
    made = add_alpha()

    shown = cli.json("backend", "offline", made["id"], "--reason", "Moving house")
    assert (shown["state"], shown["state_reason"]) == ("offline", "Moving house")
    assert "already" in cli("backend", "offline", made["id"], "--reason", "Again")
    assert "is contacted" in cli("backend", "online", made["name"])


def test_clusters_are_refreshed_at_the_same_time(
    cli: Terminal, simulator: Simulator, add_alpha: Add, sessions: SessionFactory
) -> None:
    made = add_alpha()
    with unit_of_work(sessions) as session:
        values = {c.key: getattr(session.get_one(Backend, made["id"]), c.key) for c in _columns()}
        for number in range(1, 6):
            copy = values | {"id": None, "number": number, "name": f"copy{number}"}
            session.add(Backend(**copy))
    simulator.clusters["alpha"].faults.update({"delay_s": 0.25})

    began = time.monotonic()
    rows = cli.json("backend", "refresh")

    assert len(rows) == 6
    assert time.monotonic() - began < 6 * 3 * 0.25


def _columns() -> Any:
    return Backend.__table__.columns


def test_nodes_are_those_of_the_last_refresh(
    cli: Terminal, simulator: Simulator, add_alpha: Add
) -> None:
    made = add_alpha()
    rows = cli.json("node", "list", "--backend", made["name"])
    assert [(row["name"], row["node_group"], row["state"]) for row in rows] == [
        ("n1.alpha.ganeti.test", "default", "up"),
        ("n2.alpha.ganeti.test", "default", "up"),
    ]
    simulator.clusters["alpha"].set_node("n2.alpha.ganeti.test", offline=None, drained=True)

    cli("backend", "refresh")

    states = {row["name"]: (row["state"], row["cpus"]) for row in cli.json("node", "list")}
    assert states["n2.alpha.ganeti.test"] == ("drained", 8)


def test_a_cluster_with_servers_is_not_removed(
    cli: Terminal, make_server: Callable[..., Server], make_backend: Callable[..., Backend]
) -> None:
    backend = make_backend()
    make_server(backend=backend)

    said = cli.refusal("backend", "remove", backend.id)

    assert said == f"{backend.name} cannot be removed: 1 server, it is not drained."
    shown = cli.json("backend", "remove", backend.id, "--dry-run")
    assert shown["in_the_way"] == ["1 server", "it is not drained"]


def test_a_removed_cluster_frees_its_number_and_its_name(
    cli: Terminal,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
    add_alpha: Add,
    public_network: Network,
) -> None:
    made = add_alpha()
    with unit_of_work(sessions) as session:
        backend = session.get_one(Backend, made["id"])
        session.add(
            BackendNetwork(network_id=public_network.id, backend_id=backend.id, name="snf-net-1")
        )
    gone = make_server(backend=backend, deleted=True).id

    removed = cli.json("backend", "remove", made["id"], "--reason", "Old iron")

    assert removed["networks_left"] == ["snf-net-1"]
    assert cli.json("backend", "list") == []
    assert cli.json("node", "list") == []
    assert cli.refusal("backend", "drain", made["id"], "--reason", "x").startswith("No backend")
    again = add_alpha()
    assert (again["number"], again["name"]) == (made["number"], made["name"])
    assert again["id"] != made["id"]
    assert "removed" in cli.json("server", "show", gone)["backend"]


def test_place_shows_each_cluster_and_why(
    cli: Terminal,
    make_backend: Callable[..., Backend],
    make_flavor: Callable[..., Flavor],
    make_user: Callable[..., Any],
    public_network: Network,
) -> None:
    free, drained, user = make_backend(), make_backend(drained=True), make_user().user
    place = ("server", "place", "--flavor", make_flavor().id)

    rows = cli.json(*place)
    assert [(row["backend"], row["chosen"], row["why"]) for row in rows] == [
        (free.name, True, ""),
        (drained.name, False, "drained"),
    ]
    assert drained.name in cli("backend", "pin", drained.id, "--user", user.email)
    assert cli.json(*place, "--user", user.email)[0]["backend"] == drained.name
    assert cli.json("backend", "pins") == [{"user": user.email, "backend": drained.name}]
    assert "anywhere" in cli("backend", "unpin", "--user", user.email)
    assert "lavor" in cli.refusal("server", "place", "--flavor", 999)


def test_the_key_is_changed_without_entering_a_password_again(
    settings: Settings, cli: Terminal, add_alpha: Add, tmp_path: Path
) -> None:
    add_alpha()
    new = cli("secret", "new").strip()
    assert Fernet(new)
    (tmp_path / "both").mkdir()
    both = dataclasses.replace(
        settings, secret_key=Secret(new), secret_keys_old=settings.secret_key
    )
    while_changing = Terminal(write_ini(tmp_path / "both", both))
    assert while_changing.json("backend", "refresh")[0]["state"] == "drained"

    counted = while_changing.json("secret", "rotate", "--dry-run")
    assert {"column": "backends.password_sealed", "newest": 0, "old": 1, "lost": 0} in counted
    while_changing("secret", "rotate")

    (tmp_path / "new").mkdir()
    after = Terminal(
        write_ini(tmp_path / "new", dataclasses.replace(settings, secret_key=Secret(new)))
    )
    assert after.json("backend", "refresh")[0]["state"] == "drained"
    assert cli.run("secret", "rotate").exit_code == 1


@pytest.mark.parametrize("verb", ["offline", "drain"])
def test_a_backend_is_only_shut_off_with_a_reason(
    cli: Terminal, make_backend: Callable[..., Backend], verb: str
) -> None:
    assert cli.run("backend", verb, make_backend().id).exit_code == 2
