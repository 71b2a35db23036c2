"""Forms of other sites mean nothing: each comes from a page of ours, and with its token."""

import logging
from urllib.parse import urlsplit

from pyramid.csrf import CookieCSRFStoragePolicy
from pyramid.request import Request

_log = logging.getLogger(__name__)
_PORTS = {"http": 80, "https": 443}


class FormsOfOurs(CookieCSRFStoragePolicy):
    """Looks at where a form comes from, whatever the scheme, before its token.

    A proxy that ends TLS need not pass the scheme on for that.
    """

    def check_csrf_token(self, request: Request, supplied_token: str) -> bool:
        """Whether the form is of a page of ours and has the token its browser was given."""
        if not _is_from_here(request):
            _log.warning("form from elsewhere", extra={"origin": _given(request)[:200]})
            return False
        good: bool = super().check_csrf_token(request, supplied_token)
        return good


def _is_from_here(request: Request) -> bool:
    """A browser says ``Origin``, or at least ``Referer``. Without either it is nobody's form where
    all is encrypted; elsewhere, a program's.
    """
    encrypted = request.conf.session_cookie_secure or request.scheme == "https"
    given = _given(request)
    if not given:
        return not encrypted
    ours = {_origin(request.host_url), _origin(request.conf.public_url)}
    if encrypted:
        ours.add(_origin(f"https://{request.host}"))
    came = _origin(given)
    return came is not None and came in ours


def _given(request: Request) -> str:
    """Where the form says it comes from; of several, what was said nearest to us."""
    text: str = request.headers.get("Origin", request.headers.get("Referer", ""))
    return text.rpartition(" ")[2]


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what has none, such as ``null``."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (KeyError, ValueError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None
