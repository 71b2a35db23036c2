"""Adopting what a cluster has: one instance, or all; nothing there is restarted or renamed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.domain import adoption, pool_care
from cloudweb.models import (
    Backend,
    Flavor,
    Network,
    Nic,
    OperState,
    PoolUse,
    PoolValue,
    Server,
    SessionFactory,
    unit_of_work,
)
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import wait_for


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["alpha:nodes=2"], port=0, time_factor=0.01) as running:
        yield running


@pytest.fixture
def alpha(simulator: Simulator, make_backend: Callable[..., Backend]) -> Iterator[RapiClient]:
    """A cluster with three instances nobody here has heard of, two on a network of Ganeti's."""
    make_backend(name="alpha.ganeti.test", url=simulator.url("alpha"))
    with RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        network = {"network_name": "lan", "network": "10.9.0.0/28", "gateway": "10.9.0.1"}
        _done(client, client.add_network(network | {"conflicts_check": False}, "x"))
        connect = {"group_name": "default", "network_mode": "bridged", "network_link": "br7"}
        _done(client, client.connect_network("lan", connect, "x"))
        for name, nic in (
            ("web1.example.org", {"network": "lan", "ip": "10.9.0.5"}),
            ("web2.example.org", {"network": "lan", "ip": "10.9.0.6"}),
            ("db1.example.org", {"mode": "bridged", "link": "br0"}),
        ):
            _done(client, client.create_instance(_body(name, nic), "x"))
        yield client


def _body(name: str, nic: dict[str, str]) -> dict[str, object]:
    return create_body(
        name=name,
        vcpus=2,
        ram_mb=256,
        disk_gb=1,
        disk_template="file",
        os="noop",
        osparams={},
        nics=[nic],
    )


def _done(client: RapiClient, job_id: int) -> None:
    wait_for(lambda: client.job(job_id).status == "success")


def _jobs(client: RapiClient) -> int:
    return len(client.jobs_bulk())


def test_a_dry_run_says_what_would_come_of_it_and_changes_nothing(
    cli: Terminal, sessions: SessionFactory, alpha: RapiClient, make_user: Callable[..., Any]
) -> None:
    owner = make_user().user.email

    rows = cli.json("backend", "adopt", "alpha.ganeti.test", "--owner", owner, "--dry-run")

    assert [(row["instance"], row["fate"], row["new_networks"]) for row in rows] == [
        ("db1.example.org", "adopt", ["bridged br0"]),
        ("web1.example.org", "adopt", ["lan"]),
        ("web2.example.org", "adopt", ["lan"]),
    ]
    assert (rows[0]["flavor"], rows[0]["new_flavor"]) == ("C2R256D1file", True)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Server)) == 0


def test_a_whole_cluster_is_adopted_once(
    cli: Terminal,
    sessions: SessionFactory,
    alpha: RapiClient,
    make_user: Callable[..., Any],
    tmp_path: Path,
) -> None:
    webs, rest = make_user().user, make_user().user
    owners = tmp_path / "owners"
    owners.write_text(f"# whose is what\nweb*, {webs.email}\n")
    whose = ("--owner", rest.email, "--owner-file", owners)
    adopt = ("backend", "adopt", "alpha.ganeti.test", *whose)
    before = _jobs(alpha)

    said = cli(*adopt, "--reason", "Moving in")

    assert said.splitlines()[-1] == "3 adopted, 0 ours already, 0 refused."
    assert _jobs(alpha) == before
    assert cli(*adopt).splitlines()[-1] == "0 adopted, 3 ours already, 0 refused."
    with unit_of_work(sessions, write=False) as session:
        servers = session.scalars(sa.select(Server).order_by(Server.instance_name)).all()
        flavor = session.scalars(sa.select(Flavor)).one()
        lan = session.scalars(sa.select(Network).where(Network.name == "lan")).one()
        addresses = session.execute(
            sa.select(Nic.ipv4, Nic.mac, Nic.index).where(Nic.network_id == lan.id)
        ).all()
        reserved = session.scalars(
            sa.select(PoolValue.number).where(PoolValue.use == PoolUse.RESERVED)
        ).all()
        assert pool_care.check(session) == []
    assert [(s.instance_name, s.user_id, s.state) for s in servers] == [
        ("db1.example.org", rest.id, OperState.STARTED),
        ("web1.example.org", webs.id, OperState.STARTED),
        ("web2.example.org", webs.id, OperState.STARTED),
    ]
    assert flavor.deleted
    assert (lan.public, lan.drained, lan.cidr, lan.link) == (True, True, "10.9.0.0/28", "br7")
    assert sorted(row[0] for row in addresses) == ["10.9.0.5", "10.9.0.6"]
    assert all(row[1] for row in addresses)
    assert sorted(reserved) == [0, 1, 15]


def test_one_instance_is_imported_and_only_once(
    cli: Terminal, sessions: SessionFactory, alpha: RapiClient, make_user: Callable[..., Any]
) -> None:
    owner = make_user().user.email
    where = ("--backend", "alpha.ganeti.test", "--owner", owner)

    rows = cli.json("server", "import", "db1.example.org", *where)

    assert [(row["instance"], row["fate"]) for row in rows] == [("db1.example.org", "adopt")]
    again = cli.refusal("server", "import", "db1.example.org", *where)
    assert again == "db1.example.org is ours already."
    assert "has no instance" in cli.refusal("server", "import", "nobody", *where)


def test_what_cannot_be_adopted_says_why_and_the_rest_is(
    cli: Terminal, sessions: SessionFactory, alpha: RapiClient, make_user: Callable[..., Any]
) -> None:
    owner = make_user().user.email
    _done(alpha, alpha.create_instance(_body("snf-77", {"mode": "bridged", "link": "br0"}), "x"))
    adopt = ("backend", "adopt", "alpha.ganeti.test", "--owner", owner)

    result = cli.run(*adopt)

    assert result.exit_code == 1
    assert "reconcile servers" in result.stdout
    assert "3 adopted, 0 ours already, 1 refused." in result.stdout
    nobody = cli.run("server", "import", "snf-77", "--backend", "alpha.ganeti.test", "--owner", "x")
    assert nobody.exit_code == 1
    assert cli.run("backend", "adopt", "alpha.ganeti.test").exit_code == 2


def test_an_adoption_that_was_interrupted_is_completed_by_doing_it_again(
    cli: Terminal,
    sessions: SessionFactory,
    alpha: RapiClient,
    make_user: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner = make_user().user.email
    adopt = ("backend", "adopt", "alpha.ganeti.test", "--owner", owner)
    monkeypatch.setattr("cloudweb.domain.adoption._LEAST", 1)
    real, calls = adoption.adopt, iter(range(10))

    def dies(*arguments: Any, **options: Any) -> Any:
        if next(calls) == 2:
            raise OSError("The terminal is gone.")
        return real(*arguments, **options)

    monkeypatch.setattr("cloudweb.domain.adoption.adopt", dies)
    cli.refusal(*adopt)

    assert cli(*adopt).splitlines()[-1] == "1 adopted, 2 ours already, 0 refused."
