"""``cloudweb address history``."""

from collections.abc import Callable
from typing import Any

from cloudweb.domain import address_history
from cloudweb.domain.address_history import Had
from cloudweb.models import Network, SessionFactory, unit_of_work
from tests.functional.cli.conftest import Terminal


def test_who_had_an_address_is_shown_newest_first(
    cli: Terminal,
    sessions: SessionFactory,
    public_network: Network,
    make_server: Callable[..., Any],
) -> None:
    old, new = make_server(name="old"), make_server(name="new")
    with unit_of_work(sessions) as session:
        address_history.begin(session, [Had(old.id, public_network.id, "203.0.113.2")])
        address_history.end_all(session, [old.id])
        address_history.begin(session, [Had(new.id, public_network.id, "203.0.113.2")])
    rows = cli.json("address", "history", "203.0.113.2")
    assert [(row["server"], row["until"] is None) for row in rows] == [
        ("new", True),
        ("old", False),
    ]
    assert "new" in cli("address", "history", "203.0.113.2")
    assert cli.json("address", "history", "203.0.113.2", "--at", "2001-01-01") == []
    assert cli.json("address", "history", "203.0.113.2", "--network", 4711) == []
    assert "not an IP address" in cli.refusal("address", "history", "everywhere")
    assert cli.run("address", "history", "203.0.113.2", "--at", "soon").exit_code == 2


def test_who_had_an_address_is_who_owned_the_server_then(
    cli: Terminal,
    sessions: SessionFactory,
    public_network: Network,
    make_server: Callable[..., Any],
    make_user: Callable[..., Any],
) -> None:
    ann, bob = make_user(email="ann@example.org"), make_user(email="bob@example.org")
    server = make_server(owner=ann)
    with unit_of_work(sessions) as session:
        address_history.begin(session, [Had(server.id, public_network.id, "203.0.113.2")])
    cli("server", "modify", server.id, "--owner", bob.user.email)
    rows = cli.json("address", "history", "203.0.113.2")
    assert [(row["owner"], row["until"] is None) for row in rows] == [
        ("bob@example.org", True),
        ("ann@example.org", False),
    ]
