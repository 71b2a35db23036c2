"""What a call to a region can end in, by what the caller can do about it."""


class RegionError(Exception):
    """A call that did not succeed; the text is for logs and operators and holds no credentials.

    Where `maybe_sent`, the region may have done what was asked all the same.
    """

    maybe_sent = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unreachable(RegionError):
    """No answer in time, or none at all."""

    def __init__(self, message: str, *, maybe_sent: bool = True) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


class BadAnswer(RegionError):
    """An answer that is not what this call answers: 5xx, not JSON, too large, another shape."""

    maybe_sent = True

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NoEndpoint(RegionError):
    """The catalog has no public compute endpoint of the region."""


class Unauthorized(RegionError):
    """Wrong credentials, or a token that is no longer one (401; Keystone's 404)."""


class Forbidden(RegionError):
    """Right credentials of somebody who may not do this (403)."""


class NotFound(RegionError):
    """No such flavor (404)."""


class Conflict(RegionError):
    """A flavor of that name or id is there (409)."""


class Refused(RegionError):
    """The region will never take this as it is (400)."""
