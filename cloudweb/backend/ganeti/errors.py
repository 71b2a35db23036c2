"""What a call to Ganeti's remote API can end in, by what the caller can do about it."""


class RapiError(Exception):
    """A call that did not succeed; `status` is the HTTP status where there was an answer.

    The text is Ganeti's own where it sent one, and never holds credentials. Where `maybe_sent`, the
    cluster may have done what was asked all the same: look for the job before asking again.
    """

    def __init__(
        self, message: str, *, status: int | None = None, maybe_sent: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.maybe_sent = maybe_sent


class Unreachable(RapiError):
    """No answer. Not `maybe_sent` only when no connection came about.

    That is: refused, unknown host, TLS failed, connect timeout.
    """

    def __init__(self, message: str, *, maybe_sent: bool) -> None:
        super().__init__(message, maybe_sent=maybe_sent)


class TlsFailed(Unreachable):
    """The cluster did not prove who it is: nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, maybe_sent=False)


class Unauthorized(RapiError):
    """Wrong credentials, or a user who may not do this (401, 403)."""


class NotFound(RapiError):
    """No such instance or job."""


class BadRequest(RapiError):
    """Ganeti will never accept this request as it is (400)."""


class Busy(RapiError):
    """Not now: the job queue is full or closed, or something in front of Ganeti is down."""


class ServerError(RapiError):
    """Ganeti failed inside, or answered with a status nobody expects."""


class UnexpectedAnswer(ServerError):
    """An answer that is not what this call answers: not JSON, too large, another shape."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message, status=status, maybe_sent=True)
