"""How an opcode of a simulated cluster ends in error."""


class OpFailed(Exception):
    """An opcode that ends in error: `result` is what its job says about it."""

    def __init__(self, kind: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.result = [kind, [message] if code is None else [message, code]]


def refused(message: str, code: str | None = None) -> OpFailed:
    """Refused before anything was done."""
    return OpFailed("OpPrereqError", message, code)
