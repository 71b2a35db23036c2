"""What a create's job says to the OS definition, beyond what the operation has written down."""

from sqlalchemy.orm import Session

from cloudweb.domain import handovers, states
from cloudweb.models import Operation
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings


class OsParameters:
    """Adds what only the instance is told: a URL to read it at once, or itself.

    As the setting ``os_params_mode`` has it.
    """

    def __init__(self, settings: Settings, sealer: Sealer) -> None:
        self._sealer = sealer
        self._keep_s = settings.handover_s
        self._in_job = settings.os_params_mode == "osparams"
        self._url = (settings.config_url_base or settings.public_url) + handovers.PATH

    def sending(self, session: Session, operation: Operation) -> dict[str, str]:
        """The parameters to add to an operation that is about to be sent.

        Raises ValueError when they were sealed with another key.
        """
        if operation.opcode != states.CREATE or operation.server_id is None:
            return {}
        parcel = handovers.send(session, self._sealer, operation.server_id, keep_s=self._keep_s)
        if parcel is None:
            return {}
        return dict(parcel.parameters) if self._in_job else {"config_url": self._url + parcel.token}

    def tidy(self, session: Session, backend_id: int | None = None) -> None:
        """Drop what was in the jobs of servers that are built (on this cluster).

        Until then it is kept: a create may have to be tried again.
        """
        if self._in_job:
            handovers.drop_built(session, backend_id)
