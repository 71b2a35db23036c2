"""Pages for machines: is the process alive, can it serve, what does it count."""

import hmac
import time

import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb import faults, metrics, wire
from cloudweb.domain import operation_lists, reconcile
from cloudweb.models import AuditChain, unit_of_work


def _json(body: object, status: int = 200) -> Response:
    response = Response(wire.dump_json(body), status=status)
    response.headers["Content-Type"] = wire.Notation.JSON.value
    return response


@view_config(route_name="healthz", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def healthz(request: Request) -> Response:
    """GET /healthz: this process answers."""
    return _json({"status": "ok"})


@view_config(route_name="readyz", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def readyz(request: Request) -> Response:
    """GET /readyz: the database answers; 503 naming it when it does not."""
    started = time.perf_counter()
    try:
        with unit_of_work(request.sessions, write=False) as session:
            session.execute(sa.text("SELECT version_num FROM alembic_version"))
    except sa.exc.SQLAlchemyError as error:
        return _json({"status": "unready", "database": type(error).__name__}, 503)
    took = round((time.perf_counter() - started) * 1000, 1)
    return _json({"status": "ready", "database_ms": took})


@view_config(route_name="metrics", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show_metrics(request: Request) -> Response:
    """GET /metrics: with the token of the settings, or from this machine when there is none."""
    _check_reader(request)
    for state, count in operation_lists.count_by_state(request.db).items():
        metrics.OPERATIONS.labels(state.value).set(count)
    metrics.DRIFT.clear()
    for (backend, kind), count in reconcile.count_open(request.db).items():
        metrics.DRIFT.labels(backend, kind.value).set(count)
    chain = request.db.get(AuditChain, 1)
    metrics.AUDIT_BROKEN.set(bool(chain and chain.problem))
    verified = chain.verified if chain else None
    metrics.AUDIT_VERIFIED.set(verified.timestamp() if verified else 0)
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
    for name in ("healthz", "readyz", "metrics"):
        config.add_route(name, f"/{name}")
    config.scan(__name__)
