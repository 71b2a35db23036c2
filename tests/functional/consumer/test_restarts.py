"""The broker or the database goes away under a running consumer, and comes back."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudweb.models import Base, SessionFactory, make_engine, unit_of_work
from cloudweb.settings import Settings
from tests.functional.consumer.conftest import Bus, Fleet, wait_until
from tests.functional.processes import end, running, write_ini
from tests.functional.restarting import Restartable, private_server

CONSUMER = "cloudweb.backend.amqp.consumer"

Make = Callable[..., Any]
pytestmark = pytest.mark.slow


@pytest.fixture
def broker() -> Iterator[Restartable]:
    with private_server("rabbitmq") as broker:
        yield broker


@pytest.fixture
def database() -> Iterator[Restartable]:
    with private_server("postgresql") as database:
        yield database


def test_the_broker_restarts(
    broker: Restartable, tmp_path: Path, settings: Settings, make_fleet: Make, prefix: str
) -> None:
    fleet: Fleet = make_fleet(10)
    bus = Bus(broker.url, prefix)
    ini = write_ini(
        tmp_path,
        settings,
        instance_prefix=f"{prefix}-",
        amqp_hosts=(broker.url,),
        consumer_batch=5,
        amqp_prefetch=5,
        log_level="INFO",
    )
    half = len(fleet.history()) // 2
    with running(CONSUMER, ini) as process:
        bus.publish(*fleet.history()[:half])
        wait_until(lambda: any(row[3] for row in fleet.effects()))
        broker.stop()
        time.sleep(1)
        broker.start()
        bus.publish(*fleet.history()[half:])
        wait_until(fleet.is_finished, bus.is_done, timeout_s=60)
        assert end(process) == 0
    assert bus.count() == 0
    assert bus.dead_letters(fleet.sessions) == []


def test_the_database_restarts(
    database: Restartable,
    tmp_path: Path,
    settings: Settings,
    make_fleet: Make,
    bus: Bus,
    amqp_url: str,
    prefix: str,
) -> None:
    fleet = moved_to(database.url, make_fleet(10))
    ini = write_ini(
        tmp_path,
        settings,
        database_url=database.url,
        instance_prefix=f"{prefix}-",
        amqp_hosts=(amqp_url,),
        consumer_batch=5,
        amqp_prefetch=5,
        log_level="INFO",
    )
    half = len(fleet.history()) // 2
    with running(CONSUMER, ini) as process:
        bus.publish(*fleet.history()[:half])
        wait_until(lambda: any(row[3] for row in fleet.effects()))
        fleet.sessions.engine.dispose()
        database.stop()
        bus.publish(*fleet.history()[half:], b"{")
        time.sleep(2)
        assert bus.count(bus.topology.operations.dead) == 0
        database.start()
        wait_until(fleet.is_finished, bus.is_done, timeout_s=60)
        wait_until(lambda: len(bus.dead_letters(fleet.sessions)) == 1)
        assert end(process) == 0
    letters = bus.dead_letters(fleet.sessions)
    fleet.sessions.engine.dispose()
    assert bus.count() == 0
    assert [letter.body for letter in letters] == [b"{"]


def test_it_ends_though_the_database_is_away(
    database: Restartable,
    tmp_path: Path,
    settings: Settings,
    make_fleet: Make,
    bus: Bus,
    amqp_url: str,
    prefix: str,
) -> None:
    fleet = make_fleet(2)
    database.stop()
    ini = write_ini(
        tmp_path,
        settings,
        database_url=database.url,
        instance_prefix=f"{prefix}-",
        amqp_hosts=(amqp_url,),
    )
    with running(CONSUMER, ini) as process:
        bus.publish(*fleet.history())
        wait_until(bus.is_done)
        time.sleep(1)
        assert end(process) == 0
    wait_until(lambda: bus.count() == len(fleet.history()))


def moved_to(url: str, fleet: Fleet) -> Fleet:
    """The same fleet in another database."""
    there = SessionFactory(make_engine(url))
    Base.metadata.create_all(there.engine)
    with unit_of_work(fleet.sessions, write=False) as here, unit_of_work(there) as session:
        for table in Base.metadata.sorted_tables:
            rows = [dict(row._mapping) for row in here.execute(table.select())]
            if rows:
                session.execute(table.insert(), rows)
    return dataclasses.replace(fleet, sessions=there)
