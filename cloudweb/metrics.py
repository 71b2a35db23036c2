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
