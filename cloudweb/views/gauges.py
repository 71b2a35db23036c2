"""What /metrics tells of the database: asked anew each time, in as many statements each time."""

from sqlalchemy.orm import Session

from cloudweb import metrics
from cloudweb.domain import (
    capacity,
    cluster_jobs,
    consumers,
    dead_letters,
    fleet,
    operation_lists,
    pool_lists,
    reconcile,
)
from cloudweb.models import AuditChain

_MIB = 1024 * 1024


def update(session: Session) -> None:
    """Bring every gauge up to date; ten statements."""
    for state, count in operation_lists.count_by_state(session).items():
        metrics.OPERATIONS.labels(state.value).set(count)
    metrics.DRIFT.clear()
    for (backend, kind), count in reconcile.count_open(session).items():
        metrics.DRIFT.labels(backend, kind.value).set(count)
    metrics.JOBS.clear()
    for (backend, status), count in cluster_jobs.count_by_status(session).items():
        metrics.JOBS.labels(backend, status).set(count)
    metrics.DEAD_LETTERS.set(dead_letters.count_waiting(session))
    chain = session.get(AuditChain, 1)
    metrics.AUDIT_BROKEN.set(bool(chain and chain.problem))
    verified = chain.verified if chain else None
    metrics.AUDIT_VERIFIED.set(verified.timestamp() if verified else 0)
    _backends(session)
    _pools(session)
    _consumers(session)


def _backends(session: Session) -> None:
    promises = capacity.promises(session)
    for gauge in (
        *(metrics.BACKEND_MEMORY, metrics.BACKEND_DISK, metrics.BACKEND_CPUS),
        *(metrics.BACKEND_SERVERS, metrics.BACKEND_TAKES),
    ):
        gauge.clear()
    for each in fleet.list_all(session):
        promised = promises.get(each.id, capacity.NOTHING)
        memory = {
            "total": each.memory_total_mb,
            "free": each.memory_free_mb,
            "promised": promised.memory_mb,
        }
        disk = {
            "total": each.disk_total_mb,
            "free": each.disk_free_mb,
            "promised": promised.disk_mb,
        }
        for what, mib in memory.items():
            metrics.BACKEND_MEMORY.labels(each.name, what).set(mib * _MIB)
        for what, mib in disk.items():
            metrics.BACKEND_DISK.labels(each.name, what).set(mib * _MIB)
        metrics.BACKEND_CPUS.labels(each.name, "total").set(each.cpu_total)
        metrics.BACKEND_CPUS.labels(each.name, "promised").set(promised.cpus)
        for state, count in promised.servers.items():
            metrics.BACKEND_SERVERS.labels(each.name, state.value).set(count)
        takes = each.public and not each.drained and not each.offline
        metrics.BACKEND_TAKES.labels(each.name).set(takes)


def _pools(session: Session) -> None:
    metrics.POOL_VALUES.clear()
    for row in pool_lists.list_shared(session):
        uses = {"held": row.held, "reserved": row.reserved, "free": row.free}
        for use, count in uses.items():
            pool = row.pool
            metrics.POOL_VALUES.labels(pool.id, pool.kind.value, pool.base, use).set(count)


def _consumers(session: Session) -> None:
    pause, processes = consumers.find_pause(session), consumers.list_all(session)
    for state in consumers.ConsumerState:
        there = [each for each in processes if consumers.state_of(each, pause) is state]
        metrics.CONSUMERS.labels(state.value).set(len(there))
    metrics.BACKEND_LAG.clear()
    for cluster, lag in consumers.lags(processes).items():
        metrics.BACKEND_LAG.labels(cluster).set(lag.seconds)
