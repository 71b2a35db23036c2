"""``--dry-run``: refused as in earnest, and nothing is changed; ``--reason``: where it is kept."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from cloudweb.models import (
    AuditEntry,
    Backend,
    Flavor,
    Operation,
    Server,
    SessionFactory,
    User,
    unit_of_work,
)
from tests.functional.cli.conftest import Terminal

FLAVOR = ("flavor", "create", "--cpu", 1, "--ram", 1024, "--disk", 5, "--disk-template", "plain")


def count(sessions: SessionFactory, table: type) -> int:
    with unit_of_work(sessions, write=False) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_a_dry_run_says_what_would_be_and_leaves_nothing(
    cli: Terminal, sessions: SessionFactory
) -> None:
    said = cli(*FLAVOR, "--dry-run")
    assert said.startswith("Nothing is changed; it would be: Flavor C1R1024D5plain has id ")
    assert cli.json(*FLAVOR, "--dry-run")["dry_run"] is True

    assert count(sessions, Flavor) == 0
    assert count(sessions, AuditEntry) == 0


def test_a_dry_run_is_refused_as_it_would_be(cli: Terminal) -> None:
    cli(*FLAVOR)
    assert "exists" in cli.refusal(*FLAVOR, "--dry-run")


def test_a_dry_run_of_a_change_shows_how_it_would_look(
    cli: Terminal, sessions: SessionFactory, make_backend: Callable[..., Backend]
) -> None:
    backend = make_backend()
    row = cli.json("backend", "drain", backend.id, "--reason", "Why not", "--dry-run")
    assert (row["state"], row["state_reason"]) == ("drained", "Why not")
    assert cli.json("backend", "show", backend.id)["state"] == "open"


def test_a_dry_run_makes_no_user(cli: Terminal, sessions: SessionFactory) -> None:
    shown = cli.json("user", "add", "olga@example.org", "--dry-run")
    assert shown["email"] == "olga@example.org"
    assert count(sessions, User) == 0


def test_the_sizes_of_flavors_are_combined(cli: Terminal, sessions: SessionFactory) -> None:
    sizes = ("flavor", "create", "--cpu", "1,2", "--ram", "1024,2048", "--disk", 5)
    sizes += ("--disk-template", "plain,drbd")

    assert len(cli.json(*sizes, "--dry-run")) == 8
    assert count(sessions, Flavor) == 0
    cli(*FLAVOR)
    rows = cli.json(*sizes)

    assert [row["name"] for row in rows if not row["new"]] == ["C1R1024D5plain"]
    assert count(sessions, Flavor) == 8
    assert cli(*sizes).splitlines()[-1] == "0 made, 8 there already."


@pytest.mark.parametrize("cpu", ["1,", "x", "-1", "1" * 12, ",".join(["7"] * 3) + ",a"])
def test_sizes_that_are_none_are_a_mistake(cli: Terminal, cpu: str) -> None:
    assert cli.run(*FLAVOR[:2], "--cpu", cpu, *FLAVOR[4:]).exit_code == 2


def test_too_many_flavors_at_once_are_a_mistake(cli: Terminal) -> None:
    many = ",".join(map(str, range(1, 40)))
    result = cli.run(*FLAVOR[:2], "--cpu", many, "--ram", many, *FLAVOR[6:])
    assert "at most 1000 at a time" in result.stderr


def test_a_flavor_is_taken_back_and_offered_again(cli: Terminal) -> None:
    made = cli.json(*FLAVOR)["id"]

    assert "is not offered any more." in cli("flavor", "modify", made, "--set-deleted")
    assert cli.json("flavor", "list") == []
    assert [row["id"] for row in cli.json("flavor", "list", "--deleted")] == [made]
    assert "already" in cli("flavor", "modify", made, "--set-deleted")
    cli("flavor", "modify", made, "--set-undeleted", "--reason", "Wanted after all")
    assert [row["id"] for row in cli.json("flavor", "list")] == [made]
    assert cli.run("flavor", "modify", made).exit_code == 2


def test_a_reason_is_in_the_audit(cli: Terminal, sessions: SessionFactory) -> None:
    cli(*FLAVOR, "--reason", "Asked for in #7")
    with unit_of_work(sessions, write=False) as session:
        entry = session.scalars(sa.select(AuditEntry)).one()
    assert (entry.action, entry.reason) == ("flavor:create", "Asked for in #7")


def test_images_are_listed_as_a_user_sees_them(
    cli: Terminal, make_user: Callable[..., object]
) -> None:
    cli("user", "add", "olga@example.org", "--no-password")
    own = cli.json("image", "add", "Own", "own", "--owner", "olga@example.org", "--private")
    cli("image", "add", "Other", "other", "--private")
    every = cli.json("image", "add", "Every", "every")

    rows = cli.json("image", "list", "--user", "olga@example.org")
    assert [row["id"] for row in rows] == [every["id"], own["id"]]
    assert [row["owner"] for row in rows] == [None, "olga@example.org"]
    cli("image", "remove", every["id"])
    assert [row["id"] for row in cli.json("image", "list", "--deleted")] == [every["id"]]


def test_what_was_asked_a_moment_ago_is_not_asked_again(
    cli: Terminal, make_backend: Callable[..., Backend]
) -> None:
    make_backend()  # nothing answers there
    assert cli.json("backend", "refresh", "--older-than", 5) == []
    assert "does not answer" in cli.refusal("backend", "refresh", "--older-than", 0)


def test_a_dry_run_cancels_nothing(
    cli: Terminal, sessions: SessionFactory, make_server: Callable[..., Server]
) -> None:
    server = make_server()
    with unit_of_work(sessions) as session:
        from cloudweb.domain import identity, operations

        operation = operations.enqueue(
            session, identity.system("cli"), server, "OP_INSTANCE_SHUTDOWN"
        )
    rehearsed = cli.json("operation", "cancel", operation.id, "--reason", "x", "--dry-run")
    assert rehearsed["state"] == "canceled"
    assert cli.json("operation", "show", operation.id)["state"] == "pending"
    assert count(sessions, Operation) == 1
