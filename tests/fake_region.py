"""A Keystone with the Novas of several regions, on loopback: real HTTP, answers as recorded.

What it answers is held to recordings of the real ones by ``tests/openstack``. It can be told to
fail, to hang, to drip and to talk nonsense.
"""

import dataclasses
import datetime as dt
import json
import secrets
import ssl
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

Json = dict[str, Any]

USERS = {"admin": ("adminpw", "admin", True), "demo": ("demopw", "demo", False)}
PROJECTS = {"admin": "a" * 32, "demo": "d" * 32}
SEEDED = (
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
)
_INTEGERS = ("vcpus", "ram", "disk", "swap", "OS-FLV-EXT-DATA:ephemeral")
_KEYS = {*_INTEGERS, "id", "name", "rxtx_factor", "os-flavor-access:is_public"}


@dataclasses.dataclass
class Fault:
    """What goes wrong at paths that hold ``where``: a status, a body, a delay, a broken line."""

    where: str
    method: str | None = None
    status: int | None = None
    body: bytes = b""
    delay_s: float = 0.0
    drip_s: float = 0.0
    drop: bool = False
    times: int = 1_000_000
    skip: int = 0


class Answer(Exception):
    """Ends the handling of a request with this answer."""

    def __init__(self, status: int, body: Any = None, **headers: str) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


class FakeCloud:
    """The server; ``with FakeCloud("Spain2", "Trento") as cloud: cloud.keystone_url``."""

    def __init__(self, *regions: str) -> None:
        self.flavors: dict[str, dict[str, Json]] = {name: {} for name in regions}
        self.reset()
        self.access: dict[tuple[str, str], set[str]] = {}
        self.tokens: dict[str, tuple[str, bool]] = {}
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.token_lasts_s = 86_400.0
        self.newest = (2, 104)
        self.page = 1000
        self.lock = threading.Lock()

    def reset(self) -> None:
        """Have the flavors that it has at first, in each region."""
        for flavors in self.flavors.values():
            flavors.clear()
            for id_, name, vcpus, ram, disk in SEEDED:
                row = {"id": id_, "name": name, "vcpus": vcpus, "ram": ram, "disk": disk}
                flavors[id_] = _flavor(row)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.keystone_url = f"{self.url}/identity/v3"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on; a handshake that fails harms nobody else."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def compute_url(self, region: str) -> str:
        return f"{self.url}/compute/{quote(region)}/v2.1"

    def fail(self, where: str, **values: Any) -> Fault:
        """Let requests whose path holds this go wrong, from now on."""
        fault = Fault(where, **values)
        self.faults.append(fault)
        return fault

    def mend(self) -> None:
        """Let everything go right again."""
        self.faults.clear()

    def names(self, region: str) -> set[str]:
        return {row["name"] for row in self.flavors[region].values()}

    def new_token(self, user: str = "admin", *, scoped: bool = True) -> str:
        token = f"gAAAA{secrets.token_hex(12)}"
        self.tokens[token] = (user, scoped)
        return token

    # --- how a request is answered

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> Answer:
        parts = urlsplit(target)
        try:
            with self.lock:
                if parts.path.startswith("/identity/v3/auth/tokens"):
                    self._tokens(method, headers, body)
                if parts.path.startswith("/compute/"):
                    _, _, region, _, *rest = (unquote(p) for p in parts.path.split("/"))
                    if region in self.flavors:
                        _Compute(self, region, headers).answer(method, rest, parts.query, body)
        except Answer as answer:
            return answer
        return Answer(404, {"message": "Not found.", "code": "404 Not Found", "title": "Not Found"})

    def _tokens(self, method: str, headers: Any, body: bytes) -> None:
        if method == "GET":
            caller, subject = headers.get("X-Auth-Token"), headers.get("X-Subject-Token")
            if caller not in self.tokens:
                raise _unauthorized()
            if subject not in self.tokens:
                text = "Could not recognize Fernet token"
                raise Answer(404, {"error": {"code": 404, "message": text, "title": "Not Found"}})
            raise Answer(200, self._token(subject), **{"X-Subject-Token": subject})
        auth = json.loads(body)["auth"]
        identity = auth["identity"]
        if identity["methods"] == ["token"]:
            known = self.tokens.get(identity["token"]["id"])
            if known is None:
                raise _unauthorized()
            token = self.new_token(known[0], scoped="scope" in auth)
        else:
            token = self._log_in(identity["password"]["user"], auth["scope"])
        raise Answer(201, self._token(token), **{"X-Subject-Token": token})

    def _log_in(self, user: Json, scope: Any) -> str:
        password, tenant, _admin = USERS.get(user["name"], ("", "", False))
        if not password or user["password"] != password:
            raise _unauthorized()
        if scope == "unscoped":
            return self.new_token(user["name"], scoped=False)
        if scope["project"]["name"] != tenant:
            raise _unauthorized()
        return self.new_token(user["name"])

    def _token(self, token: str) -> Json:
        user, scoped = self.tokens[token]
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.token_lasts_s)
        told: Json = {
            "methods": ["password"],
            "user": {"name": user, "id": user, "domain": {"id": "default", "name": "Default"}},
            "audit_ids": [secrets.token_hex(8)],
            "expires_at": f"{ends:%Y-%m-%dT%H:%M:%S.%f}Z",
            "issued_at": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
        }
        if scoped:
            told |= {"project": {"id": PROJECTS[USERS[user][1]], "name": USERS[user][1]}}
            told |= {"is_domain": False, "roles": [], "catalog": self._catalog()}
        return {"token": told}

    def _catalog(self) -> list[Json]:
        endpoints = [
            {"id": f"{region}-{kind}", "interface": kind, "region": region, "region_id": region}
            | {"url": self.compute_url(region) if kind == "public" else "http://127.0.0.1:1/"}
            for region in self.flavors
            for kind in ("internal", "public")
        ]
        return [
            {"id": "1", "type": "identity", "name": "keystone", "endpoints": []},
            {"id": "2", "type": "compute", "name": "nova", "endpoints": endpoints},
        ]


