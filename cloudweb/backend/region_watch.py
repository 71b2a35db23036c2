"""The worker's part in the federation: keeps regions' flavors fresh and does what was ordered."""

import concurrent.futures
import logging
import threading
from collections.abc import Callable
from functools import partial

import sqlalchemy as sa

from cloudweb.backend.federation import Federation
from cloudweb.domain import identity, infrastructures, installs
from cloudweb.models import SessionFactory, unit_of_work
from cloudweb.settings import Settings

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
_THREADS = 64


class RegionWatch(threading.Thread):
    """Looks for regions that are due and for orders, each done in a thread of its own.

    So a region that is slow or down delays no other, and no order elsewhere.
    """

    def __init__(self, settings: Settings, sessions: SessionFactory) -> None:
        super().__init__(name="regions")
        self._settings = settings
        self._sessions = sessions
        self._federation = Federation(settings, sessions)
        self._identity = identity.system("worker")
        self._ending = threading.Event()
        self._under_way: set[concurrent.futures.Future[object]] = set()

    def stop(self) -> None:
        """End after what is under way."""
        self._ending.set()

    def run(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(_THREADS, "region") as pool:
            while not self._ending.is_set():
                try:
                    self._look(pool)
                except sa.exc.SQLAlchemyError as error:
                    cause = getattr(error, "orig", None) or error
                    _log.warning("database away", extra={"error": str(cause)[:200]})
                self._ending.wait(_LOOK_S)

    def _look(self, pool: concurrent.futures.ThreadPoolExecutor) -> None:
        self._under_way = {future for future in self._under_way if not future.done()}
        room = _THREADS - len(self._under_way)
        if room <= 0:
            return
        every_s = self._settings.region_refresh_s
        with unit_of_work(self._sessions, write=False) as session:
            due = infrastructures.count_due(session, every_s=every_s)
            waiting = installs.count_open(session)
        if due:
            with unit_of_work(self._sessions) as session:
                regions = infrastructures.claim_due(session, every_s=every_s, limit=room)
            for region in regions:
                self._begin(pool, partial(self._federation.refresh, self._identity, region))
        if waiting:
            with unit_of_work(self._sessions) as session:
                tasks = installs.claim(session, lease_s=self._federation.lease_s, limit=room)
            for task in tasks:
                self._begin(pool, partial(self._federation.perform, self._identity, task))

    def _begin(
        self, pool: concurrent.futures.ThreadPoolExecutor, work: Callable[[], object]
    ) -> None:
        self._under_way.add(pool.submit(self._guarded, work))

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001  (a later look tries again; the others go on meanwhile)
            _log.exception("region work failed")
