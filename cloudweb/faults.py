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


class TermsPending(Unauthorized):
    """Whoever asks is known, and has yet to accept the terms of use."""

    sentence = "Pending approval terms"


class Forbidden(Fault):
    name, code, sentence = "forbidden", 403, "Request not allowed."


class ItemNotFound(Fault):
    name, code, sentence = "itemNotFound", 404, "Item not found."


class Conflict(Fault):
    name, code, sentence = "conflict", 409, "It has changed meanwhile."


class WrongMethod(Fault):
    name, code, sentence = "badMethod", 405, "There is nothing to be looked at here."


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


class UnreadableMessage(ImpossibleMessage):
    """One that is none of those agents send."""


# What the federation refuses, in the words its clients know.


class TokenRequired(Fault):
    name, code = "unauthorized", 401
    sentence = (
        "Could not verify your access level for that URL.\nYou have to login with proper token"
    )


class PromotionRefused(Fault):
    name, code, sentence = "unauthorized", 401, "You are not allowed to promote a flavor."


class RegionCredentialsRefused(Fault):
    """The region does not know the token that the caller brought, or none came."""

    name, code = "unauthorized", 401
    sentence = (
        "Your credentials are wrong and the request requires user authentication Please check it"
    )


class UnknownThere(ItemNotFound):
    """No such promoted flavor, region, or flavor in a region."""

    sentence = "Not Found Flavor"


class RoleMissing(Fault):
    name, code = "badMethod", 405
    sentence = (
        "The method specified in the Request-Line is not allowed for the resource identified by "
        "the Request-URI."
    )


class NotAllowed(Fault):
    """Not this, of this flavor."""

    name, code = "badMethod", 405
    sentence = "The method specified in the Request-Line is not allowed."


class BadGateway(Fault):
    """A region, or the identity manager, is away or talks nonsense."""

    name, code = "badGateway", 502
    sentence = (
        "Cannot connet to Openstack infrastructure. It could happen because it is down, it is not "
        "reachable or credentials are wrong. Please check it"
    )
