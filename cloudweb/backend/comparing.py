"""Compares what a cluster has with our rows: what nobody told of becomes visible."""

from collections.abc import Collection, Sequence

from sqlalchemy.orm import Session

from cloudweb.backend import asking
from cloudweb.backend.ganeti.objects import Instance
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import hearing, network_drift, pool_drift, reconcile, snapshots, states
from cloudweb.domain.network_drift import NetworkReport, NetworkSnapshot
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.domain.states import StatusEvent
from cloudweb.models import Backend, Finding, SessionFactory, unit_of_work, utc_now
from cloudweb.settings import Settings


def read_snapshot(client: RapiClient) -> Snapshot:
    """All instances; one call. Raises RapiError."""
    taken = utc_now()
    return Snapshot(taken, {each.name: report_of(each) for each in client.instances_bulk()})


def read_networks(client: RapiClient) -> NetworkSnapshot:
    """All networks, and the node groups; two calls. Raises RapiError."""
    taken = utc_now()
    reports = [
        NetworkReport(
            name=each.name,
            groups=frozenset(each.groups),
            used=frozenset(each.used),
            reserved=frozenset(each.reserved),
            instances=each.instances,
        )
        for each in client.networks_bulk()
    ]
    return NetworkSnapshot(taken, {each.name: each for each in reports}, tuple(client.groups()))


def detect(
    session: Session, backend: Backend, instances: Snapshot, networks: NetworkSnapshot, prefix: str
) -> list[Finding]:
    """All that a cluster and our rows differ in; a constant number of statements."""
    return [
        *reconcile.detect(session, backend, instances, prefix),
        *network_drift.detect(session, backend, networks, prefix),
        *pool_drift.detect(session, backend, instances, networks),
    ]


def check_pools(sessions: SessionFactory, *, every_s: float) -> bool:
    """Compare the pools with our own rows, if it is time to; whether it was."""
    with unit_of_work(sessions, write=False) as session:
        if not reconcile.find_due(session, None, every_s=every_s):
            return False
    with unit_of_work(sessions) as session:
        reconcile.keep(session, None, taken=utc_now(), found=pool_drift.detect_own(session))
    return True


def report_of(instance: Instance) -> InstanceReport:
    """An instance, as far as our servers take something from it."""
    return InstanceReport(
        name=instance.name,
        running=instance.oper_state,
        node=instance.pnode,
        vcpus=instance.vcpus,
        memory_mb=instance.memory_mb,
        nics=asking.nics_of(instance),
        disk_mb=sum(instance.disk_sizes),
        disk_template=instance.disk_template,
    )


class Comparison:
    """Compares one cluster again and again; remembers whose instance was gone before."""

    def __init__(
        self, backend_id: int, cluster: str, sessions: SessionFactory, settings: Settings
    ) -> None:
        self._prefix = settings.instance_prefix
        self._write_down_every_s = settings.reconcile_every_s
        self._backend_id = backend_id
        self._cluster = cluster
        self._sessions = sessions
        self._missing: frozenset[str] = frozenset()

    def run(self, client: RapiClient) -> int:
        """Ask and apply; how many servers show something new. Raises RapiError.

        An instance that is gone is not enough to end a server: there must be a job that removed
        it. The job queue is only asked for when another instance is gone than last time.
        """
        snapshot = read_snapshot(client)
        with unit_of_work(self._sessions) as session:
            seen = snapshots.apply(session, self._backend_id, snapshot)
        removals: Sequence[StatusEvent] = ()
        if seen.missing - self._missing:
            removals = self._removals(client, seen.missing)
            with unit_of_work(self._sessions) as session:
                hearing.apply_statuses(session, removals)
        self._missing = seen.missing
        self._write_down(client, snapshot)
        return seen.moved + len(removals)

    def _write_down(self, client: RapiClient, snapshot: Snapshot) -> None:
        """Now and then, or when somebody wants it, keep what differs and needs a decision."""
        with unit_of_work(self._sessions, write=False) as session:
            every_s = self._write_down_every_s
            if not reconcile.find_due(session, self._backend_id, every_s=every_s):
                return
        networks = read_networks(client)
        with unit_of_work(self._sessions) as session:
            backend = session.get_one(Backend, self._backend_id)
            found = detect(session, backend, snapshot, networks, self._prefix)
            compared = len(snapshot.instances)
            reconcile.keep(session, backend, taken=snapshot.taken, found=found, compared=compared)

    def note_failed(self, message: str) -> None:
        """The cluster does not answer: whoever wants it compared is told so."""
        with unit_of_work(self._sessions) as session:
            backend = session.get_one(Backend, self._backend_id)
            reconcile.give_up(session, backend, message)

    def _removals(self, client: RapiClient, missing: Collection[str]) -> list[StatusEvent]:
        return [
            StatusEvent(
                instance=op.instance,
                opcode=op.opcode,
                status=op.status,
                job_id=job.id,
                time=job.event_time(op),
                cluster=self._cluster,
            )
            for job in client.jobs_bulk()
            for op in job.ops
            if op.opcode == states.REMOVE and op.status == "success"
            if op.instance is not None and op.instance in missing
        ]
