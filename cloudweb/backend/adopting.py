"""Does what pages ask of adoptions: finds out what a cluster has, and makes servers of it."""

from cloudweb.backend import found
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import adoption, adoption_orders, owners
from cloudweb.domain.adoption import Step
from cloudweb.domain.identity import Identity
from cloudweb.domain.identity import system as system_identity
from cloudweb.domain.places import FoundNetwork
from cloudweb.models import (
    Adoption,
    AdoptionState,
    Backend,
    SessionFactory,
    User,
    unit_of_work,
    utc_now,
)


class Adopting:
    """The adoptions of one cluster. Killed at any line, it is gone on with where it was."""

    def __init__(self, backend_id: int, sessions: SessionFactory, prefix: str) -> None:
        self._backend_id = backend_id
        self._sessions = sessions
        self._prefix = prefix

    def run(self, client: RapiClient) -> None:
        """Do the oldest one that is wanted or confirmed, if there is one. Raises RapiError."""
        with unit_of_work(self._sessions, write=False) as session:
            order = adoption_orders.find_due(session, self._backend_id)
        if order is None:
            return
        taken = utc_now()
        instances, networks = found.instances(client), found.networks(client)
        owner_of = owners.owner_of(owners.parse(order.rules), order.owner or None)
        with unit_of_work(self._sessions) as session:
            backend = session.get_one(Backend, self._backend_id)
            steps = adoption.plan(
                session, backend, instances, owner_of=owner_of, prefix=self._prefix
            )
            if order.state is AdoptionState.WANTED:
                adoption_orders.keep_plan(session, order.id, steps, taken=taken)
                return
        self._adopt(order, {step.instance.name: step for step in steps}, networks)

    def _adopt(
        self,
        order: Adoption,
        planned: dict[str, Step],
        networks: dict[str, FoundNetwork],
    ) -> None:
        with unit_of_work(self._sessions, write=False) as session:
            waiting = adoption_orders.list_unsettled(session, order.id)
            identity = _identity(session.get(User, order.user_id or 0))
        for batch in adoption.batches(waiting):
            with unit_of_work(self._sessions) as session:
                batch = adoption_orders.lock_unsettled(session, self._backend_id, batch)
                wanted = [adoption_orders.agreed(row, planned.get(row.instance)) for row in batch]
                done = adoption.adopt(
                    session,
                    identity,
                    session.get_one(Backend, self._backend_id),
                    [each for each in wanted if not isinstance(each, str)],
                    networks,
                    image_ref=order.image_ref,
                    reason=order.reason,
                )
                became = {step.instance.name: step for step in done}
                ends = [
                    each if isinstance(each, str) else became[each.instance.name] for each in wanted
                ]
                adoption_orders.settle(session, batch, ends)
        with unit_of_work(self._sessions) as session:
            adoption_orders.finish(session, order.id)

    def note_failed(self, message: str) -> None:
        """The cluster does not answer: whoever asked is told so."""
        with unit_of_work(self._sessions) as session:
            adoption_orders.note_failed(session, self._backend_id, message)


def _identity(user: User | None) -> Identity:
    """Whoever confirmed it, for the audit."""
    if user is None:
        return system_identity("worker")
    return Identity(user.id, user.email, user.role, "dashboard")
