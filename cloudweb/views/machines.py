"""Pages for machines: is the process alive, can it serve, what does it count."""

import hmac
import time

import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config
from sqlalchemy.orm import Session

from cloudweb import __version__, faults, metrics, wire
from cloudweb.domain import consumers
from cloudweb.models import migrations, unit_of_work
from cloudweb.views import gauges


def _json(body: object, status: int = 200) -> Response:
    response = Response(wire.dump_json(body), status=status)
    response.headers["Content-Type"] = wire.Notation.JSON.value
    return response


@view_config(route_name="healthz", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def healthz(request: Request) -> Response:
    """GET /healthz: this process answers."""
    return _json({"status": "ok"})


@view_config(route_name="version", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def version(request: Request) -> Response:
    """GET /version: which cloudweb this is."""
    return _json({"name": "cloudweb", "version": __version__})


@view_config(route_name="readyz", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def readyz(request: Request) -> Response:
    """GET /readyz: what this process needs, each with how long it took to ask; 503 if it fails.

    It needs the database, not behind its migrations: one that is ahead was brought up to date for
    newer processes, which follow. Of the broker it says what consumers do: no request needs it, so
    it makes no process unready.
    """
    parts: dict[str, dict[str, object]] = {}
    failing = []
    watch = _Watch()
    try:
        with unit_of_work(request.sessions, write=False) as session:
            session.execute(sa.select(sa.literal(1)))
            parts["database"] = {"status": "up", "ms": watch.ms()}
            current = _migration(session)
            where = _position(current)
            parts["migrations"] = {"status": where, "at": current, "ms": watch.ms()}
            failing += ["migrations"] if where == "behind" else []
            broker = "none" if not request.conf.amqp_hosts else "no consumer"
            if where != "behind" and request.conf.amqp_hosts:
                broker = consumers.find_state(session) or broker
            parts["broker"] = {"status": broker, "ms": watch.ms()}
    except sa.exc.SQLAlchemyError as error:
        parts["database"] = {"status": "down", "error": type(error).__name__, "ms": watch.ms()}
        failing.append("database")
    if failing:
        return _json({"status": "unready", "failing": failing, **parts}, 503)
    return _json({"status": "ready", **parts})


class _Watch:
    """Tells how long each part took."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def ms(self) -> float:
        """Milliseconds since it was asked before."""
        before, self._since = self._since, time.perf_counter()
        return round((self._since - before) * 1000, 1)


def _migration(session: Session) -> str | None:
    try:
        found: str | None = session.scalar(sa.text("SELECT version_num FROM alembic_version"))
    except (sa.exc.ProgrammingError, sa.exc.OperationalError):
        return None  # it has no tables yet
    return found


def _position(current: str | None) -> str:
    newest, *older = migrations.names()
    if current == newest:
        return "newest"
    return "behind" if current is None or current in older else "ahead"


@view_config(route_name="metrics", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show_metrics(request: Request) -> Response:
    """GET /metrics: with the token of the settings, or from this machine when there is none."""
    _check_reader(request)
    gauges.update(request.db)
    response = Response(metrics.render())
    response.headers["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
    return response


def _check_reader(request: Request) -> None:
    token = request.conf.metrics_token
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise faults.Unauthorized("The metrics token is missing or wrong.")
    elif request.remote not in ("127.0.0.1", "::1"):
        raise faults.Forbidden("Without a metrics token only this machine may read metrics.")


def includeme(config: Configurator) -> None:
    """Mount them."""
    for name in ("healthz", "readyz", "version", "metrics"):
        config.add_route(name, f"/{name}")
    config.scan(__name__)
