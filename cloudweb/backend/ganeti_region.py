"""Our own clusters as a region of the federation: its flavors are those of the compute API."""

from types import TracebackType
from typing import Self

from cloudweb import faults
from cloudweb.backend.openstack.errors import Conflict, NotFound, Refused
from cloudweb.domain import flavors
from cloudweb.domain.identity import Identity
from cloudweb.models import Flavor, SessionFactory, unit_of_work
from cloudweb.specifications import Specification


class GanetiRegion:
    """Answers as a region's Nova does, from our own tables; each call is a unit of work.

    A flavor there has no name of its own, no swap, no ephemeral disk and no extra specs.
    """

    def __init__(self, sessions: SessionFactory, identity: Identity, disk_template: str) -> None:
        self._sessions = sessions
        self._identity = identity
        self._disk_template = disk_template

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is held."""

    def list_flavors(self) -> list[Specification]:
        """Every flavor with the region's disk template."""
        with unit_of_work(self._sessions, write=False) as session:
            rows = flavors.list_active(session)
        return [_read(row) for row in rows if row.disk_template == self._disk_template]

    def get(self, flavor_id: str) -> Specification:
        """One of them. Raises NotFound."""
        for flavor in self.list_flavors():
            if flavor.id == flavor_id:
                return flavor
        raise NotFound(f"No flavor {flavor_id}.")

    def create(self, wanted: Specification) -> Specification:
        """A flavor of these sizes. Raises Refused, Conflict."""
        if wanted.swap_mb or wanted.ephemeral_gb:
            raise Refused("A flavor of a Ganeti region has no swap and no ephemeral disk.")
        try:
            with unit_of_work(self._sessions) as session:
                row = flavors.create(
                    session,
                    self._identity,
                    cpu=wanted.vcpus,
                    ram_mb=wanted.ram_mb,
                    disk_gb=wanted.disk_gb,
                    disk_template=self._disk_template,
                )
                return _read(row)
        except faults.Conflict as fault:
            raise Conflict(fault.message) from None
        except faults.BadRequest as fault:
            raise Refused(fault.message) from None

    def delete(self, flavor_id: str) -> None:
        """No new server can have it. Raises NotFound."""
        self.get(flavor_id)
        with unit_of_work(self._sessions) as session:
            flavors.delete(session, self._identity, int(flavor_id))

    def replace(self, flavor_id: str, wanted: Specification) -> Specification:
        """A flavor of these sizes in place of the other. Raises NotFound, Refused, Conflict."""
        old = self.get(flavor_id)
        if old.hardware == wanted.hardware:
            return old
        made = self.create(wanted)
        self.delete(flavor_id)
        return made


def _read(row: Flavor) -> Specification:
    return Specification(
        id=str(row.id), name=row.name, vcpus=row.cpu, ram_mb=row.ram_mb, disk_gb=row.disk_gb
    )
