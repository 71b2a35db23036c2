"""Every refusal there is: a name, a code and a sentence; each door spells it its own way."""

from collections.abc import Mapping
from typing import ClassVar


class Fault(Exception):
    """A refusal with a meaning for the caller.

    ``details`` is a sentence or a mapping of field to sentence; it is shown to the caller, so it
    never holds a secret or a traceback.
    """

    name: ClassVar[str] = "computeFault"
    code: ClassVar[int] = 500
    sentence: ClassVar[str] = "Unexpected error."

    def __init__(
        self, message: str | None = None, *, details: str | Mapping[str, str] = ""
    ) -> None:
        self.message = message or self.sentence
        self._details = details
        super().__init__(self.message)

    @property
    def details(self) -> str:
        """The details as one line of text."""
        if isinstance(self._details, str):
            return self._details
        return "; ".join(f"{field}: {text}" for field, text in sorted(self._details.items()))

    @property
    def fields(self) -> Mapping[str, str]:
        """The sentences by field; empty when the details are plain text."""
        return {} if isinstance(self._details, str) else self._details


class ComputeFault(Fault):
    """Something in cloudweb itself failed; the details hold the request id."""


class BadRequest(Fault):
    name, code, sentence = "badRequest", 400, "Malformed request."


class Unauthorized(Fault):
    name, code, sentence = "unauthorized", 401, "No user found."


class Forbidden(Fault):
    name, code, sentence = "forbidden", 403, "Request not allowed."


class ItemNotFound(Fault):
    name, code, sentence = "itemNotFound", 404, "Item not found."


class Conflict(Fault):
    name, code, sentence = "conflict", 409, "It has changed meanwhile."


class BuildInProgress(Fault):
    name, code, sentence = "buildInProgress", 409, "Server is being built."


class OverLimit(Fault):
    name, code, sentence = "overLimit", 413, "Resource limit exceeded."


class BadMediaType(Fault):
    name, code, sentence = "badMediaType", 415, "Unsupported Content-Type."


class TooManyRequests(Fault):
    """Refused for now; ``retry_after_s`` seconds from now it may be tried again."""

    name, code, sentence = "overLimit", 429, "Too many attempts."

    def __init__(self, message: str | None = None, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotImplementedFault(Fault):
    name, code, sentence = "notImplemented", 501, "This action is not supported."


class ServiceUnavailable(Fault):
    name, code, sentence = "serviceUnavailable", 503, "The service is not available now."


class ImpossibleMessage(Fault):
    """A message from the bus that can never be applied: for the dead letters."""

    name, code, sentence = "badRequest", 400, "The message makes no sense."
