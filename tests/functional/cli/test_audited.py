"""Every command that changes something is in the audit, done or refused; a new one needs a row."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.models import Outcome, SessionFactory
from tests.fake_region import FakeCloud
from tests.functional.auditing.ledger import Ledger, check_done, spoken
from tests.functional.cli.audited import EXEMPT, REFUSED, ROWS, Row, Site
from tests.functional.cli.conftest import Terminal
from tests.functional.cli.tree import commands, takes

COMMANDS = {
    words: each
    for words, each in commands().items()
    if takes(each, "--dry-run") and words not in EXEMPT
}
WHY = "Asked for in #7"

every_command = pytest.mark.parametrize("words", COMMANDS)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A quick cluster."""
    with Simulator(
        ["alpha:nodes=2,memory=32G,disk=100G"], port=0, tls=True, time_factor=0.02
    ) as running:
        yield running


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    """A region that answers."""
    with FakeCloud("Spain2") as cloud:
        yield cloud


@pytest.fixture
def site(
    cli: Terminal, sessions: SessionFactory, tmp_path: Path, request: pytest.FixtureRequest
) -> Site:
    """An installation, which has a cluster and a region where a row asks for them."""
    return Site(cli, sessions, request.getfixturevalue, tmp_path)


@every_command
def test_what_a_command_does_is_written_down(site: Site, words: str) -> None:
    assert words in ROWS, f"say in audited.py how to run {words}, and what it writes"
    row: Row = ROWS[words]
    arguments = row.arguments(site)
    has_reason = takes(COMMANDS[words], "--reason")
    ledger = Ledger(site.sessions)
    site.run(words, *arguments, *(("--reason", WHY) if has_reason else ()))
    check_done(
        *(ledger.new(), row.wrote),
        actor="system",
        role="admin",
        door="cli",
        reason=WHY if has_reason else None,
        web=False,
    )


@every_command
def test_what_a_command_is_refused_is_written_down(site: Site, words: str) -> None:
    assert words in REFUSED, f"say in audited.py what {words} refuses"
    arguments = REFUSED[words](site)
    has_reason = takes(COMMANDS[words], "--reason")
    ledger = Ledger(site.sessions)
    said = site.refusal(words, *arguments, *(("--reason", WHY) if has_reason else ()))
    entries = ledger.new()
    [entry] = [each for each in entries if each.outcome is not Outcome.DONE]
    assert (entry.actor, entry.role, entry.door) == ("system", "admin", "cli"), spoken(entries)
    assert (entry.action, entry.target_id) == ("command:refuse", f"cloudweb {words}")
    assert entry.reason.partition(" (")[0] in said
    assert "@" in entry.address
    assert entry.details["given_reason"] == (WHY if has_reason else "")


def test_a_rehearsal_is_no_attempt(site: Site) -> None:
    ledger = Ledger(site.sessions)
    site.refusal("user deactivate", "nobody@example.org", "--reason", WHY, "--dry-run")
    assert ledger.new() == []


def test_rows_are_of_commands() -> None:
    assert set(ROWS) == set(REFUSED) == set(COMMANDS)
