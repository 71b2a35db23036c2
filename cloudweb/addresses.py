"""Addresses of the regions that this installation connects to."""

from urllib.parse import urlsplit


def normal_url(url: str) -> str:
    """The URL without a slash at its end.

    Raises ValueError unless it is http or https, names a host, and has neither credentials nor a
    query or fragment.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in parts.netloc or "?" in url or "#" in url or "\\" in url:
        raise ValueError("This is not an http or https URL.")
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError("This is not an http or https URL.")
    return url.rstrip("/")
