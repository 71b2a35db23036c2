"""What hooks tell of network cards: the newest word counts, in any order and however often."""

import datetime as dt
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import hearing_cards
from cloudweb.domain.hearing_cards import CardsEvent
from cloudweb.domain.states import NicReport
from cloudweb.models import Network, Nic, NicState, Server, SessionFactory, unit_of_work
from tests.functional.consumer.conftest import Bus, Fleet, wait_until
from tests.functional.processes import running

Make = Callable[..., Any]
CONSUMER = "cloudweb.backend.amqp.consumer"
TIME = dt.datetime(2024, 5, 1, 12, 0, tzinfo=dt.UTC)


def apply(sessions: SessionFactory, *events: CardsEvent) -> list[str]:
    with unit_of_work(sessions) as session:
        return [str(outcome) for outcome in hearing_cards.apply_cards(session, events)]


def cards_of(sessions: SessionFactory, server: Server) -> list[Nic]:
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(Nic).where(Nic.server_id == server.id).order_by(Nic.index, Nic.id)
        return list(session.scalars(query))


def add_card(sessions: SessionFactory, server: Server, **values: Any) -> int:
    with unit_of_work(sessions) as session:
        network_id = session.scalar(sa.select(sa.func.min(Network.id)))
        nic = Nic(server_id=server.id, network_id=network_id, **values)
        session.add(nic)
        session.flush()
        return nic.id


def event(server: Server, second: int, *nics: NicReport, **more: Any) -> CardsEvent:
    at = TIME + dt.timedelta(seconds=second)
    return CardsEvent(server.instance_name or "", at, nics, **more)


def test_the_newest_word_counts_whatever_comes_first(
    sessions: SessionFactory, make_server: Make
) -> None:
    ends = set()
    for order in itertools.permutations(range(3)):
        server = make_server()
        told = [
            event(server, n, NicReport(0, "aa:00:00:00:00:01", f"10.0.0.{n}"), modes={0: mode})
            for n, mode in enumerate(("protected", "limited", "unprotected"))
        ]
        for n in (*order, *order):
            apply(sessions, told[n])
        [card] = cards_of(sessions, server)
        ends.add((card.ipv4, card.firewall_profile))
    assert ends == {("10.0.0.2", "DISABLED")}


def test_a_repeat_changes_nothing_that_shows(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server()
    told = event(server, 1, NicReport(0, "aa:00:00:00:00:01", "10.0.0.9"), modes={0: "limited"})
    assert apply(sessions, told) == ["applied"]
    with unit_of_work(sessions, write=False) as session:
        version = session.get_one(Server, server.id).version
    assert version == server.version + 1
    assert apply(sessions, told) == ["stale"]
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(Server, server.id).version == version


def test_a_card_that_goes_is_not_taken_for_the_one_that_moves_up(
    sessions: SessionFactory, make_server: Make
) -> None:
    server = make_server()
    going = add_card(
        sessions,
        server,
        index=1,
        mac="aa:00:00:00:00:0b",
        ipv4="10.0.0.11",
        state=NicState.REMOVING,
    )
    staying = add_card(sessions, server, index=2, mac="aa:00:00:00:00:0c", ipv4="10.0.0.12")
    first = cards_of(sessions, server)[0]

    apply(
        sessions,
        event(
            server,
            1,
            NicReport(0, first.mac, first.ipv4),
            NicReport(1, "aa:00:00:00:00:0c", "10.0.0.12"),
        ),
    )

    by_id = {card.id: card for card in cards_of(sessions, server)}
    assert by_id[going].ipv4 == "10.0.0.11"
    assert (by_id[staying].index, by_id[staying].ipv4) == (1, "10.0.0.12")


def test_a_card_is_known_by_its_name(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server()
    named = add_card(sessions, server, index=1, name="snf-nic-7", state=NicState.ADDING)

    apply(
        sessions,
        event(server, 1, NicReport(3, "aa:00:00:00:00:0d", "10.0.0.13", "snf-nic-7", "snf-net-1")),
    )

    card = next(card for card in cards_of(sessions, server) if card.id == named)
    assert (card.index, card.mac, card.state) == (3, "aa:00:00:00:00:0d", NicState.ADDING)


def test_what_is_not_ours_or_gone_is_let_be(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server(deleted=True)
    nobody = CardsEvent("snf-999999", TIME, ())
    assert apply(sessions, nobody, event(server, 1)) == ["not ours", "stale"]
    elsewhere = make_server()
    assert apply(sessions, event(elsewhere, 1, cluster="nobody.example.org")) == ["not ours"]


@pytest.mark.parametrize("count", [1, 50])
def test_a_batch_takes_a_constant_number_of_statements(
    sessions: SessionFactory, make_server: Make, count_statements: Make, count: int
) -> None:
    server = make_server()
    told = [
        event(server, n, NicReport(0, f"aa:00:00:00:00:{n:02x}"), modes={0: "limited"})
        for n in range(count)
    ]
    with count_statements() as counter:
        apply(sessions, *told)
    assert len(counter) <= 13, "of them two for the address that is gone, one for the MAC"


def test_a_hook_is_heard_over_the_broker(
    bus: Bus, ini: Path, make_fleet: Make, sessions: SessionFactory
) -> None:
    fleet: Fleet = make_fleet(1)
    [server] = fleet.servers
    said = {
        "type": "ganeti-net-status",
        "event_time": [int(TIME.timestamp()), 0],
        "instance": server.instance_name,
        "cluster": fleet.backend.name,
        "nics": [{"mac": "aa:00:00:00:00:01", "ip": "10.0.0.5", "firewall": "limited"}],
    }
    bad = [
        json.dumps(said | {"nics": "none"}).encode(),
        json.dumps(said | {"nics": [7]}).encode(),
        json.dumps(said | {"event_time": None}).encode(),
    ]
    bus.publish(json.dumps(said).encode(), *bad, key=bus.queue("net").keys[0])

    def told() -> bool:
        [card] = cards_of(sessions, server)
        return (card.ipv4, card.firewall_profile) == ("10.0.0.5", "PROTECTED")

    with running(CONSUMER, ini):
        wait_until(told, lambda: len(bus.dead_letters(sessions, "net")) == len(bad))
