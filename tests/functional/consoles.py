"""A VNC proxy as far as its control protocol, and instances with a screen on simulated clusters."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.backend.ganeti.simulator.cluster import Cluster
from tests.functional.processes import wait_for


class Proxy:
    """A VNC proxy on the control protocol's side: it notes what it is asked and answers so."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: bytes | None = b'{"source_port": 25001, "status": "OK"}'
        self.meanwhile: Callable[[], object] = lambda: None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            client, _ = self._listener.accept()
            with client:
                client.settimeout(5)
                text = client.recv(4096)
                if not text:
                    continue
                self.asked.append(json.loads(text))
                self.meanwhile()
                if self.answer is None:
                    self._ended.wait(5)
                else:
                    client.sendall(self.answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), 1).close()
        self._thread.join()
        self._listener.close()


def run_instance(simulator: Simulator, name: str) -> Cluster:
    """Have the cluster "alpha" run an instance of this name, which shows no screen yet."""
    body = create_body(
        name=name,
        vcpus=1,
        ram_mb=128,
        disk_gb=1,
        disk_template="file",
        os="noop+default",
        osparams={},
        nics=[],
    )
    with RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        job_id = client.create_instance(body, "tests")
        job = wait_for(lambda: (job := client.job(job_id)).is_final and job)
    assert job.status == "success", job
    return simulator.clusters["alpha"]
