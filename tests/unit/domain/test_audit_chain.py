"""The chain over the audit: made while others write, and broken by whatever is changed."""

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import audit, audit_chain, identity
from cloudweb.models import AuditChain, AuditEntry, SessionFactory, unit_of_work, utc_now

CLI = identity.system("cli")


@pytest.fixture
def write(sessions: SessionFactory) -> Callable[..., None]:
    """Writes entries, and seals them."""

    def go(count: int = 5, *, seal: bool = True, **details: Any) -> None:
        with unit_of_work(sessions) as session:
            for n in range(count):
                audit.record(session, CLI, "test:act", "test", n, reason="é\n☃", **details)
        if seal:
            with unit_of_work(sessions) as session:
                assert audit_chain.seal(session) is not None

    return go


@pytest.fixture
def change(sessions: SessionFactory) -> Callable[..., None]:
    """Does what only somebody with the database at hand can."""

    def go(statement: Any) -> None:
        with unit_of_work(sessions) as session:
            session.execute(statement)

    return go


def report(sessions: SessionFactory, **values: Any) -> audit_chain.Report:
    with unit_of_work(sessions, write=False) as session:
        return audit_chain.verify(session, **values)


def test_what_was_written_is_sealed_in_its_order_and_holds(
    sessions: SessionFactory, write: Callable
) -> None:
    assert report(sessions).checked == 0
    write(3, before={"a": [1, 2.5, None]}, after="ü")
    write(2)
    write(1, seal=False)
    found = report(sessions)
    assert (found.checked, found.unsealed, found.problem) == (5, 1, "")
    assert report(sessions, noted=found.head).problem == ""


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (sa.update(AuditEntry).where(AuditEntry.seal_number == 3).values(reason="x"), "3 of the"),
        (sa.update(AuditEntry).where(AuditEntry.seal_number == 3).values(actor="x"), "changed"),
        (sa.update(AuditEntry).where(AuditEntry.seal_number == 3).values(details={}), "changed"),
        (sa.delete(AuditEntry).where(AuditEntry.seal_number == 3), "3 of the chain is missing"),
        (sa.delete(AuditEntry).where(AuditEntry.seal_number == 1), "1 of the chain is missing"),
        (sa.delete(AuditEntry).where(AuditEntry.seal_number == 5), "ends at 4, and should at 5"),
        (sa.update(AuditChain).values(number=4), "ends at 4"),
    ],
)
def test_a_change_of_the_past_is_found(
    statement: Any, said: str, sessions: SessionFactory, write: Callable, change: Callable
) -> None:
    write(5, note="x")
    change(statement)
    assert said in report(sessions).problem
    assert piecewise(sessions)


def piecewise(sessions: SessionFactory) -> str:
    """What is wrong, by computing two seals at a time."""
    head: audit_chain.Head | None = None
    while head is None or head.is_full:
        with unit_of_work(sessions, write=False) as session:
            found = audit_chain.verify_some(session, head, at_most=2)
        if found.problem:
            return found.problem
        head = found.head
    return ""


def test_a_past_made_anew_is_found_by_an_end_that_was_noted(
    sessions: SessionFactory, write: Callable, change: Callable
) -> None:
    write(5)
    noted = report(sessions).head
    change(sa.delete(AuditEntry))
    change(sa.delete(AuditChain))
    write(6)
    assert report(sessions).problem == ""
    assert "not the one that was noted" in report(sessions, noted=noted).problem


def test_the_oldest_go_and_the_rest_still_holds(
    sessions: SessionFactory, write: Callable, change: Callable
) -> None:
    long_ago = utc_now() - dt.timedelta(days=400)
    write(4, seal=False)
    change(sa.update(AuditEntry).values(at=long_ago))
    write(3)
    with unit_of_work(sessions) as session:
        assert audit_chain.purge(session, older_than_days=365) == 4
        assert audit_chain.purge(session, older_than_days=365) == 0
    found = report(sessions)
    assert (found.checked, found.problem, found.head.number) == (3, "", 7)
    write(2)
    assert report(sessions).problem == ""
    assert piecewise(sessions) == ""
    with unit_of_work(sessions, write=False) as session:
        left = audit_chain.verify_some(session, audit_chain.Head(2, "gone"), at_most=100)
    assert (left.checked, left.problem) == (5, ""), "what left meanwhile is passed over"


def test_many_write_and_several_seal_at_once(sessions: SessionFactory) -> None:
    writers, wrongs = 4, []
    stop = threading.Event()

    def work(number: int) -> None:
        try:
            for n in range(15):
                with unit_of_work(sessions) as session:
                    audit.record(session, CLI, "test:act", "test", f"{number}-{n}")
        except Exception as error:  # noqa: BLE001  (whatever it is, the test fails)
            wrongs.append(error)

    def seal() -> None:
        while not stop.is_set():
            try:
                with unit_of_work(sessions) as session:
                    audit_chain.seal(session, at_most=7)
            except sa.exc.IntegrityError:
                continue  # both made the chain's row; one did

    threads = [threading.Thread(target=work, args=(n,)) for n in range(writers)]
    sealers = [threading.Thread(target=seal) for _ in range(2)]
    for thread in (*threads, *sealers):
        thread.start()
    for thread in threads:
        thread.join(30)
    stop.set()
    for thread in sealers:
        thread.join(30)
    head = None
    while head is None or head.is_full:
        with unit_of_work(sessions) as session:
            head = audit_chain.seal(session)
    found = report(sessions)
    assert (wrongs, found.checked, found.unsealed, found.problem) == ([], 60, 0, "")
