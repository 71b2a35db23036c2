"""Serves simulated clusters over HTTP or HTTPS, runs their jobs and keeps their state."""

import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from cloudweb.backend.agents import messages
from cloudweb.backend.agents.publisher import Publisher
from cloudweb.backend.ganeti.jobs import Job
from cloudweb.backend.ganeti.simulator.app import CUT_OFF_KEY, App
from cloudweb.backend.ganeti.simulator.certificate import server_context
from cloudweb.backend.ganeti.simulator.cluster import Cluster
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec, parse_spec
from cloudweb.backend.ganeti.simulator.state import read_states, write_states

log = logging.getLogger(__name__)
DEFAULT_PORT = 5180
# How long a changed state may be newer than its file; an accepted job is in the file at once.
SAVE_EVERY_S = 0.5


class Simulator:
    """Several clusters on one port: `with Simulator(["alpha"], port=0) as sim: sim.url("alpha")`.

    `certificate` is the PEM text of its self-signed certificate, with `tls`.
    """

    def __init__(
        self,
        clusters: Iterable[ClusterSpec | str],
        *,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        state_file: str | None = None,
        amqp_url: str | None = None,
        time_factor: float = 1.0,
        tls: bool = False,
    ) -> None:
        self._state_file = Path(state_file) if state_file else None
        self._publisher = Publisher([amqp_url]) if amqp_url else None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._saving = threading.Lock()
        kept = read_states(self._state_file) if self._state_file else {}
        specs = [parse_spec(each) if isinstance(each, str) else each for each in clusters]
        self.clusters = {
            spec.name: Cluster(
                spec,
                state=kept.get(spec.name),
                time_factor=time_factor,
                on_status=self._tell,
                on_accept=self._accepted,
            )
            for spec in specs
        }
        self._others = {name: s.dump() for name, s in kept.items() if name not in self.clusters}
        self.certificate: str | None = None
        context = None
        if tls:
            context, self.certificate = server_context()
        self._server = _Server((host, port), App(self.clusters), context)
        self._base = f"{'https' if tls else 'http'}://{host}:{self._server.server_port}"
        self._threads: list[threading.Thread] = []

    def url(self, name: str) -> str:
        return f"{self._base}/{name}"

    def start(self) -> None:
        if self._publisher:
            self._publisher.start()
        for target in (self._run_jobs, self._serve):
            thread = threading.Thread(
                target=target, name=f"simulator{target.__name__}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ends serving, keeps the state, and hands what is unpublished to the broker if it can."""
        self._stopping.set()
        self._wake.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(timeout=5)
        self._save()
        if self._publisher:
            self._publisher.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.1)

    def _tell(self, cluster: Cluster, job: Job) -> None:
        self._wake.set()
        if self._publisher:
            for message in messages.messages_of(job, cluster.spec.full_name):
                self._publisher.put(message)

    def _accepted(self) -> None:
        self._wake.set()
        self._save()

    def _run_jobs(self) -> None:
        """Advances every cluster when something is due, and keeps what changed."""
        while not self._stopping.is_set():
            self._wake.clear()
            waits = [cluster.advance() for cluster in self.clusters.values()]
            if any(cluster.changed for cluster in self.clusters.values()):
                self._save()
            self._wake.wait(min([SAVE_EVERY_S, *(wait for wait in waits if wait is not None)]))

    def _save(self) -> None:
        if self._state_file is None:
            return
        with self._saving:
            dumps = {name: cluster.dump() for name, cluster in self.clusters.items()}
            write_states(self._state_file, {**self._others, **dumps})


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request, and one request a connection, as Ganeti's own server."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], app: App, context: ssl.SSLContext | None) -> None:
        super().__init__(address, _Handler)
        self.set_app(app)
        if context:
            # The handshake is the handler's: a client that stalls in it holds up only itself.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def server_bind(self) -> None:
        """Binds without asking the resolver what this machine is called."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, _request: Any, client_address: Any) -> None:
        log.debug("a connection from %s ended: %r", client_address, sys.exc_info()[1])


class _Handler(WSGIRequestHandler):
    timeout = 60

    def setup(self) -> None:
        super().setup()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.do_handshake()

    def get_environ(self) -> Any:
        return {**super().get_environ(), CUT_OFF_KEY: self._cut_off}

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        log.debug(format, *args)

    def _cut_off(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def serve(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    clusters: Iterable[ClusterSpec | str] = ("alpha",),
    state_file: str | None = None,
    amqp_url: str | None = None,
    time_factor: float = 1.0,
    *,
    tls: bool = False,
) -> None:
    """Serves until SIGTERM or SIGINT; prints one line when it is ready. For the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    simulator = Simulator(
        clusters,
        host=host,
        port=port,
        state_file=state_file,
        amqp_url=amqp_url,
        time_factor=time_factor,
        tls=tls,
    )
    with simulator:
        urls = " ".join(simulator.url(name) for name in simulator.clusters)
        print(f"simulator ready: {urls}", flush=True)  # noqa: T201 - what whoever started it waits for
        stop.wait()
