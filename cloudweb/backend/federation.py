"""Acts in regions, with no transaction open meanwhile, and notes afterwards what came of it.

For the doors: views, commands and the worker. What a region refuses is a RegionError here.
"""

import concurrent.futures
import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from cloudweb.backend.ganeti_region import GanetiRegion
from cloudweb.backend.openstack.errors import BadAnswer, Conflict, NotFound, RegionError
from cloudweb.backend.openstack.keystone import Login, PassBook
from cloudweb.backend.openstack.nova import Limits, NovaRegion
from cloudweb.domain import audit, installs, regions, sources
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    Infrastructure,
    InfrastructureKind,
    ResultState,
    SessionFactory,
    unit_of_work,
)
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from cloudweb.specifications import Specification

_log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_MAX_AT_ONCE = 64
# A replacement may begin its time anew twice: to put the old flavor back, and to tidy up.
_LEASE_IN_LIMITS = 6


@dataclasses.dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of asking a region; ``error`` is empty where it told its flavors."""

    region: str
    flavors: int
    error: str


def limits_of(settings: Settings) -> Limits:
    """How regions, and the identity manager, are reached."""
    return Limits(
        settings.region_connect_timeout_s,
        settings.region_read_timeout_s,
        settings.region_ca_file,
    )


class Federation:
    """Reaches the regions of one installation; for all threads of a process."""

    def __init__(self, settings: Settings, sessions: SessionFactory) -> None:
        self._sessions = sessions
        self._sealer = Sealer.of(settings)
        self._passes = PassBook()
        self._limits = limits_of(settings)

    @property
    def lease_s(self) -> float:
        """Longer than anything done in one region takes."""
        return _LEASE_IN_LIMITS * (self._limits.connect_s + self._limits.read_s) + 10

    def connect(
        self, identity: Identity, region: Infrastructure, token: str | None = None
    ) -> "GanetiRegion | NovaRegion":
        """The region as its own account, or as whoever the token is of. Raises RegionError."""
        if region.kind is InfrastructureKind.GANETI:
            return GanetiRegion(self._sessions, identity, region.disk_template)
        password = self._open(region) if token is None else ""
        login = Login(
            region.keystone_url, region.username, password, region.tenant, region.region_name
        )
        return NovaRegion(login, self._passes, self._limits, callers_token=token)

    def _open(self, region: Infrastructure) -> str:
        try:
            return self._sealer.open(region.password_sealed)
        except ValueError as error:
            raise BadAnswer(f"The password of {region.name} cannot be read: {error}") from None

    # Single flavors.

    def list_flavors(
        self, identity: Identity, region: Infrastructure, token: str
    ) -> list[Specification]:
        """What the caller's token shows now."""
        with self.connect(identity, region, token) as there:
            return there.list_flavors()

    def get(
        self, identity: Identity, region: Infrastructure, flavor_id: str, token: str | None = None
    ) -> Specification:
        """One flavor as it is now, with its extra specs and projects."""
        with self.connect(identity, region, token) as there:
            return there.get(flavor_id)

    def create(
        self,
        identity: Identity,
        region: Infrastructure,
        wanted: Specification,
        token: str | None = None,
    ) -> Specification:
        """A new flavor in the region."""
        with self.connect(identity, region, token) as there:
            made = there.create(wanted)
        self._note(identity, region, "create", made.id, name=made.name, made=made)
        return made

    def replace(
        self,
        identity: Identity,
        region: Infrastructure,
        flavor_id: str,
        change: Callable[[Specification], Specification],
        token: str | None = None,
    ) -> Specification:
        """Other values for a flavor, made from those it has now."""
        with self.connect(identity, region, token) as there:
            old = there.get(flavor_id)
            made = there.replace(flavor_id, change(old))
        gone = flavor_id if made.id != flavor_id else None
        self._note(identity, region, "replace", flavor_id, name=made.name, made=made, gone=gone)
        return made

    def delete(
        self, identity: Identity, region: Infrastructure, flavor_id: str, token: str | None = None
    ) -> None:
        """Take a flavor from the region."""
        with self.connect(identity, region, token) as there:
            there.delete(flavor_id)
        self._note(identity, region, "delete", flavor_id, gone=flavor_id)

    def withdraw(
        self, identity: Identity, region: Infrastructure, published_id: str, flavor_id: str
    ) -> None:
        """Take a published flavor from a region, or note that it was there no more."""
        with contextlib.suppress(NotFound):
            self.delete(identity, region, flavor_id)
        with unit_of_work(self._sessions) as session:
            sources.leave(session, published_id, region)

    def _note(
        self,
        identity: Identity,
        region: Infrastructure,
        verb: str,
        flavor_id: str,
        *,
        name: str = "",
        made: Specification | None = None,
        gone: str | None = None,
    ) -> None:
        with unit_of_work(self._sessions) as session:
            if made is not None:
                regions.keep_one(session, region.id, made)
            if gone is not None:
                regions.forget_one(session, region.id, gone)
            action = f"region:{verb}"
            audit.record(
                *(session, identity, action, "flavor", flavor_id),
                region=region.name,
                name=name,
                before="there" if gone is not None else "not there",
                after="there" if made is not None else "not there",
            )

    # Keeping up.

    def refresh(self, identity: Identity, region: Infrastructure) -> Refreshed:
        """Ask a region for its flavors, and know them; one that fails is marked so."""
        try:
            with self.connect(identity, region) as there:
                found = there.list_flavors()
        except RegionError as error:
            with unit_of_work(self._sessions) as session:
                regions.note_unreachable(session, region.id, error.message)
            _log.warning("region away", extra={"region": region.name, "error": error.message})
            return Refreshed(region.name, 0, error.message)
        with unit_of_work(self._sessions) as session:
            regions.keep(session, region.id, found)
        return Refreshed(region.name, len(found), "")

    def refresh_all(self, identity: Identity, chosen: Sequence[Infrastructure]) -> list[Refreshed]:
        """Ask these regions at the same time: it takes as long as the slowest one alone."""
        return _at_once(lambda region: self.refresh(identity, region), chosen)

    # Installing what the catalogue has.

    def work(self, identity: Identity, install_id: int) -> None:
        """Do what is waiting of an order, in all its regions at the same time."""
        with unit_of_work(self._sessions) as session:
            tasks = installs.claim(session, lease_s=self.lease_s, limit=1000, install_id=install_id)
        _at_once(lambda task: self.perform(identity, task), tasks)

    def perform(self, identity: Identity, task: installs.Task) -> None:
        """Have one region have the flavor, and keep what came of it."""
        made = None
        try:
            state, made = self._install(identity, task)
            message = ""
        except RegionError as error:
            state, message = ResultState.FAILED, error.message
        with unit_of_work(self._sessions) as session:
            installs.finish(session, task, state, message, made)

    def _install(
        self, identity: Identity, task: installs.Task
    ) -> tuple[ResultState, Specification]:
        wanted = task.wanted
        with self.connect(identity, task.region) as there:
            found = _find(wanted, there.list_flavors(), task.region.kind)
            if found is None:
                return ResultState.DONE, there.create(wanted)
            found = there.get(found.id)
            different = [field for field, _, _ in wanted.differences(found)]
            if not different or task.region.kind is InfrastructureKind.GANETI:
                return ResultState.UNCHANGED, found
            if not task.mend:
                raise Conflict(f"It is there with another {', '.join(different)}; mend it.")
            change = dataclasses.replace(wanted, id=found.id, access=None)
            return ResultState.DONE, there.replace(found.id, change)


def _find(
    wanted: Specification, there: Iterable[Specification], kind: InfrastructureKind
) -> Specification | None:
    """The flavor that is, or stands in the way of, the wanted one. Raises Conflict for two."""
    there = list(there)
    if kind is InfrastructureKind.GANETI:
        return next((flavor for flavor in there if flavor.hardware == wanted.hardware), None)
    by_name = next((flavor for flavor in there if flavor.name == wanted.name), None)
    by_id = next((flavor for flavor in there if flavor.id == wanted.id), None)
    if by_name is not None and by_id is not None and by_name.id != by_id.id:
        raise Conflict(f"Its id is that of {by_id.name} there.")
    return by_name or by_id


def _at_once(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    if not items:
        return []
    with concurrent.futures.ThreadPoolExecutor(min(len(items), _MAX_AT_ONCE)) as pool:
        return list(pool.map(work, items))
