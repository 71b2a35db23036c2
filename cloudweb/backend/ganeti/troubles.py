"""Why a cluster could not be asked, in words for whoever has to mend it."""

from cloudweb.backend.ganeti import errors

_NO_TLS = ("wrong_version_number", "wrong version number", "record layer", "http request")
_DISTRUST = ("certificate", "fingerprint")


def why(error: errors.RapiError) -> str:
    """That, in a sentence, with what was said word for word."""
    match error:
        case errors.TlsFailed():
            return f"{_of_tls(error.message)}: {error.message}"
        case errors.Unauthorized():
            return f"It refuses our user or password: {error.message}"
        case errors.Unreachable(maybe_sent=False):
            return f"Nothing answers at its address: {error.message}"
        case errors.NotFound():
            said = "What answers there does not know the remote API of a cluster"
            return f"{said}; is its address just https://, name and port? It says: {error.message}"
        case _:
            return error.message


def _of_tls(message: str) -> str:
    known = message.lower()
    if any(each in known for each in _NO_TLS):
        return "What answers at its address does not speak TLS; is it the right port"
    if any(each in known for each in _DISTRUST):
        return "Its certificate is not one we trust"
    return "No encrypted connection came about"
