"""Differences between servers and instances: finding them changes nothing, mending is exact."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from cloudweb import faults
from cloudweb.domain import identity, mending, reconcile, servers
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.domain.states import NicReport
from cloudweb.models import (
    Backend,
    Finding,
    Flavor,
    Operation,
    OperState,
    ReconcileRun,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
CLI = identity.system("cli")
CARD = NicReport(0, "aa:00:00:49:2e:7e", "192.168.32.6")


@dataclasses.dataclass
class Cluster:
    """A backend, and what its cluster tells."""

    sessions: SessionFactory
    backend: Backend
    make_server: Make
    flavor: Flavor

    def server(self, state: OperState = OperState.STARTED, **values: Any) -> Server:
        made: Server = self.make_server(
            backend=self.backend, state=state, flavor=self.flavor, **values
        )
        return made

    def report(
        self, server: Server, *, running: bool | None = True, **values: Any
    ) -> InstanceReport:
        given = {"vcpus": self.flavor.cpu, "memory_mb": self.flavor.ram_mb, "nics": (CARD,)}
        return InstanceReport(server.instance_name or "", running, "n1", **(given | values))

    def compare(self, *reports: InstanceReport) -> dict[tuple[str, str], int]:
        """(kind, instance) of what is found and kept, with the finding's id."""
        snapshot = Snapshot(utc_now(), {report.name: report for report in reports})
        with unit_of_work(self.sessions) as session:
            found = reconcile.detect(session, self.backend, snapshot, "snf-")
            reconcile.keep(session, self.backend, taken=snapshot.taken, found=found)
        return {(each.kind.value, each.target): each.id for each in found}

    def mend(self, *ids: int) -> mending.Mended:
        with unit_of_work(self.sessions) as session:
            return mending.apply(session, CLI, ids, reason="Because.")

    def read(self, server: Server) -> Server:
        with unit_of_work(self.sessions, write=False) as session:
            return session.get_one(Server, server.id)


@pytest.fixture
def cluster(
    sessions: SessionFactory, make_server: Make, make_backend: Make, make_flavor: Make
) -> Cluster:
    return Cluster(sessions, make_backend(), make_server, make_flavor())


def test_each_kind_is_found_by_itself_and_nothing_is_changed(cluster: Cluster) -> None:
    same, stale, stopped = cluster.server(), cluster.server(), cluster.server()
    building, failed = cluster.server(OperState.BUILD), cluster.server(OperState.ERROR)
    cards, big, never = cluster.server(), cluster.server(), cluster.server(OperState.ERROR)
    busy = cluster.server()
    with unit_of_work(cluster.sessions) as session:
        servers.shutdown(session, CLI, busy.id)
    told = [
        cluster.report(same),
        cluster.report(stopped, running=False),
        cluster.report(building),
        cluster.report(failed),
        cluster.report(cards, nics=(dataclasses.replace(CARD, ip="192.168.32.9"),)),
        cluster.report(big, memory_mb=4096),
        InstanceReport("snf-999999", True),
        InstanceReport("somebody-elses", True),
    ]
    found = cluster.compare(*told)
    assert set(found) == {
        ("stale", stale.instance_name),
        ("state", stopped.instance_name),
        ("build", building.instance_name),
        ("build", failed.instance_name),
        ("nics", cards.instance_name),
        ("flavor", big.instance_name),
        ("orphan", "snf-999999"),
    }
    for server in (stale, stopped, building, failed, cards, big, never):
        assert cluster.read(server).version == server.version
    assert set(cluster.compare(*told)) == set(found), "the same again takes the place of the first"
    with unit_of_work(cluster.sessions, write=False) as session:
        assert len(reconcile.list_open(session)) == len(found)


@pytest.mark.parametrize(
    ("template", "disk_mb", "how", "said"),
    [
        ("drbd", 20 * 1024, "drbd", ""),
        ("drbd", 30 * 1024 - 1, "drbd", "30 GiB, drbd"),
        ("drbd", 20 * 1024, "plain", "20 GiB, plain"),
        ("ext_vlmc", 20 * 1024, "ext", ""),
        ("ext_vlmc", 40 * 1024, "ext", "40 GiB, ext"),
        ("drbd", 20 * 1024, "ext", "20 GiB, ext"),
        ("diskless", 0, "diskless", ""),
        ("drbd", None, "", ""),
    ],
)
def test_disks_that_differ_are_found_and_the_server_gets_a_flavor_with_such(
    cluster: Cluster, make_flavor: Make, template: str, disk_mb: int | None, how: str, said: str
) -> None:
    cluster.flavor = make_flavor(disk_gb=20, disk_template=template)
    server = cluster.server()
    report = cluster.report(server, disk_mb=disk_mb, disk_template=how, nics=())
    found = {kind: id_ for (kind, _), id_ in cluster.compare(report).items() if kind == "disks"}
    assert bool(found) is bool(said)
    if not said:
        return
    with unit_of_work(cluster.sessions, write=False) as session:
        assert session.get_one(Finding, found["disks"]).theirs == said
    if (template, how) == ("drbd", "ext"):
        with pytest.raises(mending.Moved):
            cluster.mend(found["disks"])
        return
    cluster.mend(found["disks"])
    with unit_of_work(cluster.sessions, write=False) as session:
        flavor = session.get_one(Flavor, session.get_one(Server, server.id).flavor_id)
    was = cluster.flavor
    assert (flavor.cpu, flavor.ram_mb) == (was.cpu, was.ram_mb)
    assert f"{flavor.disk_gb} GiB, {flavor.disk_template.partition('_')[0]}" == said
    assert (how != "ext") or flavor.disk_template == "ext_vlmc"
    assert flavor.deleted, "nobody chooses it"
    assert all(kind != "disks" for kind, _ in cluster.compare(report))


