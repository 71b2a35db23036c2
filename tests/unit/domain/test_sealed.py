"""Changing the key: all that is sealed is sealed anew, and nothing is lost on the way."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from cloudweb.domain import identity, sealed
from cloudweb.models import (
    AuditEntry,
    Backend,
    Handover,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer
from tests.conftest import SECRET_KEY

CLI = identity.system("cli")
NEW_KEY = Fernet.generate_key().decode()


@pytest.fixture
def changed(
    sessions: SessionFactory, make_server: Callable[..., Server], sealer: Sealer
) -> tuple[int, int]:
    """The ids of a backend and a server with something sealed, by the old key."""
    server = make_server()
    with unit_of_work(sessions) as session:
        parcel = sealer.seal("x" * 100_000)
        session.add(Handover(server_id=server.id, digest="d", sealed=parcel, expires=utc_now()))
    return server.backend_id, server.id


def test_what_is_sealed_is_found_by_its_name() -> None:
    names = {f"{column.table.name}.{column.name}" for column in sealed.columns()}

    assert {
        "backends.password_sealed",
        "infrastructures.password_sealed",
        "handovers.sealed",
    } <= names


def test_old_keys_open_until_all_is_sealed_anew(
    sessions: SessionFactory, changed: tuple[int, int]
) -> None:
    both, only_new = Sealer(NEW_KEY, [SECRET_KEY]), Sealer(NEW_KEY)
    backend_id, server_id = changed
    with unit_of_work(sessions) as session:
        assert both.open(session.get_one(Backend, backend_id).password_sealed) == "cloudweb"
        before = sealed.rotate(session, CLI, both, dry_run=True)
    assert {c.column: c.old for c in before if c.old} == {
        "backends.password_sealed": 1,
        "handovers.sealed": 1,
    }

    with unit_of_work(sessions) as session:
        sealed.rotate(session, CLI, both)
    with unit_of_work(sessions) as session:
        again = sealed.rotate(session, CLI, both)
        opened = only_new.open(session.get_one(Backend, backend_id).password_sealed)
        parcel = only_new.open(session.get_one(Handover, server_id).sealed)
        entry = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()[-1]

    assert sum(count.old for count in again) == 0
    assert (opened, len(parcel)) == ("cloudweb", 100_000)
    assert entry.action == "secret:rotate"
    assert "cloudweb" not in str(entry.details)


def test_what_no_key_opens_is_counted_and_kept(
    sessions: SessionFactory, changed: tuple[int, int]
) -> None:
    with unit_of_work(sessions) as session:
        before = session.get_one(Backend, changed[0]).password_sealed
        counts = sealed.rotate(session, CLI, Sealer(NEW_KEY))
    with unit_of_work(sessions) as session:
        assert session.get_one(Backend, changed[0]).password_sealed == before
    assert sum(count.lost for count in counts) == 2
