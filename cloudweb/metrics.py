"""What this process counts, for Prometheus."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)

REGISTRY = CollectorRegistry()

REQUESTS = Histogram(
    "cloudweb_request_seconds",
    "Time to answer a request.",
    ("route", "method", "status"),
    registry=REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
SUBMISSIONS = Counter(
    "cloudweb_submissions_total",
    "Operations a worker tried to submit, by what came of it.",
    ("backend", "outcome"),
    registry=REGISTRY,
)
DECISIONS = Counter(
    "cloudweb_decisions_total",
    "Operations that clusters declined, by what followed: again, elsewhere, over.",
    ("decision",),
    registry=REGISTRY,
)
BACKEND_UP = Gauge(
    "cloudweb_backend_up",
    "Whether the cluster answered last time.",
    ("backend",),
    registry=REGISTRY,
)
LANE_CLOSED = Gauge(
    "cloudweb_lane_closed",
    "Whether a lane's circuit breaker keeps it from its cluster.",
    ("backend",),
    registry=REGISTRY,
)
OPERATIONS = Gauge(
    "cloudweb_operations", "Operations open or failed, by state.", ("state",), registry=REGISTRY
)
BACKEND_MEMORY = Gauge(
    "cloudweb_backend_memory_bytes",
    "Memory of a cluster: total and free by its last figures, promised to servers.",
    ("backend", "what"),
    registry=REGISTRY,
)
BACKEND_DISK = Gauge(
    "cloudweb_backend_disk_bytes",
    "Disk of a cluster: total and free by its last figures, promised to servers.",
    ("backend", "what"),
    registry=REGISTRY,
)
BACKEND_CPUS = Gauge(
    "cloudweb_backend_cpus",
    "CPUs of a cluster: total by its last figures, promised to servers.",
    ("backend", "what"),
    registry=REGISTRY,
)
BACKEND_SERVERS = Gauge(
    "cloudweb_backend_servers",
    "Servers on a cluster, by state.",
    ("backend", "state"),
    registry=REGISTRY,
)
BACKEND_TAKES = Gauge(
    "cloudweb_backend_takes_servers",
    "Whether new servers may go there: not drained, not offline, not of pinned users only.",
    ("backend",),
    registry=REGISTRY,
)
POOL_VALUES = Gauge(
    "cloudweb_pool_values",
    "Values of the pools that all depend on, by use: held, reserved, free.",
    ("pool", "kind", "base", "use"),
    registry=REGISTRY,
)
JOBS = Gauge(
    "cloudweb_jobs",
    "Jobs of a cluster by status: those in its queue, and those that ended within a day.",
    ("backend", "status"),
    registry=REGISTRY,
)
CONSUMERS = Gauge(
    "cloudweb_consumers", "Consumers of messages, by how they are.", ("state",), registry=REGISTRY
)
BACKEND_LAG = Gauge(
    "cloudweb_backend_lag_seconds",
    "How old the oldest event of a cluster's last messages was when they came.",
    ("backend",),
    registry=REGISTRY,
)
DEAD_LETTERS = Gauge(
    "cloudweb_dead_letters_waiting",
    "Messages that could not be applied and wait for a decision.",
    registry=REGISTRY,
)
DRIFT = Gauge(
    "cloudweb_drift",
    "Differences between servers and instances as last compared, by cluster and kind.",
    ("backend", "kind"),
    registry=REGISTRY,
)
AUDIT_BROKEN = Gauge(
    "cloudweb_audit_broken",
    "Whether the seals of the audit did not hold when they were last computed again.",
    registry=REGISTRY,
)
AUDIT_VERIFIED = Gauge(
    "cloudweb_audit_verified_timestamp_seconds",
    "When the seals of the audit were last computed again; 0 for never.",
    registry=REGISTRY,
)


def render() -> bytes:
    """The exposition text."""
    return generate_latest(REGISTRY)


def serve(port: int) -> None:
    """Serve them on a port of this machine, from a thread of its own."""
    start_http_server(port, addr="127.0.0.1", registry=REGISTRY)
