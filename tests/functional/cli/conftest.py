"""The terminal's door for tests: commands on a real database, with an ini file of their own."""

import dataclasses
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.cli import main
from cloudweb.models import SessionFactory, make_engine
from cloudweb.settings import Secret, Settings
from tests.functional.processes import write_ini


@dataclasses.dataclass(frozen=True)
class Terminal:
    """Runs ``cloudweb`` commands in this process."""

    ini: Path

    def run(self, *arguments: object, stdin: str | None = None, **variables: str) -> Result:
        """What the command did, whatever that was."""
        command = ["--config", str(self.ini), *map(str, arguments)]
        return CliRunner().invoke(
            main, command, input=stdin, env=variables, catch_exceptions=False, prog_name="cloudweb"
        )

    def __call__(self, *arguments: object, stdin: str | None = None, **variables: str) -> str:
        """What a command that succeeds prints."""
        result = self.run(*arguments, stdin=stdin, **variables)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: object, stdin: str | None = None, **variables: str) -> Any:
        """What a command that succeeds prints for programs."""
        return orjson.loads(self(*arguments, "--json", stdin=stdin, **variables))

    def refusal(self, *arguments: object, stdin: str | None = None, **variables: str) -> str:
        """The one line of a command that is refused, after ``error:``."""
        result = self.run(*arguments, stdin=stdin, **variables)
        assert result.exit_code == 1, result.output
        line = result.stderr.splitlines()[-1]
        assert line.startswith("error: ")
        assert "Traceback" not in result.output
        return line.removeprefix("error: ")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOUDWEB_CONFIG", "CLOUDWEB_DATABASE_URL", "CLOUDWEB_RAPI_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cli(settings: Settings, sessions: SessionFactory, tmp_path: Path) -> Terminal:
    """Commands on an empty database with its tables."""
    return Terminal(write_ini(tmp_path, settings))


@pytest.fixture
def fresh_url(tmp_path: Path) -> Iterator[str]:
    """A database without tables, on the server of the tests; it is dropped afterwards."""
    server = os.environ.get("CLOUDWEB_TEST_DATABASE_URL", "sqlite://")
    url = sa.make_url(server)
    if url.get_backend_name() == "sqlite":
        yield f"sqlite:///{tmp_path}/new/cloudweb.sqlite"
        return
    name = f"cloudweb_cli_{uuid.uuid4().hex[:12]}"
    engine = make_engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield url.set(database=name).render_as_string(hide_password=False)
        connection.exec_driver_sql(f"DROP DATABASE {name}")
    engine.dispose()


@pytest.fixture
def fresh_cli(settings: Settings, fresh_url: str, tmp_path: Path) -> Terminal:
    """Commands on a database without tables."""
    changed = dataclasses.replace(settings, database_url=Secret(fresh_url))
    return Terminal(write_ini(tmp_path, changed))


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A cluster of two nodes, ``alpha``, over HTTPS."""
    with Simulator(["alpha:nodes=2,memory=32G,disk=100G,cpus=8"], port=0, tls=True) as running:
        yield running


@pytest.fixture
def add_alpha(cli: Terminal, simulator: Simulator, tmp_path: Path) -> Callable[..., Any]:
    """Adds the simulated cluster; gives what the command printed for programs."""
    certificate = tmp_path / "alpha.pem"
    certificate.write_text(str(simulator.certificate))

    def add(*options: object, **variables: str) -> Any:
        arguments = ("backend", "add", simulator.url("alpha"), "--username", "cloudweb", *options)
        if "--no-verify-tls" not in options:
            arguments += ("--ca-file", certificate)
        return cli.json(*arguments, **({"CLOUDWEB_RAPI_PASSWORD": "cloudweb"} | variables))

    return add
