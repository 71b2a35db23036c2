"""``cloudweb quota``: showing and changing what users may have."""

from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.models import AuditEntry, SessionFactory, unit_of_work

EMAIL = "user@example.org"


@pytest.fixture(autouse=True)
def person(cli: Any) -> None:
    cli("user", "add", EMAIL, "--no-password")


def _shown(cli: Any, resource: str) -> dict[str, Any]:
    [row] = [r for r in cli.json("quota", "show", EMAIL) if r["resource"] == resource]
    return dict(row)


def test_a_users_own_limit_is_set_shown_listed_and_unset(cli: Any) -> None:
    assert _shown(cli, "cpu") == {"resource": "cpu", "used": 0, "limit": "unlimited", "own": False}
    assert cli("quota", "set", EMAIL, "cpu", 8) == f"{EMAIL} may have cpu 8.\n"
    cli("quota", "set", EMAIL, "cpu", 9)
    assert _shown(cli, "cpu") == {"resource": "cpu", "used": 0, "limit": 9, "own": True}
    assert cli.json("quota", "list") == [{"user": EMAIL, "resource": "cpu", "limit": 9}]
    done = cli.json("quota", "unset", EMAIL, "cpu")
    assert done == {"user": EMAIL, "resource": "cpu", "limit": "unlimited", "changed": True}
    assert cli.json("quota", "unset", EMAIL, "cpu")["changed"] is False
    assert cli.json("quota", "list") == []


def test_a_user_may_be_freed_of_what_the_settings_say(cli: Any) -> None:
    limits = {"CLOUDWEB_QUOTA_SERVERS": "3"}
    cli("quota", "set", EMAIL, "servers", "unlimited")
    [servers, *_] = cli.json("quota", "show", EMAIL, **limits)
    assert (servers["limit"], servers["own"]) == ("unlimited", True)
    cli("quota", "unset", EMAIL, "servers")
    [servers, *_] = cli.json("quota", "show", EMAIL, **limits)
    assert (servers["limit"], servers["own"]) == (3, False)


@pytest.mark.parametrize("limit", ["-1", "some", "1.5", "9" * 40, "٣", ""])
def test_a_limit_is_a_number_or_unlimited(cli: Any, limit: str) -> None:
    assert cli.run("quota", "set", EMAIL, "cpu", "--", limit).exit_code == 2


def test_nobody_else_has_quotas(cli: Any) -> None:
    assert "No user nobody@example.org" in cli.refusal("quota", "show", "nobody@example.org")
    assert cli.run("quota", "set", EMAIL, "gold", 1).exit_code == 2


def test_a_changed_quota_is_in_the_audit(cli: Any, sessions: SessionFactory) -> None:
    cli("quota", "set", EMAIL, "ram_mb", 1024)
    with unit_of_work(sessions, write=False) as session:
        entry = session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "quota:set")).one()
    assert entry.details == {
        "resource": "ram_mb",
        "email": EMAIL,
        "before": "default",
        "after": "1024",
    }