class _Compute:
    """One request to one region's Nova; every way out is an Answer that is raised."""

    def __init__(self, cloud: FakeCloud, region: str, headers: Any) -> None:
        self.cloud, self.region, self.headers = cloud, region, headers
        self.rows = cloud.flavors[region]

    def answer(self, method: str, path: list[str], query: str, body: bytes) -> None:
        user, scoped = self.cloud.tokens.get(self.headers.get("X-Auth-Token"), ("", False))
        if not user or not scoped:
            raise _unauthorized()
        self.user, self.admin = user, USERS[user][2]
        self.version = self._version()
        match (method, path):
            case ("GET", ["flavors", "detail"]):
                self._list(parse_qs(query))
            case ("POST", ["flavors"]):
                self._create(_body(body))
            case (_, ["flavors", id_, *rest]):
                self._one(method, id_, rest, body)

    def _version(self) -> tuple[int, int]:
        word = self.headers.get("OpenStack-API-Version", "compute 2.1").split()[-1]
        major, minor = (int(part) for part in word.split("."))
        if (major, minor) > self.cloud.newest:
            text = f"Version {word} is not supported by the API."
            raise Answer(406, {"computeFault": {"code": 406, "message": text}})
        return major, minor

    def _list(self, query: dict[str, list[str]]) -> None:
        everything = self.admin and query.get("is_public") == ["None"]
        rows = [row for row in self.rows.values() if everything or self._sees(row)]
        marker = query.get("marker", [None])[0]
        ids = [row["id"] for row in rows]
        start = ids.index(marker) + 1 if marker in ids else 0
        page = rows[start : start + self.cloud.page]
        told: Json = {"flavors": [self._shown(row) for row in page]}
        if start + len(page) < len(rows):
            link = f"{self.cloud.compute_url(self.region)}/flavors/detail?marker={page[-1]['id']}"
            told["flavors_links"] = [{"rel": "next", "href": link}]
        raise Answer(200, told)

    def _sees(self, row: Json) -> bool:
        granted = self.cloud.access.get((self.region, row["id"]), set())
        return bool(row["os-flavor-access:is_public"]) or PROJECTS[USERS[self.user][1]] in granted

    def _shown(self, row: Json) -> Json:
        shown = {key: value for key, value in row.items() if key != "extra_specs"}
        if self.version < (2, 75):
            shown["swap"] = shown["swap"] or ""
        if self.version >= (2, 55):
            shown["description"] = None
        if self.version >= (2, 61):
            shown["extra_specs"] = dict(row["extra_specs"])
        return shown

    def _create(self, body: Json) -> None:
        self._must_be_admin("os-flavor-manage:create")
        wanted = body.get("flavor")
        if not isinstance(wanted, dict) or set(wanted) - _KEYS:
            raise _fault(400, "badRequest", "Additional properties are not allowed")
        for key in _INTEGERS:
            least = 1 if key in ("vcpus", "ram") else 0
            if not least <= int(wanted.get(key, least)) <= 2**31 - 1:
                raise _fault(400, "badRequest", f"Invalid input for field/attribute {key}.")
        id_ = wanted.get("id") or str(uuid.uuid4())
        if any(row["name"] == wanted["name"] for row in self.rows.values()):
            text = f"Flavor with name {wanted['name']} already exists."
            raise _fault(409, "conflictingRequest", text)
        if id_ in self.rows:
            raise _fault(409, "conflictingRequest", f"Flavor with ID {id_} already exists.")
        self.rows[id_] = _flavor({**wanted, "id": id_})
        raise Answer(200, {"flavor": self._shown(self.rows[id_])})

    def _one(self, method: str, id_: str, rest: list[str], body: bytes) -> None:
        row = self.rows.get(id_)
        if row is None or not (self.admin or self._sees(row)):
            if method != "GET":
                self._must_be_admin("os-flavor-manage")
            raise _fault(404, "itemNotFound", f"Flavor {id_} could not be found.")
        match (method, rest):
            case ("GET", []):
                raise Answer(200, {"flavor": self._shown(row)})
            case ("DELETE", []):
                self._must_be_admin("os-flavor-manage:delete")
                del self.rows[id_]
                self.cloud.access.pop((self.region, id_), None)
                raise Answer(202)
            case ("GET", ["os-extra_specs"]):
                raise Answer(200, {"extra_specs": dict(row["extra_specs"])})
            case ("POST", ["os-extra_specs"]):
                self._must_be_admin("os-flavor-extra-specs:create")
                row["extra_specs"].update(_body(body)["extra_specs"])
                raise Answer(200, {"extra_specs": dict(row["extra_specs"])})
            case (_, ["os-flavor-access" | "action"]):
                self._projects(method, row, body)

    def _projects(self, method: str, row: Json, body: bytes) -> None:
        self._must_be_admin("os-flavor-access")
        if row["os-flavor-access:is_public"]:
            raise _fault(404, "itemNotFound", "Access list not available for public flavors.")
        granted = self.cloud.access.setdefault((self.region, row["id"]), set())
        if method == "POST":
            project = _body(body)["addTenantAccess"]["tenant"]
            if project not in PROJECTS.values():
                raise _fault(400, "badRequest", f"Project ID {project} is not a valid project.")
            if project in granted:
                raise _fault(409, "conflictingRequest", "Flavor access already exists.")
            granted.add(project)
        told = [{"flavor_id": row["id"], "tenant_id": project} for project in sorted(granted)]
        raise Answer(200, {"flavor_access": told})

    def _must_be_admin(self, rule: str) -> None:
        if not self.admin:
            text = f"Policy doesn't allow os_compute_api:{rule} to be performed."
            raise _fault(403, "forbidden", text)


