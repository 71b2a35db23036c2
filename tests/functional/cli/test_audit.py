"""The audit, from a shell."""

from collections.abc import Callable

import orjson
import sqlalchemy as sa

from cloudweb.models import AuditEntry, SessionFactory, unit_of_work
from tests.functional.cli.conftest import Terminal


def test_the_chain_is_sealed_verified_and_a_change_is_found(
    cli: Terminal, make_user: Callable, sessions: SessionFactory
) -> None:
    make_user()
    head = cli("audit", "seal").strip()
    assert cli("audit", "verify") == f"2 entries hold, 0 wait for their seal. {head}\n"
    assert cli.json("audit", "verify", "--noted", head)["problem"] is None
    with unit_of_work(sessions) as session:
        session.execute(sa.update(AuditEntry).values(actor="nobody"))
    assert "Entry 1 of the chain" in cli.refusal("audit", "verify")
    assert cli.run("audit", "verify", "--noted", "x").exit_code == 2


def test_what_a_command_was_refused_is_in_the_audit(cli: Terminal) -> None:
    cli.refusal("user", "deactivate", "nobody@example.org", "--reason", "x")
    cli("user", "add", "somebody@example.org", "--no-password")
    (row,) = cli.json("audit", "list", "--filter", "outcome=refused")
    assert (row["door"], row["target"]) == ("cli", "cloudweb user deactivate")
    assert row["reason"] == "No user nobody@example.org."
    assert "@" in row["address"]
    lines = [orjson.loads(line) for line in cli("audit", "export").splitlines()]
    assert [line["action"] for line in lines] == ["command:refuse", "user:create"]
    assert "There is no field" in cli.refusal("audit", "list", "--filter", "colour=red")
