"""A user's cloud over simulated clusters, as the tests of the worker see it."""

import base64
import json
import urllib.request
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.domain import servers, states
from cloudweb.domain.states import ApiStatus
from cloudweb.models import Backend, Operation, Server, SessionFactory, unit_of_work
from tests.functional.processes import wait_for

WORKER = "cloudweb.backend.worker"


class World:
    """A user's cloud over simulated clusters, and what a test asks of it."""

    def __init__(
        self, simulator: Simulator, cloud: Any, sessions: SessionFactory, site: Any
    ) -> None:
        self.simulator = simulator
        self.cloud = cloud
        self.sessions = sessions
        self.site = site

    def join(self, backend: Backend, cluster: str) -> None:
        """Make the backend this simulated cluster."""
        with unit_of_work(self.sessions) as session:
            row = session.get_one(Backend, backend.id)
            row.url = self.simulator.url(cluster)
            row.name = self.simulator.clusters[cluster].spec.full_name

    def create(self, **order: Any) -> int:
        with unit_of_work(self.sessions) as session:
            server = servers.create(
                session,
                self.cloud.owner.identity,
                self.site,
                name="web",
                flavor_id=self.cloud.flavor.id,
                image_ref=self.cloud.image.id,
                metadata={},
            )
        return server.id

    def do(self, verb: Callable[..., Any], server_id: int, **arguments: Any) -> None:
        with unit_of_work(self.sessions) as session:
            verb(session, self.cloud.owner.identity, server_id, **arguments)

    def status(self, server_id: int) -> ApiStatus:
        with unit_of_work(self.sessions, write=False) as session:
            return states.api_status(session.get_one(Server, server_id))

    def becomes(self, server_id: int, status: ApiStatus, timeout_s: float = 20.0) -> None:
        wait_for(lambda: self.status(server_id) is status, timeout_s=timeout_s)

    def operations(self) -> list[Operation]:
        with unit_of_work(self.sessions, write=False) as session:
            return list(session.scalars(sa.select(Operation).order_by(Operation.id)))

    def settled(self, timeout_s: float = 20.0) -> list[Operation]:
        """All operations, once none is open."""
        wait_for(lambda: all(op.finished for op in self.operations()), timeout_s=timeout_s)
        return self.operations()

    def faults(self, cluster: str = "alpha", **faults: Any) -> None:
        self.simulator.clusters[cluster].faults.update(faults)

    def by_hand(
        self, verb: Callable[[RapiClient, str], object], server_id: int, cluster: str = "alpha"
    ) -> None:
        """Do something to the server's instance behind our back."""
        with RapiClient(self.simulator.url(cluster), "cloudweb", "cloudweb") as client:
            verb(client, f"snf-{server_id}")

    def asked(self, cluster: str, path: str) -> bool:
        """Whether the cluster was ever asked for this."""
        return any(path in asked for asked in self.simulator.clusters[cluster].requests)

    def jobs(self, cluster: str = "alpha") -> list[str]:
        """The opcodes of all jobs the cluster ever took."""
        with RapiClient(self.simulator.url(cluster), "cloudweb", "cloudweb") as client:
            return [op.opcode for job in client.jobs_bulk() for op in job.ops]

    def osparams(self, cluster: str = "alpha") -> list[dict[str, str]]:
        """Those of every create the cluster was ever sent."""
        url = self.simulator.url(cluster) + "/2/jobs?bulk=1"
        credentials = base64.b64encode(b"cloudweb:cloudweb").decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {credentials}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            jobs = json.load(answer)
        return [op["osparams"] for job in jobs for op in job["ops"] if "osparams" in op]

    def instances(self, cluster: str = "alpha") -> list[str]:
        with RapiClient(self.simulator.url(cluster), "cloudweb", "cloudweb") as client:
            return [instance.name for instance in client.instances_bulk()]
