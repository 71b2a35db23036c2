"""The control URLs of a simulated cluster: what it shall do wrong, and what was asked of it."""

from collections.abc import Callable
from typing import Any

import orjson

from cloudweb.backend.ganeti.simulator.bodies import Refusal
from cloudweb.backend.ganeti.simulator.cluster import Cluster


def control(cluster: Cluster, method: str, path: str, content: bytes) -> object:
    """Answers /_sim/faults, requests, nodes and screens by what the method says."""
    routes: dict[tuple[str, str], Callable[[], object]] = {
        ("GET", "/_sim/faults"): cluster.faults.show,
        ("POST", "/_sim/faults"): lambda: _set_faults(cluster, _object(content)),
        ("DELETE", "/_sim/faults"): lambda: _clear_faults(cluster),
        ("GET", "/_sim/requests"): lambda: _requests(cluster),
        ("DELETE", "/_sim/requests"): cluster.requests.clear,
        ("POST", "/_sim/nodes"): lambda: _set_node(cluster, _object(content)),
        ("POST", "/_sim/screens"): lambda: _set_screen(cluster, _object(content)),
    }
    route = routes.get((method, path))
    if route is None:
        raise Refusal(404)
    return route()


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise Refusal(400, "Unable to parse JSON data") from None
    if not isinstance(body, dict):
        raise Refusal(400, "a JSON object is expected")
    return body


def _set_faults(cluster: Cluster, given: dict[str, Any]) -> object:
    try:
        cluster.faults.update(given)
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    return cluster.faults.show()


def _clear_faults(cluster: Cluster) -> object:
    cluster.faults.clear()
    return cluster.faults.show()


def _requests(cluster: Cluster) -> object:
    by = dict(cluster.requests)
    return {"total": sum(by.values()), "by": by}


def _set_node(cluster: Cluster, given: dict[str, Any]) -> object:
    """{"name": "n1", "offline": true, "drained": false}: what is left out stays as it is."""
    name = str(given.get("name"))
    if not cluster.set_node(name, offline=given.get("offline"), drained=given.get("drained")):
        raise Refusal(404)
    return {"name": name}


def _set_screen(cluster: Cluster, given: dict[str, Any]) -> object:
    """{"name": "snf-1", "host": "127.0.0.1", "port": 5901}; or with "serial": true."""
    name, port = str(given.get("name")), given.get("port")
    if not (port is None or isinstance(port, int)):
        raise Refusal(400, "port is not a number")
    host = given.get("host")
    shown = cluster.set_screen(
        name,
        host=str(host) if host else None,
        port=port,
        serial=given.get("serial") is True,
    )
    if not shown:
        raise Refusal(404)
    return {"name": name}