def _flavor(row: Json) -> Json:
    return {
        "id": row["id"],
        "name": row["name"],
        "ram": int(row["ram"]),
        "disk": int(row["disk"]),
        "swap": int(row.get("swap") or 0),
        "OS-FLV-EXT-DATA:ephemeral": int(row.get("OS-FLV-EXT-DATA:ephemeral") or 0),
        "OS-FLV-DISABLED:disabled": False,
        "vcpus": int(row["vcpus"]),
        "os-flavor-access:is_public": row.get("os-flavor-access:is_public", True),
        "rxtx_factor": float(row.get("rxtx_factor", 1.0)),
        "links": [],
        "extra_specs": dict(row.get("extra_specs") or {}),
    }


def _body(body: bytes) -> Json:
    value: Json = json.loads(body)
    return value


def _unauthorized() -> Answer:
    text = "The request you have made requires authentication."
    return Answer(401, {"error": {"code": 401, "message": text, "title": "Unauthorized"}})


def _fault(status: int, name: str, message: str) -> Answer:
    return Answer(status, {name: {"code": status, "message": message}})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.cloud.asked.append(f"{self.command} {self.path}")
        fault = self._fault()
        if fault is None:
            self._send(self.server.cloud.answer(self.command, self.path, self.headers, body))
            return
        time.sleep(fault.delay_s)
        if fault.drop:
            self.close_connection = True
        elif fault.status is not None:
            self._send_raw(fault.status, fault.body, {}, fault.drip_s)
        else:
            answer = self.server.cloud.answer(self.command, self.path, self.headers, body)
            self._send(answer, fault.drip_s)

    def _fault(self) -> Fault | None:
        for fault in self.server.cloud.faults:
            if fault.where in self.path and fault.method in (None, self.command):
                if fault.skip:
                    fault.skip -= 1
                elif fault.times:
                    fault.times -= 1
                    return fault
        return None

    def _send(self, answer: Answer, drip_s: float = 0.0) -> None:
        raw = json.dumps(answer.body).encode() if answer.body is not None else b""
        self._send_raw(answer.status, raw, answer.headers, drip_s)

    def _send_raw(self, status: int, raw: bytes, headers: Json, drip_s: float) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        try:
            if not drip_s:
                self.wfile.write(raw)
                return
            for at in range(len(raw)):
                self.wfile.write(raw[at : at + 1])
                time.sleep(drip_s)
        except OSError:
            self.close_connection = True

    do_GET = do_POST = do_DELETE = do_PUT = handle_any  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, cloud: FakeCloud) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cloud = cloud
