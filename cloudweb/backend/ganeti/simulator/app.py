"""The simulator as a WSGI program: RAPI of each cluster under its name, and its control URLs."""

import base64
import binascii
import hmac
import html
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import orjson

from cloudweb.backend.ganeti.simulator import answers, submitting
from cloudweb.backend.ganeti.simulator.bodies import Refusal
from cloudweb.backend.ganeti.simulator.cluster import Cluster
from cloudweb.backend.ganeti.simulator.control import control
from cloudweb.backend.ganeti.simulator.submitting import Call, CutOff

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# Where the server puts a function that cuts the connection off.
CUT_OFF_KEY = "cloudweb.simulator.cut_off"
MAX_BODY_BYTES = 4 * 1024 * 1024
_EXPLAIN = {
    400: "Bad request syntax or unsupported method",
    401: "No permission -- see authorization schemes",
    404: "Nothing matches the given URI",
    415: "Entity body in unsupported format",
    500: "Server got itself in trouble",
    501: "Server does not support this operation",
    503: "The server cannot process the request due to a high load",
}


class App:
    """Routes a request to its cluster, and lets the cluster's faults happen to it."""

    def __init__(self, clusters: Mapping[str, Cluster]) -> None:
        self._clusters = clusters

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        try:
            status, answer = self._answer(environ)
        except Refusal as refusal:
            status, answer = refusal.status, _refused(refusal)
        except CutOff:
            environ.get(CUT_OFF_KEY, lambda: None)()
            status, answer = 503, _refused(Refusal(503))
        content = orjson.dumps(answer)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("Server", f"Ganeti {answers.VERSION} simulator"),
        ]
        if status == 401:
            headers.append(("WWW-Authenticate", 'Basic realm="Ganeti Remote API"'))
        start(f"{status} {HTTPStatus(status).phrase}", headers)
        return [content]

    def _answer(self, environ: "WSGIEnvironment") -> tuple[int, object]:
        name, slash, path = environ.get("PATH_INFO", "").lstrip("/").partition("/")
        cluster = self._clusters.get(name)
        if cluster is None:
            raise Refusal(404)
        call = _call(environ, slash + path)
        if call.path.startswith("/_sim/"):
            _authenticate(cluster, call)
            return 200, control(cluster, call.method, call.path, call.content)
        cluster.requests[f"{call.method} {_pattern(call.path)}"] += 1
        _suffer(cluster)
        _authenticate(cluster, call)
        return 200, _route(cluster, call)


def _call(environ: "WSGIEnvironment", path: str) -> Call:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > MAX_BODY_BYTES:
        raise Refusal(413)
    return Call(
        method=environ["REQUEST_METHOD"],
        path=path.rstrip("/"),
        query=parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True),
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        content=environ["wsgi.input"].read(length) if length else b"",
        content_type=environ.get("CONTENT_TYPE", ""),
    )


def _refused(refusal: Refusal) -> dict[str, object]:
    """The body of a refusal, escaped for HTML as Ganeti does."""
    phrase = HTTPStatus(refusal.status).phrase
    return {
        "code": refusal.status,
        "message": html.escape(refusal.message or phrase),
        "explain": refusal.explain or _EXPLAIN.get(refusal.status, phrase),
    }


def _suffer(cluster: Cluster) -> None:
    """The faults that come before a request is looked at."""
    faults = cluster.faults
    if faults.delay_s:
        time.sleep(faults.delay_s)
    if faults.hang_s:
        time.sleep(faults.hang_s)
        raise CutOff
    if faults.refuse == "close":
        raise CutOff
    if faults.refuse == "503":
        raise Refusal(503)
    if faults.unauthorized:
        raise Refusal(401)


def _authenticate(cluster: Cluster, call: Call) -> None:
    scheme, _, encoded = call.authorization.partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
    except binascii.Error:
        given = b""
    wanted = f"{cluster.spec.user}:{cluster.spec.password}".encode()
    if not hmac.compare_digest(given, wanted):
        raise Refusal(401)
    if cluster.faults.read_only and call.method != "GET":
        raise Refusal(403)


def _pattern(path: str) -> str:
    """A path without the names in it, to count by."""
    parts = path.split("/")
    if len(parts) > 3 and parts[2] in {"instances", "jobs", "networks", "nodes"}:
        parts[3] = "*"
    return "/".join(parts)


