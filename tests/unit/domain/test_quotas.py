"""Quotas: what counts, whose limits hold, and that nobody slips through at once."""

import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb import faults
from cloudweb.domain import identity, networks, pools, quotas, servers
from cloudweb.models import (
    Network,
    NetworkKind,
    OperState,
    PoolKind,
    Resource,
    Server,
    SessionFactory,
    unit_of_work,
)

CLI = identity.system("cli")
ONE = {Resource.SERVERS: 1}


@pytest.fixture
def create(sessions: SessionFactory, cloud: Any, site: Any) -> Callable[[], Server]:
    """Orders a server in a transaction of its own."""

    def make() -> Server:
        with unit_of_work(sessions) as session:
            return servers.create(
                session,
                cloud.owner.identity,
                site,
                name="web",
                flavor_id=cloud.flavor.id,
                image_ref=cloud.image.id,
                metadata={},
            )

    return make


def _allow(sessions: SessionFactory, person: Any, resource: Resource, limit: int | None) -> None:
    with unit_of_work(sessions) as session:
        quotas.set_own(session, CLI, person.user, resource, limit)


def _refusal(sessions: SessionFactory, person: Any, wanted: Any, **defaults: int | None) -> str:
    """The details of the refusal; empty when there is none."""
    with unit_of_work(sessions) as session:
        try:
            quotas.check(session, person.user.id, defaults, wanted)
        except faults.OverLimit as fault:
            return fault.details
    return ""


def _count(sessions: SessionFactory) -> int:
    with unit_of_work(sessions, write=False) as session:
        return len(session.scalars(sa.select(Server)).all())


