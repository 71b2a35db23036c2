"""What only a new instance is told: kept sealed, given once, and gone."""

import datetime as dt
import string
import threading
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from cloudweb import models
from cloudweb.domain import handovers, operation_lists, servers
from cloudweb.models import (
    Handover,
    Image,
    Operation,
    OperationState,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer

PASSWORD = "pAssw0rdXY"
FILE = {"path": "/root/secret", "contents": "c2VzYW1l", "mode": 0o600}


@pytest.fixture
def server_id(sessions: SessionFactory, cloud: Any, site: Any) -> int:
    with unit_of_work(sessions) as session:
        session.get_one(Image, cloud.image.id).properties = {"os": "debian", "root_partition": "1"}
    with unit_of_work(sessions) as session:
        server = servers.create(
            session,
            cloud.owner.identity,
            site,
            name="web",
            flavor_id=cloud.flavor.id,
            image_ref=cloud.image.id,
            metadata={},
            password=PASSWORD,
            personality=[FILE],
        )
    return server.id


def token_of(sessions: SessionFactory, sealer: Sealer, server_id: int) -> str:
    with unit_of_work(sessions) as session:
        parcel = handovers.send(session, sealer, server_id, keep_s=60)
    assert parcel is not None
    return parcel.token


def kept(sessions: SessionFactory) -> int:
    with unit_of_work(sessions, write=False) as session:
        return len(session.scalars(sa.select(Handover)).all())


def dump(sessions: SessionFactory) -> str:
    """Every value of every row."""
    with unit_of_work(sessions, write=False) as session:
        tables = models.Base.metadata.sorted_tables
        return "\n".join(str(row) for table in tables for row in session.execute(sa.select(table)))


def test_a_password_has_letters_of_both_cases_and_digits_and_nothing_else() -> None:
    made = {handovers.new_password() for _ in range(2000)}
    assert len(made) == 2000
    for password in made:
        assert len(password) == 10
        assert set(password) <= set(string.ascii_letters + string.digits)
        for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
            assert set(password) & set(kind)


def test_the_parameters_are_spelt_as_the_os_definition_knows_them(
    sessions: SessionFactory, sealer: Sealer, server_id: int
) -> None:
    token = token_of(sessions, sealer, server_id)
    with unit_of_work(sessions) as session:
        found = handovers.take(session, sealer, token)
    assert found is not None
    assert {key: found[key] for key in ("img_id", "img_passwd", "img_format")} == {
        "img_id": "debian-12",
        "img_passwd": PASSWORD,
        "img_format": "diskdump",
    }
    assert orjson.loads(found["img_properties"]) == {"OS": "debian", "ROOT_PARTITION": "1"}
    assert orjson.loads(found["img_personality"]) == [FILE]


def test_the_database_holds_neither_password_nor_token_nor_file(
    sessions: SessionFactory, sealer: Sealer, server_id: int
) -> None:
    token = token_of(sessions, sealer, server_id)
    everything = dump(sessions)
    assert f"snf-{server_id}" in everything
    for secret in (PASSWORD, token, FILE["contents"], FILE["path"]):
        assert str(secret) not in everything


def test_of_many_who_read_at_once_exactly_one_gets_it(
    sessions: SessionFactory, sealer: Sealer, server_id: int
) -> None:
    token = token_of(sessions, sealer, server_id)
    barrier = threading.Barrier(8)
    got: list[Mapping[str, str] | None] = []

    def read() -> None:
        barrier.wait()
        with unit_of_work(sessions) as session:
            got.append(handovers.take(session, sealer, token))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert [found["img_passwd"] for found in got if found] == [PASSWORD]
    assert kept(sessions) == 0


def test_what_has_expired_is_not_given(
    sessions: SessionFactory, sealer: Sealer, server_id: int
) -> None:
    token = token_of(sessions, sealer, server_id)
    _age(sessions)
    with unit_of_work(sessions) as session:
        assert handovers.take(session, sealer, token) is None


def _age(sessions: SessionFactory) -> None:
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Handover).values(expires=utc_now() - dt.timedelta(seconds=1)))


def _sent(session: Any) -> None:
    session.execute(sa.update(Operation).values(state=OperationState.SUBMITTED, job_id=1))


def _failed(session: Any) -> None:
    _sent(session)
    session.execute(sa.update(Server).values(state=OperState.ERROR))


def _deleted(session: Any) -> None:
    _sent(session)
    session.execute(sa.update(Server).values(state=OperState.DESTROYED, deleted=True))


@pytest.mark.parametrize(
    ("happened", "expired", "gone"),
    [
        (_sent, True, 1),
        (_sent, False, 0),
        (lambda _session: None, True, 0),
        (_failed, False, 0),
        (_failed, True, 1),
        (_deleted, False, 1),
    ],
    ids=[
        "sent, expired",
        "sent",
        "expired before it was sent",
        "failed",
        "failed, expired",
        "deleted",
    ],
)
def test_what_nobody_will_read_is_purged(
    sessions: SessionFactory,
    server_id: int,
    happened: Callable[[Any], None],
    expired: bool,
    gone: int,
) -> None:
    if expired:
        _age(sessions)
    with unit_of_work(sessions) as session:
        happened(session)
    with unit_of_work(sessions) as session:
        assert handovers.purge(session) == gone
    assert kept(sessions) == 1 - gone


def test_its_time_begins_when_the_create_is_sent(
    sessions: SessionFactory, sealer: Sealer, server_id: int
) -> None:
    _age(sessions)
    token = token_of(sessions, sealer, server_id)
    with unit_of_work(sessions) as session:
        assert handovers.take(session, sealer, token) is not None


def test_a_server_deleted_before_its_create_was_sent_leaves_nothing(
    sessions: SessionFactory, cloud: Any, server_id: int
) -> None:
    with unit_of_work(sessions) as session:
        servers.delete(session, cloud.owner.identity, server_id)
    assert kept(sessions) == 0


def test_what_another_key_sealed_cannot_be_sent(sessions: SessionFactory, server_id: int) -> None:
    other = Sealer("b3RoZXItdGVzdHMtMzItYnl0ZXMta2V5LTAwMDAwMDA=")
    with unit_of_work(sessions) as session, pytest.raises(ValueError, match="another secret_key"):
        handovers.send(session, other, server_id, keep_s=60)


def test_an_operation_holds_no_parameter_that_is_a_secret(
    sessions: SessionFactory, server_id: int
) -> None:
    with unit_of_work(sessions, write=False) as session:
        [row] = operation_lists.list_recent(session, server_id=server_id)
    assert set(row.operation.arguments["osparams"]) == {"img_id", "img_format"}
