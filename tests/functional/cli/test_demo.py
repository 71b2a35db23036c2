"""``cloudweb demo seed`` and ``cloudweb serve-simulator``, which have to agree."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from cloudweb.backend.cluster_report import read_report
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.cli.demo import report
from cloudweb.cli.simulator import DEMO_CLUSTERS
from cloudweb.domain import accounts
from cloudweb.models import Base, Role, SessionFactory, unit_of_work
from tests.functional.cli.conftest import Terminal


def secret(printed: str, what: str) -> str:
    found = re.search(rf"{what}: +(\S+)", printed)
    assert found is not None, printed
    return found[1]


def test_seed_makes_a_cloud_to_try_and_tells_its_secrets(
    cli: Terminal, sessions: SessionFactory
) -> None:
    printed = cli("demo", "seed")

    clusters = {row["name"]: row for row in cli.json("backend", "list")}
    assert {name: row["nodes_up"] for name, row in clusters.items()} == {
        "alpha.ganeti.test": 2,
        "beta.ganeti.test": 1,
    }
    assert {row["state"] for row in clusters.values()} == {"open"}
    assert cli.json("image", "list")
    assert {row["kind"]: row["free"] for row in cli.json("pool", "list")} == {
        "bridge": 20,
        "mac-prefix": 4095,
        "ipv4": 253,
    }
    assert [row["subnet"] for row in cli.json("network", "list") if not row["drained"]] == [
        "203.0.113.0/24"
    ]
    templates = {row["disk_template"].partition("_")[0] for row in cli.json("flavor", "list")}
    assert templates <= {t for row in clusters.values() for t in row["disk_templates"]}
    with unit_of_work(sessions) as session:
        user = accounts.by_token(session, secret(printed, "token"), address="", request_id="")
        operator, password_hash = accounts.find_credentials(session, "operator@example.org")
    assert user is not None
    assert user.email == "user@example.org"
    assert operator is not None
    assert operator.role is Role.ADMIN
    assert accounts.matches(password_hash, secret(printed, "password"))


def test_a_second_seed_keeps_everything_and_tells_no_secret(
    cli: Terminal, sessions: SessionFactory
) -> None:
    def rows() -> dict[str, int]:
        with unit_of_work(sessions, write=False) as session:
            return {
                table.name: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in Base.metadata.sorted_tables
            }

    first = cli("demo", "seed")
    before = rows()

    second = cli("demo", "seed")

    assert rows() == before
    assert secret(first, "password") not in second
    assert "is kept" in second
    assert "cloudweb token add --user user@example.org" in second
    # Programs that start the demo take what follows "token:" for one.
    assert not re.search(r"\btoken\b[^\n:=]*[:=]", second)


def test_secrets_are_not_stored(cli: Terminal, sessions: SessionFactory) -> None:
    printed = cli("demo", "seed")

    with unit_of_work(sessions, write=False) as session:
        stored = "\n".join(
            str(session.execute(sa.select(table)).all()) for table in Base.metadata.sorted_tables
        )
    assert secret(printed, "password") not in stored
    assert secret(printed, "token") not in stored


def test_the_demo_stays_away_from_somebodys_clusters(cli: Terminal, make_backend: object) -> None:
    assert callable(make_backend)
    make_backend(name="mine.example.org")

    assert "mine.example.org" in cli.refusal("demo", "seed")
    assert cli.json("flavor", "list") == []


def test_what_is_seeded_is_what_the_simulator_says() -> None:
    with Simulator(DEMO_CLUSTERS, port=0) as simulator:
        for spec in DEMO_CLUSTERS:
            with RapiClient(simulator.url(spec.name), spec.user, spec.password) as client:
                assert read_report(client) == report(spec)


def serve(ini: Path, folder: Path, *options: str) -> subprocess.Popen[str]:
    code = "from cloudweb.cli import main; main()"
    command = [sys.executable, "-c", code, "--config", str(ini), "serve-simulator", "--port", "0"]
    return subprocess.Popen([*command, *options], cwd=folder, stdout=subprocess.PIPE, text=True)


def ready(output: IO[str] | None) -> list[str]:
    assert output is not None
    line = output.readline()
    assert line.startswith("simulator ready: "), line
    return line.split()[2:]


def test_serve_simulator_serves_the_demo_and_keeps_it(cli: Terminal, tmp_path: Path) -> None:
    running = serve(cli.ini, tmp_path)
    try:
        urls = ready(running.stdout)
        assert [url.rpartition("/")[2] for url in urls] == ["alpha", "beta"]
        with RapiClient(urls[0], "cloudweb", "cloudweb") as client:
            assert client.info().name == "alpha.ganeti.test"
    finally:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=20)

    assert running.returncode == 0
    assert (tmp_path / "var/simulator.json").is_file()


def test_serve_simulator_serves_what_is_named(cli: Terminal, tmp_path: Path) -> None:
    running = serve(cli.ini, tmp_path, "--cluster", "gamma:nodes=3")
    try:
        urls = ready(running.stdout)
        with RapiClient(urls[0], "cloudweb", "cloudweb") as client:
            assert len(client.nodes_bulk()) == 3
    finally:
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=20)

    assert not (tmp_path / "var").exists()


def test_a_cluster_that_cannot_be_is_a_usage_error(cli: Terminal) -> None:
    result = cli.run("serve-simulator", "--cluster", "gamma:height=3")

    assert result.exit_code == 2
    assert "height" in result.stderr
