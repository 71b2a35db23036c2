"""``cloudweb db``: from nothing to the tables of the models, and the difference told."""

import subprocess
import sys

import sqlalchemy as sa

from cloudweb.models import make_engine, migrations
from tests.functional.cli.conftest import Terminal

NEWEST = migrations.position("sqlite:///nowhere/at/all").newest
UPGRADE = "from cloudweb.cli import main; main()"


def execute(url: str, statement: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def test_upgrade_makes_the_tables_of_the_models(fresh_cli: Terminal) -> None:
    assert fresh_cli.json("db", "current") == {"current": None, "newest": NEWEST}

    assert "it was empty" in fresh_cli("db", "upgrade")

    assert fresh_cli.json("db", "current") == {"current": NEWEST, "newest": NEWEST}
    assert fresh_cli("db", "check") == "The tables are those of this release.\n"


def test_a_second_upgrade_changes_nothing(fresh_cli: Terminal) -> None:
    fresh_cli("db", "upgrade")

    assert fresh_cli("db", "upgrade") == f"The database is at {NEWEST}, the newest.\n"


def test_upgrades_at_once_wait_for_each_other(fresh_cli: Terminal) -> None:
    command = [sys.executable, "-c", UPGRADE, "--config", str(fresh_cli.ini), "db", "upgrade"]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(3)
    ]
    outputs = [each.communicate(timeout=60)[0] for each in running]

    assert [each.returncode for each in running] == [0, 0, 0], outputs
    fresh_cli("db", "check")


def test_check_refuses_a_database_that_is_behind(fresh_cli: Terminal, fresh_url: str) -> None:
    fresh_cli("db", "upgrade")
    execute(fresh_url, "DELETE FROM alembic_version")

    assert "run: cloudweb db upgrade" in fresh_cli.refusal("db", "check")


def test_check_names_what_differs(fresh_cli: Terminal, fresh_url: str) -> None:
    fresh_cli("db", "upgrade")
    execute(fresh_url, "ALTER TABLE flavors ADD COLUMN colour VARCHAR(10)")

    result = fresh_cli.run("db", "check")

    assert result.exit_code == 1
    assert "colour" in result.stdout
    assert result.stderr.startswith("error: The tables are not what the models describe")


def test_a_database_without_tables_is_told_so(fresh_cli: Terminal) -> None:
    assert fresh_cli.refusal("user", "list").endswith("run: cloudweb db upgrade")
