"""``cloudweb operation``: look at one, cancel it, have it done again."""

from collections.abc import Callable
from typing import Any

from cloudweb.domain import identity, servers
from cloudweb.models import Operation, OperationState, SessionFactory, unit_of_work, utc_now
from tests.functional.cli.conftest import Terminal


def test_operations_are_shown_canceled_and_retried(
    cli: Terminal, sessions: SessionFactory, make_server: Callable[..., Any]
) -> None:
    server = make_server()
    with unit_of_work(sessions) as session:
        first = servers.shutdown(session, identity.system("cli"), server.id).id
        second = servers.start(session, identity.system("cli"), server.id).id

    assert cli.json("operation", "show", first)["state"] == "pending"
    assert cli.run("operation", "cancel", first).exit_code == 2, "a reason is required"
    assert "is canceled" in cli("operation", "cancel", first, "--reason", "Not needed.")
    assert "It is over" in cli.refusal("operation", "cancel", first, "--reason", "Again.")
    assert "No operation" in cli.refusal("operation", "show", 999_999)

    with unit_of_work(sessions) as session:
        row = session.get_one(Operation, second)
        row.state, row.sent, row.job_id = OperationState.SUBMITTED, utc_now(), 5
    assert "asked to" in cli("operation", "cancel", second, "--reason", "Not needed.")
    assert cli.json("operation", "show", second)["cancel_wanted"]

    with unit_of_work(sessions) as session:
        row = session.get_one(Operation, second)
        row.state, row.finished = OperationState.ERROR, utc_now()
    new = cli.json("operation", "retry", second, "--reason", "The node is back.")
    assert (new["retry_of_id"], new["state"]) == (second, "pending")
    assert cli.json("operation", "show", second)["retry_id"] == new["id"]
    assert "again already" in cli.refusal("operation", "retry", second, "--reason", "x")
