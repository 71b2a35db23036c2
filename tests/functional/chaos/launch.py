"""Starts one process of a cloud: ``python -m … web|worker|consumer FILE.ini [WITHOUT]``.

WITHOUT breaks on purpose what keeps things from being lost or done twice, to see that this is
noticed: ``idempotence`` has the worker send again without looking for the job it may have sent;
``outbox`` has the web process ask the cluster itself, in the middle of the request.
"""

import sys
from collections.abc import Callable
from typing import Any

from pyramid.scripts import pserve
from sqlalchemy.orm import Session

from cloudweb.backend import asking, lane, worker
from cloudweb.backend.amqp import consumer
from cloudweb.backend.ganeti import operations as requests
from cloudweb.backend.ganeti.errors import RapiError
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.os_parameters import OsParameters
from cloudweb.backend.target import Target
from cloudweb.cli.config import load_settings
from cloudweb.domain import operations
from cloudweb.domain.identity import Identity
from cloudweb.faults import ServiceUnavailable
from cloudweb.models import Backend, Operation, OperationState, utc_now
from cloudweb.sealing import Sealer

WITHOUT = ("idempotence", "outbox")


def without_idempotence(_ini: str) -> None:
    """No job is ever found again by its reason."""
    RapiClient.find_job = lambda *_: None  # type: ignore[method-assign]


def without_outbox(ini: str) -> None:
    """What is to be done is asked of the cluster at once, and written down afterwards."""
    settings = load_settings(ini)
    sealer = Sealer.of(settings)
    os_parameters = OsParameters(settings, sealer)

    def send(session: Session, identity: Identity, operation: Operation) -> Operation:
        write_down(session, identity, operation)
        target = Target.of(session.get_one(Backend, operation.backend_id), sealer)
        told = os_parameters.sending(session, operation)
        reason = asking.reason_of(operation)
        try:
            with target.connect(settings) as client:
                arguments = lane._arguments(operation, told)
                operation.job_id = requests.submit(
                    client, operation.opcode, operation.target, arguments, reason
                )
        except RapiError as error:
            raise ServiceUnavailable(error.message) from error
        operation.state = OperationState.SUBMITTED
        operation.sent = operation.submitted = operation.due = utc_now()
        return operation

    write_down = operations.write_down
    operations.write_down = send


PROGRAMS: dict[str, Callable[[list[str]], Any]] = {
    "web": lambda given: pserve.main(["pserve", *given]),
    "worker": worker.main,
    "consumer": consumer.main,
}
BROKEN: dict[tuple[str, str], Callable[[str], None]] = {
    ("worker", "idempotence"): without_idempotence,
    ("web", "outbox"): without_outbox,
}


def main(program: str, ini: str, without: str = "") -> int:
    BROKEN.get((program, without), lambda _ini: None)(ini)
    return PROGRAMS[program]([ini]) or 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
