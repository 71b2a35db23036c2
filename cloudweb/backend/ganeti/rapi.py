"""A client of one cluster's remote API (RAPI): the calls that cloudweb makes, and no others."""

import datetime as dt
import html
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import orjson
import requests
import urllib3

from cloudweb.backend.ganeti import reading, transport
from cloudweb.backend.ganeti.errors import (
    BadRequest,
    Busy,
    NotFound,
    RapiError,
    ServerError,
    TlsFailed,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from cloudweb.backend.ganeti.jobs import Job, job_from_rapi
from cloudweb.backend.ganeti.objects import (
    ClusterInfo,
    ClusterNetwork,
    Instance,
    Node,
    cluster_from_rapi,
    instance_from_rapi,
    network_from_rapi,
    node_from_rapi,
)

# A bulk list of 10,000 instances is about 50 MB.
MAX_ANSWER_BYTES = 128 * 1024 * 1024
# How long an answer may take to come in whole, in read timeouts.
MAX_READ_TIMEOUTS = 6
MAX_MESSAGE_CHARS = 2000

_ERROR_CLASSES: dict[int, type[RapiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    429: Busy,
    502: Busy,
    503: Busy,
    504: Busy,
}
_PHRASES = frozenset(status.phrase for status in HTTPStatus)
# What Ganeti says with a 500 when its queue is full, or closed by an operator.
_BUSY_WORDS = ("queue drained", "queue is drained", "queue full", "queue is full")

# A list stands for as many arguments of the same name.
_Query = Mapping[str, str | Sequence[str]]


class RapiClient:
    """One cluster's RAPI over one kept connection; for one thread at a time.

    The cluster is proved by `fingerprint` (SHA-256 of its certificate) if given, else by `ca_file`
    (authorities, or the cluster's own certificate), else by the system's authorities;
    `verify=False` takes anybody's word. Plain http only to this machine. A bad address,
    fingerprint or file is a ValueError. Nothing is tried twice: the caller knows what may be.
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        ca_file: str | None = None,
        fingerprint: str | None = None,
        verify: bool = True,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 20.0,
    ) -> None:
        self.url = transport.normal_url(url)
        self._timeouts = (connect_timeout_s, read_timeout_s)
        self._watch = transport.ConnectWatch()
        pin = _pin(fingerprint, ca_file) if verify else None
        adapter = transport.RapiAdapter(self._watch, pin)
        self._session = requests.Session()
        # The machine's proxies, netrc and CA bundle say nothing about a cluster.
        self._session.trust_env = False
        self._session.auth = (username, password)
        self._session.headers["Accept"] = "application/json"
        self._session.verify = verify and not pin and (ca_file or True)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        if not verify:
            # Whoever turned verification off is told so where it is configured.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def certificate_ends(self) -> dt.datetime | None:
        """How long the cluster's certificate is good; None before it was asked, or by http."""
        return self._watch.certificate_ends()

    # What there is.

    def version(self) -> int:
        """The version of the remote API: 2."""
        return reading.identifier(self._get("/version"), "version")

    def info(self) -> ClusterInfo:
        return cluster_from_rapi(reading.mapping(self._get("/2/info"), "info"))

    def nodes_bulk(self) -> list[Node]:
        return [node_from_rapi(row) for row in self._rows("/2/nodes")]

    def instances_bulk(self) -> list[Instance]:
        return [instance_from_rapi(row) for row in self._rows("/2/instances")]

    def instance(self, name: str) -> Instance:
        """One instance; NotFound."""
        return instance_from_rapi(reading.mapping(self._get(_instance_path(name)), "instance"))

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The names of the nodes of each node group."""
        rows = self._rows("/2/groups")
        return {reading.text(row, "name"): reading.texts(row, "node_list") for row in rows}

    def networks_bulk(self) -> list[ClusterNetwork]:
        return [network_from_rapi(row) for row in self._rows("/2/networks")]

    def network(self, name: str) -> ClusterNetwork:
        """One network; NotFound."""
        return network_from_rapi(reading.mapping(self._get(_network_path(name)), "network"))

    # Jobs.

    def job(self, job_id: int) -> Job:
        """A job with its results and log; NotFound, though Ganeti answers 200 for one."""
        return job_from_rapi(self.job_as_sent(job_id))

    def job_as_sent(self, job_id: int) -> Mapping[str, object]:
        """The same, as Ganeti writes it."""
        return reading.mapping(self._get(f"/2/jobs/{job_id:d}"), "job")

    def jobs_bulk(self) -> list[Job]:
        """Every job in the queue, oldest first, without results and logs."""
        jobs = [job_from_rapi(row) for row in self._rows("/2/jobs") if row.get("id") is not None]
        return sorted(jobs, key=lambda job: job.id)

    def find_job(self, mark: str) -> Job | None:
        """The first job with a reason that is this or begins with it and a space, whole; or None.

        Should there be a second, it came when the first had done the work.
        """
        for job in self.jobs_bulk():
            if job.has_mark(mark):
                try:
                    return self.job(job.id)
                except NotFound:
                    return job
        return None

    def cancel_job(self, job_id: int) -> bool:
        """Asks Ganeti to drop a job that has not begun; whether it promises to.

        It may take until the job ends to answer, and drop one without having promised or let one
        run that it promised to drop: only the job's final status says what became of it.
        """
        answer = self._call("DELETE", f"/2/jobs/{job_id:d}")
        match answer:
            case [bool(accepted), *_]:
                return accepted
            case _:
                raise UnexpectedAnswer("the answer to a cancel is not [accepted, message]")

    # Changes. Each gives the id of the job that will do it. The reason goes into the job's reason
    # trail, where find_job sees it.

    def create_instance(self, body: Mapping[str, object], reason: str) -> int:
        return self.submit("POST", "/2/instances", reason, body=body)

    def delete_instance(self, name: str, reason: str) -> int:
        return self.submit("DELETE", _instance_path(name), reason)

    def startup_instance(self, name: str, reason: str) -> int:
        return self.submit("PUT", f"{_instance_path(name)}/startup", reason)

    def shutdown_instance(self, name: str, reason: str) -> int:
        return self.submit("PUT", f"{_instance_path(name)}/shutdown", reason)

    def reboot_instance(self, name: str, kind: Literal["soft", "hard"], reason: str) -> int:
        return self.submit("POST", f"{_instance_path(name)}/reboot", reason, {"type": kind})

    def modify_instance(self, name: str, body: Mapping[str, object], reason: str) -> int:
        return self.submit("PUT", f"{_instance_path(name)}/modify", reason, body=body)

    def migrate_instance(self, name: str, body: Mapping[str, object], reason: str) -> int:
        return self.submit("PUT", f"{_instance_path(name)}/migrate", reason, body=body)

    def failover_instance(self, name: str, body: Mapping[str, object], reason: str) -> int:
        return self.submit("PUT", f"{_instance_path(name)}/failover", reason, body=body)

    def evacuate_node(self, name: str, body: Mapping[str, object], reason: str) -> int:
        """Asks for the jobs that empty a node; that job ends when they are in the queue."""
        path = f"/2/nodes/{quote(name, safe='')}/evacuate"
        return self.submit("POST", path, reason, body=body)

    def set_node_role(self, name: str, role: str, reason: str) -> int:
        """Makes a node "drained", "offline", "regular" or a "master-candidate".

        Where it was a candidate that is needed, another becomes one instead of it.
        """
        path = f"/2/nodes/{quote(name, safe='')}/role"
        return self.submit("PUT", path, reason, {"auto-promote": "1"}, body=role)

    def add_tags(self, name: str, tags: Sequence[str], reason: str) -> int:
        """Hangs tags on an instance; those it has already stay."""
        return self.submit("PUT", f"{_instance_path(name)}/tags", reason, {"tag": tags})

    def delete_tags(self, name: str, tags: Sequence[str], reason: str) -> int:
        """Takes tags off an instance; the job fails if one of them is not there."""
        return self.submit("DELETE", f"{_instance_path(name)}/tags", reason, {"tag": tags})

    def rehearse_tag(self, tag: str, reason: str) -> int:
        """Has the cluster go through hanging a tag on itself, without doing it."""
        return self.submit("PUT", "/2/tags", reason, {"tag": [tag], "dry-run": "1"})

    def add_network(self, body: Mapping[str, object], reason: str) -> int:
        return self.submit("POST", "/2/networks", reason, body=body)

    def connect_network(self, name: str, body: Mapping[str, object], reason: str) -> int:
        return self.submit("PUT", f"{_network_path(name)}/connect", reason, body=body)

    def disconnect_network(self, name: str, body: Mapping[str, object], reason: str) -> int:
        return self.submit("PUT", f"{_network_path(name)}/disconnect", reason, body=body)

    def remove_network(self, name: str, reason: str) -> int:
        return self.submit("DELETE", _network_path(name), reason)

    # How.

    def _get(self, path: str, query: _Query | None = None) -> object:
        return self._call("GET", path, query)

    def _rows(self, path: str) -> list[Mapping[str, object]]:
        answer = reading.items(self._get(path, {"bulk": "1"}), path)
        return [reading.mapping(row, path) for row in answer]

    def submit(
        self,
        method: str,
        path: str,
        reason: str,
        query: _Query | None = None,
        body: Mapping[str, object] | str | None = None,
    ) -> int:
        """Asks for a change by its address; the id of the job."""
        if not reason.isascii():
            raise ValueError("Ganeti cannot write a reason that is not ASCII")
        asked = {**(query or {}), "reason": reason}
        return reading.identifier(self._call(method, path, asked, body), "the answer")

    def _call(
        self,
        method: str,
        path: str,
        query: _Query | None = None,
        body: Mapping[str, object] | str | None = None,
    ) -> object:
        status, content = self._exchange(method, path, query, body)
        if status != 200:
            raise _refusal(status, content)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise UnexpectedAnswer(f"{path}: the answer is not JSON", status=status) from error

    def _exchange(
        self,
        method: str,
        path: str,
        query: _Query | None,
        body: Mapping[str, object] | str | None,
    ) -> tuple[int, bytes]:
        self._watch.failed = False
        try:
            with self._session.request(
                method,
                self.url + path,
                params=query,
                data=None if body is None else orjson.dumps(body),
                headers=None if body is None else {"Content-Type": "application/json"},
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            ) as response:
                return response.status_code, self._content(response)
        except requests.exceptions.SSLError as error:
            if self._watch.failed:
                raise TlsFailed(_cause(error)) from None
            raise Unreachable(_cause(error), maybe_sent=True) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise Unreachable(_cause(error), maybe_sent=not self._watch.failed) from None

    def _content(self, response: requests.Response) -> bytes:
        """The body, refused when it grows too large or dribbles in too slowly."""
        ends = time.monotonic() + MAX_READ_TIMEOUTS * self._timeouts[1]
        content = bytearray()
        for chunk in response.iter_content(64 * 1024):
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise UnexpectedAnswer("the answer is too large", status=response.status_code)
            if time.monotonic() > ends:
                raise Unreachable("the answer came too slowly", maybe_sent=True)
        return bytes(content)


def _pin(fingerprint: str | None, ca_file: str | None) -> str | None:
    if fingerprint:
        return transport.normal_fingerprint(fingerprint)
    return transport.own_certificate(ca_file) if ca_file else None


def _instance_path(name: str) -> str:
    return f"/2/instances/{quote(name, safe='')}"


def _network_path(name: str) -> str:
    return f"/2/networks/{quote(name, safe='')}"


def _refusal(status: int, content: bytes) -> RapiError:
    """The error that an answer other than 200 stands for, in Ganeti's words."""
    message = _message(content) or f"HTTP status {status}"
    busy = status == 500 and any(word in message.lower() for word in _BUSY_WORDS)
    kind = Busy if busy else _ERROR_CLASSES.get(status, ServerError)
    if kind is ServerError:
        return ServerError(message, status=status, maybe_sent=True)
    # A gateway that lost its backend, or Ganeti its master daemon, does not know what became of it.
    return kind(message, status=status, maybe_sent=status in {502, 504})


def _message(content: bytes) -> str:
    """What an error body says; Ganeti escapes it for HTML.

    `message` is its own sentence, unless that only spells the status: then `explain` says more.
    """
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(answer, dict):
        return ""
    said = answer.get("message") or ""
    if said in _PHRASES:
        said = answer.get("explain") or said
    return html.unescape(str(said))[:MAX_MESSAGE_CHARS]


def _cause(error: BaseException) -> str:
    """The innermost sentence of a nest of exceptions: no URL, no credentials."""
    seen: BaseException = error
    while True:
        inner = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(inner, BaseException):
            inner = next(
                (arg for arg in reversed(seen.args) if isinstance(arg, BaseException)), None
            )
        if inner is None or inner is error:
            break
        seen = inner
    return f"{type(seen).__name__}: {seen}"[:MAX_MESSAGE_CHARS]