def _at_once(orders: Sequence[Callable[[], object]], *, times: int = 1) -> list[str]:
    """What became of each order, made ``times`` in a thread of its own, sorted."""
    outcomes: list[str] = []
    barrier = threading.Barrier(len(orders))

    def make(order: Callable[[], object]) -> None:
        barrier.wait()
        for _ in range(times):
            try:
                order()
                outcomes.append("made")
            except faults.OverLimit:
                outcomes.append("refused")
            except Exception as error:  # noqa: BLE001  (what a thread raises is lost)
                outcomes.append(repr(error))

    threads = [threading.Thread(target=make, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_a_create_beyond_a_limit_is_refused_in_words_that_say_all(
    sessions: SessionFactory, cloud: Any, create: Callable[[], Server]
) -> None:
    _allow(sessions, cloud.owner, Resource.CPU, 2)
    create()
    create()
    with pytest.raises(faults.OverLimit) as refused:
        create()
    assert refused.value.message == "Resource Limit Exceeded for your account."
    assert refused.value.details == (
        "Limit for resource 'cpu' exceeded for your account. "
        "Current value: 2, Limit: 2, Requested: 1"
    )
    assert _count(sessions) == 2


@pytest.mark.parametrize("resource", sorted(set(Resource) - {Resource.NETWORKS, Resource.IMAGES}))
def test_every_resource_of_a_server_is_limited(
    sessions: SessionFactory, cloud: Any, create: Callable[[], Server], resource: Resource
) -> None:
    _allow(sessions, cloud.owner, resource, 0)
    with pytest.raises(faults.OverLimit, match=re.escape("Resource Limit Exceeded")) as refused:
        create()
    assert f"'{resource.value}'" in refused.value.details
    _allow(sessions, cloud.owner, resource, None)
    create()


def test_failed_servers_count_and_deleted_or_others_ones_do_not(
    sessions: SessionFactory, cloud: Any, make_server: Callable[..., Server]
) -> None:
    for state in (OperState.ERROR, OperState.STOPPED, OperState.BUILD):
        make_server(owner=cloud.owner, backend=cloud.backend, flavor=cloud.flavor, state=state)
    gone = {"state": OperState.DESTROYED, "deleted": True}
    make_server(owner=cloud.owner, backend=cloud.backend, flavor=cloud.flavor, **gone)
    make_server(backend=cloud.backend, flavor=cloud.flavor)
    said = _refusal(sessions, cloud.owner, ONE, servers=3)
    assert "Current value: 3, Limit: 3, Requested: 1" in said
    assert _refusal(sessions, cloud.owner, ONE, servers=4) == ""
    ram = {Resource.RAM_MB: 1}
    assert "Current value: 3072" in _refusal(sessions, cloud.owner, ram, ram_mb=3072)


def test_networks_of_ones_own_count(sessions: SessionFactory, cloud: Any) -> None:
    with unit_of_work(sessions) as session:
        for owner, deleted in (
            (cloud.owner.user.id, False),
            (cloud.owner.user.id, True),
            (None, False),
        ):
            session.add(
                Network(
                    user_id=owner,
                    name="n",
                    kind=NetworkKind.CUSTOM,
                    mode="bridged",
                    link="br0",
                    deleted=deleted,
                )
            )
    wanted = {Resource.NETWORKS: 1}
    assert "Current value: 1, Limit: 1" in _refusal(sessions, cloud.owner, wanted, networks=1)
    assert _refusal(sessions, cloud.owner, wanted, networks=2) == ""


def test_a_users_own_limit_goes_before_the_settings_either_way(
    sessions: SessionFactory, cloud: Any, make_user: Callable[..., Any]
) -> None:
    other = make_user()
    _allow(sessions, cloud.owner, Resource.SERVERS, 0)
    assert _refusal(sessions, cloud.owner, ONE, servers=None)
    assert _refusal(sessions, other, ONE, servers=None) == ""
    _allow(sessions, cloud.owner, Resource.SERVERS, None)
    assert _refusal(sessions, cloud.owner, ONE, servers=0) == ""
    assert _refusal(sessions, other, ONE, servers=0)
    with unit_of_work(sessions) as session:
        assert quotas.unset_own(session, CLI, cloud.owner.user, Resource.SERVERS)
        assert not quotas.unset_own(session, CLI, cloud.owner.user, Resource.SERVERS)
    assert _refusal(sessions, cloud.owner, ONE, servers=0)


def test_of_many_creates_at_once_exactly_as_many_as_allowed_succeed(
    sessions: SessionFactory, cloud: Any, create: Callable[[], Server]
) -> None:
    _allow(sessions, cloud.owner, Resource.CPU, 5)
    assert _at_once([create] * 8, times=3) == ["made"] * 5 + ["refused"] * 19
    assert _count(sessions) == 5


def test_networks_at_once_are_as_many_as_allowed(sessions: SessionFactory, cloud: Any) -> None:
    with unit_of_work(sessions) as session:
        pools.create(session, CLI, kind=PoolKind.MAC_PREFIX, base="aa:00:0", size=16)
    rules = networks.Rules((NetworkKind.MAC_FILTERED,), "prv0", "snf-", {"networks": 3})

    def order() -> None:
        with unit_of_work(sessions) as session:
            networks.create(session, cloud.owner.identity, rules, name="private")

    assert _at_once([order] * 8) == ["made"] * 3 + ["refused"] * 5
    with unit_of_work(sessions, write=False) as session:
        mine = sa.select(Network).where(Network.user_id == cloud.owner.user.id)
        assert len(session.scalars(mine).all()) == 3


def test_creating_and_acting_at_once_wait_for_each_other_and_end(
    sessions: SessionFactory,
    cloud: Any,
    create: Callable[[], Server],
    make_server: Callable[..., Server],
) -> None:
    server = make_server(owner=cloud.owner, backend=cloud.backend, flavor=cloud.flavor)

    def act() -> None:
        with unit_of_work(sessions) as session:
            servers.reboot(session, cloud.owner.identity, server.id, kind="SOFT")

    _allow(sessions, cloud.owner, Resource.SERVERS, 13)
    outcomes = _at_once([create, act] * 4, times=4)
    assert outcomes == ["made"] * (12 + 16) + ["refused"] * 4


def test_a_check_takes_two_statements_and_one_where_nothing_is_limited(
    sessions: SessionFactory,
    cloud: Any,
    make_server: Callable[..., Server],
    count_statements: Callable[[], Any],
) -> None:
    def statements(**defaults: int | None) -> int:
        with count_statements() as counted:
            assert _refusal(sessions, cloud.owner, ONE, **defaults) == ""
        return len(counted)

    assert (statements(servers=None), statements(servers=50)) == (1, 2)
    for _ in range(20):
        make_server(owner=cloud.owner, backend=cloud.backend, flavor=cloud.flavor)
    assert (statements(servers=None), statements(servers=50)) == (1, 2)