def test_what_is_mended_is_not_found_again(cluster: Cluster) -> None:
    stale, stopped, failed = cluster.server(), cluster.server(), cluster.server(OperState.ERROR)
    cards, big, lost = cluster.server(), cluster.server(), cluster.server(OperState.BUILD)
    new = dataclasses.replace(CARD, ip="192.168.32.9")
    told = [
        cluster.report(stopped, running=False),
        cluster.report(failed),
        cluster.report(cards, nics=(new,)),
        cluster.report(big, vcpus=2, memory_mb=4096),
    ]
    cluster.mend(*cluster.compare(*told).values())
    after = [cluster.read(server) for server in (stale, stopped, failed, lost)]
    wanted = [OperState.DESTROYED, OperState.STOPPED, OperState.STARTED, OperState.ERROR]
    assert [server.state for server in after] == wanted
    assert after[0].deleted
    with unit_of_work(cluster.sessions, write=False) as session:
        flavor = session.get_one(Flavor, cluster.read(big).flavor_id)
    assert (flavor.cpu, flavor.ram_mb, flavor.disk_gb) == (2, 4096, cluster.flavor.disk_gb)
    assert flavor.deleted, "nobody can choose it"
    assert cluster.compare(*told) == {}


def test_an_orphan_is_removed_by_an_operation_of_its_own(cluster: Cluster) -> None:
    deleted = cluster.server(OperState.DESTROYED, deleted=True)
    orphans = [cluster.report(deleted), InstanceReport("snf-999999", False)]
    found = cluster.compare(*orphans)
    cluster.mend(*found.values())
    with unit_of_work(cluster.sessions, write=False) as session:
        rows = session.query(Operation).order_by(Operation.id).all()
    assert {(row.opcode, row.target, row.server_id) for row in rows} == {
        ("OP_INSTANCE_REMOVE", deleted.instance_name, deleted.id),
        ("OP_INSTANCE_REMOVE", "snf-999999", None),
    }
    assert cluster.compare(*orphans) == {}, "they are being removed"


def test_what_has_moved_is_left_and_the_rest_is_mended(cluster: Cluster) -> None:
    moved, stopped = cluster.server(), cluster.server()
    found = cluster.compare(cluster.report(stopped, running=False))
    with unit_of_work(cluster.sessions) as session:
        servers.rename(session, CLI, moved.id, name="other")
    mended = cluster.mend(*found.values())
    assert mended.left == {moved.instance_name: "The server has changed since."}
    assert [each.target for each in mended.done] == [stopped.instance_name]
    assert not cluster.read(moved).deleted
    assert cluster.read(stopped).state is OperState.STOPPED


def test_where_all_has_moved_nothing_is_mended_and_it_is_refused(cluster: Cluster) -> None:
    server = cluster.server()
    found = cluster.compare(cluster.report(server, running=False))
    with unit_of_work(cluster.sessions) as session:
        servers.shutdown(session, CLI, server.id)
    with pytest.raises(mending.Moved) as refused:
        cluster.mend(*found.values())
    assert set(refused.value.fields) == {server.instance_name}
    assert cluster.read(server).state is OperState.STARTED


def test_what_was_found_long_ago_or_mended_already_is_refused(cluster: Cluster) -> None:
    server = cluster.server()
    [first] = cluster.compare(cluster.report(server, running=False)).values()
    with unit_of_work(cluster.sessions) as session:
        run = session.get_one(ReconcileRun, session.get_one(Finding, first).run_id)
        assert run.taken is not None
        run.taken -= 2 * mending.GOOD_FOR
    with pytest.raises(mending.Moved):
        cluster.mend(first)
    [second] = cluster.compare(cluster.report(server, running=False)).values()
    cluster.mend(second)
    with pytest.raises(mending.Moved):
        cluster.mend(second)
    with pytest.raises(faults.BadRequest):
        cluster.mend()
    with unit_of_work(cluster.sessions) as session, pytest.raises(faults.BadRequest):
        mending.apply(session, CLI, [second], reason=" ")


def test_a_comparison_is_due_when_wanted_or_after_a_time(cluster: Cluster) -> None:
    def due(every_s: float = 3600) -> bool:
        with unit_of_work(cluster.sessions, write=False) as session:
            return reconcile.find_due(session, cluster.backend.id, every_s=every_s)

    assert due(), "it never was"
    cluster.compare()
    assert not due()
    assert due(every_s=0)
    with unit_of_work(cluster.sessions) as session:
        reconcile.want(session, CLI, [cluster.backend])
        reconcile.want(session, CLI, [cluster.backend])
    assert due()
    cluster.compare()
    assert not due()
    with unit_of_work(cluster.sessions) as session:
        reconcile.keep(session, cluster.backend, error="No answer.")
    assert not due()


def test_finding_costs_no_more_statements_for_more_servers(
    cluster: Cluster, count_statements: Make, sessions: SessionFactory
) -> None:
    def statements() -> int:
        told = {r.name: r for r in (cluster.report(cluster.server()) for _ in range(5))}
        snapshot = Snapshot(utc_now(), told)
        with unit_of_work(sessions) as session, count_statements() as counter:
            reconcile.detect(session, cluster.backend, snapshot, "snf-")
        return len(counter)

    assert statements() == statements() <= 7
