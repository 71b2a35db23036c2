"""Why a cluster is chosen or left out, pinned users, a site's own rules, and balance."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb import faults
from cloudweb.domain import identity, placement
from cloudweb.domain.placement import Policy, Standing
from cloudweb.models import (
    AuditEntry,
    Backend,
    Flavor,
    Network,
    NetworkKind,
    SessionFactory,
    unit_of_work,
    utc_now,
)

CLI = identity.system("cli")


@pytest.fixture
def flavor(make_flavor: Callable[..., Flavor], public_network: Network) -> Flavor:
    return make_flavor(ram_mb=1024, disk_gb=10, disk_template="plain")


def _explained(
    sessions: SessionFactory, flavor: Flavor, user_id: int | None = None, **options: Any
) -> dict[int, tuple[Standing, str]]:
    with unit_of_work(sessions, write=False) as session:
        found = placement.explain(session, flavor, user_id, **options)
    return {each.backend.id: (each.standing, each.why) for each in found}


def test_each_cluster_says_why_it_is_left_out(
    sessions: SessionFactory, flavor: Flavor, make_backend: Callable[..., Backend]
) -> None:
    made = {
        "": make_backend(),
        "offline": make_backend(offline=True),
        "drained": make_backend(drained=True),
        "not public": make_backend(public=False),
        "no disk template plain": make_backend(disk_templates=["drbd"]),
        "does not answer": make_backend(unreachable_since=utc_now()),
        "no room by its last figures": make_backend(memory_free_mb=1),
    }

    explained = _explained(sessions, flavor)

    assert {why: explained[backend.id][1] for why, backend in made.items()} == {
        why: why for why in made
    }
    assert next(iter(explained)) == made[""].id


def test_a_cluster_without_a_public_address_is_left_out(
    sessions: SessionFactory, make_flavor: Callable[..., Flavor], make_backend: Callable[..., Any]
) -> None:
    alone, with_network = make_backend(), make_backend()
    with unit_of_work(sessions) as session:
        network = {"kind": NetworkKind.CUSTOM, "public": True, "mode": "bridged", "link": "br0"}
        session.add(Network(name="there", backend_id=with_network.id, **network))

    explained = _explained(sessions, make_flavor())

    assert explained[alone.id] == (Standing.OUT, "no public network there has a free address")
    assert explained[with_network.id][0] is Standing.FITS


def test_a_pinned_user_goes_to_a_drained_cluster_and_never_to_an_offline_one(
    sessions: SessionFactory,
    flavor: Flavor,
    make_backend: Callable[..., Backend],
    make_user: Callable[..., Any],
) -> None:
    user, other = make_user().user, make_user().user
    free, drained = make_backend(), make_backend(drained=True)
    with unit_of_work(sessions) as session:
        placement.pin(session, CLI, user, drained)
    with unit_of_work(sessions) as session:
        assert placement.choose(session, flavor, user.id).id == drained.id
        assert placement.choose(session, flavor, other.id).id == free.id
        session.get_one(Backend, drained.id).offline = True
        session.flush()
        with pytest.raises(faults.ServiceUnavailable):
            placement.choose(session, flavor, user.id)
    assert _explained(sessions, flavor, user.id)[free.id][1].startswith("the user is pinned")


def test_one_that_is_not_public_takes_servers_of_pinned_users_only(
    sessions: SessionFactory,
    flavor: Flavor,
    make_backend: Callable[..., Backend],
    make_user: Callable[..., Any],
) -> None:
    user, other = make_user().user, make_user().user
    restricted = make_backend(public=False)
    with unit_of_work(sessions) as session:
        placement.pin(session, CLI, user, restricted)
    with unit_of_work(sessions) as session:
        assert placement.choose(session, flavor, user.id).id == restricted.id
        with pytest.raises(faults.ServiceUnavailable):
            placement.choose(session, flavor, other.id)


def test_pins_move_end_and_are_in_the_audit(
    sessions: SessionFactory, make_backend: Callable[..., Backend], make_user: Callable[..., Any]
) -> None:
    user, first, second = make_user().user, make_backend(), make_backend()
    with unit_of_work(sessions) as session:
        placement.pin(session, CLI, user, first)
    with unit_of_work(sessions) as session:
        placement.pin(session, CLI, user, second)
        assert placement.list_pins(session) == [(user.email, second.name)]
    with unit_of_work(sessions) as session:
        assert placement.unpin(session, CLI, user)
        assert not placement.unpin(session, CLI, user)
        actions = session.scalars(
            sa.select(AuditEntry.action)
            .where(AuditEntry.target_kind == "user")
            .order_by(AuditEntry.id)
        ).all()
    assert actions[-3:] == ["user:pin", "user:pin", "user:unpin"]


def test_a_site_can_leave_clusters_out_and_score_them_itself(
    sessions: SessionFactory, flavor: Flavor, make_backend: Callable[..., Backend]
) -> None:
    first, second, third = make_backend(), make_backend(), make_backend()

    def only_later(backend: Backend, _flavor: Flavor) -> str | None:
        return "too early" if backend.id == first.id else None

    def breaks(backend: Backend, _flavor: Flavor) -> str | None:
        raise KeyError(backend.name)

    policy = Policy((("only-later", only_later),), lambda backend, _flavor: -backend.id)
    with unit_of_work(sessions) as session:
        assert placement.choose(session, flavor, policy=policy).id == third.id
    assert _explained(sessions, flavor, policy=policy)[first.id] == (Standing.OUT, "too early")
    broken = _explained(sessions, flavor, policy=Policy((("breaks", breaks),)))
    assert broken[second.id] == (Standing.OUT, "the filter breaks failed")


def test_without_entry_points_the_documented_score_decides() -> None:
    policy = placement.site_policy()

    assert policy.filters == ()
    assert policy.score(Backend(**_size(1, full=True)), Flavor()) == pytest.approx(1.0, abs=0.01)


def _size(times: int, *, full: bool = False) -> dict[str, int]:
    memory, disk = 256_000 * times, 4_096_000 * times
    return {
        "memory_total_mb": memory,
        "memory_free_mb": 0 if full else memory,
        "disk_total_mb": disk,
        "disk_free_mb": 0 if full else disk,
        "cpu_total": 200 * times,
        "instances": 0,
    }


def test_two_thousand_creates_load_clusters_of_all_sizes_alike(
    sessions: SessionFactory, flavor: Flavor, make_backend: Callable[..., Backend]
) -> None:
    sizes = {make_backend(**_size(times)).id: times for times in (1, 1, 2, 2, 3, 4, 5, 8)}
    times: list[float] = []

    with unit_of_work(sessions) as session:
        for _ in range(2000):
            session.expire_all()
            began = time.perf_counter()
            placement.choose(session, flavor)
            times.append(time.perf_counter() - began)
    with unit_of_work(sessions, write=False) as session:
        loads = [
            session.get_one(Backend, id_).instances / size / (2000 / sum(sizes.values()))
            for id_, size in sizes.items()
        ]

    assert min(loads) > 0.95
    assert max(loads) < 1.05
    print(f"choose: median {sorted(times)[1000] * 1000:.1f} ms")


def test_choosing_among_sixteen_clusters_takes_two_statements(
    sessions: SessionFactory,
    flavor: Flavor,
    make_backend: Callable[..., Backend],
    make_user: Callable[..., Any],
    count_statements: Callable[[], Any],
) -> None:
    for _ in range(16):
        make_backend()
    user = make_user().user

    with unit_of_work(sessions) as session, count_statements() as counter:
        placement.choose(session, flavor, user.id)

    assert len(counter) == 2