def _route(cluster: Cluster, call: Call) -> object:
    parts = call.path.split("/")[1:]
    match parts:
        case ["version"]:
            return _only(call, GET=lambda: 2)
        case ["2", "info" | "features" | "os" | "nodes" | "groups" as noun]:
            return _only(call, GET=lambda: _cluster_view(cluster, call, noun))
        case ["2", "instances"]:
            return _only(
                call,
                GET=lambda: _listed(
                    call,
                    "instances",
                    cluster.show(lambda _, state: answers.instances(state, time.time())),
                    "name",
                ),
                POST=lambda: submitting.create(cluster, call),
            )
        case ["2", "nodes", name, verb]:
            return _node(cluster, call, name, verb)
        case ["2", "redistribute-config"]:
            return _only(call, PUT=lambda: submitting.redistribute(cluster, call))
        case ["2", "tags"]:
            return _only(call, PUT=lambda: submitting.rehearse_tags(cluster, call))
        case ["2", "jobs"]:
            return _only(
                call,
                GET=lambda: _listed(
                    call, "jobs", cluster.show(lambda _, state: answers.jobs(state)), "id"
                ),
            )
        case ["2", "jobs", number] if number.isascii() and number.isdigit():
            return _only(
                call,
                GET=lambda: cluster.show_job(int(number)),
                DELETE=lambda: cluster.cancel(int(number)),
            )
        case ["2", "instances", name, *verb] if len(verb) <= 1:
            return _instance(cluster, call, name, "".join(verb))
        case ["2", "networks"]:
            return _only(
                call,
                GET=lambda: _listed(
                    call,
                    "networks",
                    cluster.show(lambda _, state: answers.networks(state)),
                    "name",
                    id_key="name",
                ),
                POST=lambda: submitting.add_network(cluster, call),
            )
        case ["2", "networks", name, *verb] if len(verb) <= 1:
            return _network(cluster, call, name, "".join(verb))
        case _:
            raise Refusal(404)


def _cluster_view(cluster: Cluster, call: Call, noun: str) -> object:
    match noun:
        case "info":
            return cluster.show(answers.info)
        case "nodes":
            return _listed(call, "nodes", cluster.show(answers.nodes), "name")
        case "os":
            return [f"{name}+default" for name in cluster.spec.os]
        case "groups":
            return _listed(call, "groups", cluster.show(answers.groups), "name", id_key="name")
        case "features":
            return ["instance-reinstall-reqv1", "instance-create-reqv1"]
        case _:
            raise AssertionError(noun)


def _instance(cluster: Cluster, call: Call, name: str, verb: str) -> object:
    match verb:
        case "":
            return _only(
                call,
                GET=lambda: _shown(cluster, name),
                DELETE=lambda: submitting.submit(
                    cluster, call, "OP_INSTANCE_REMOVE", name, "instances_name"
                ),
            )
        case "startup" | "shutdown":
            return _only(call, PUT=lambda: submitting.switch(cluster, call, name, verb))
        case "reboot":
            return _only(call, POST=lambda: submitting.reboot(cluster, call, name))
        case "migrate" | "failover":
            return _only(call, PUT=lambda: submitting.move(cluster, call, name, verb))
        case "modify":
            return _only(call, PUT=lambda: submitting.modify(cluster, call, name))
        case "tags":
            return _only(
                call,
                GET=lambda: _tags(cluster, name),
                PUT=lambda: submitting.change_tags(cluster, call, "OP_TAGS_SET", name),
                DELETE=lambda: submitting.change_tags(cluster, call, "OP_TAGS_DEL", name),
            )
        case _:
            raise Refusal(404)


def _node(cluster: Cluster, call: Call, name: str, verb: str) -> object:
    match verb:
        case "evacuate":
            return _only(call, POST=lambda: submitting.evacuate(cluster, call, name))
        case "migrate":
            return _only(call, POST=lambda: submitting.migrate_node(cluster, call, name))
        case "role":
            return _only(call, PUT=lambda: submitting.set_role(cluster, call, name))
        case _:
            raise Refusal(404)


def _only(call: Call, **methods: Callable[[], object]) -> object:
    """What the method of the request does; another one is not implemented, says Ganeti."""
    if call.method not in methods:
        raise Refusal(501, f"Method {call.method} is unsupported for path {call.path}")
    return methods[call.method]()


def _listed(
    call: Call, noun: str, rows: list[dict[str, Any]], key: str, *, id_key: str = "id"
) -> object:
    if call.bulk:
        return rows
    return [{id_key: row[key], "uri": f"/2/{noun}/{row[key]}"} for row in rows]


def _shown(cluster: Cluster, name: str) -> object:
    row = cluster.show(lambda _, state: answers.instance(name, state, time.time()))
    if row is None:
        raise Refusal(404)
    return row


def _tags(cluster: Cluster, name: str) -> object:
    row = cluster.show(lambda _, state: answers.instance(name, state, time.time()))
    if row is None:
        raise Refusal(500, str((f"Instance name {name} not found", "unknown_entity")))
    return row["tags"]


def _network(cluster: Cluster, call: Call, name: str, verb: str) -> object:
    match verb:
        case "":
            return _only(
                call,
                GET=lambda: _shown_network(cluster, name),
                DELETE=lambda: submitting.submit(
                    cluster, call, "OP_NETWORK_REMOVE", name, "networks_name", {"force": False}
                ),
            )
        case "connect" | "disconnect":
            return _only(call, PUT=lambda: submitting.join_network(cluster, call, name, verb))
        case _:
            raise Refusal(404)


def _shown_network(cluster: Cluster, name: str) -> object:
    row = cluster.show(lambda _, state: answers.network(name, state))
    if row is None:
        raise Refusal(404)
    return row
