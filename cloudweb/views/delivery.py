"""The last step of every API answer: its ETag, 304, compression, and who may keep it."""

import gzip

from pyramid.request import Request
from pyramid.response import Response

from cloudweb.views import etags

_VARY = "X-Auth-Token, Accept, Accept-Encoding"
_KEPT = "private, max-age=0, must-revalidate"
_COMPRESS_FROM = 1024
_LEVEL = 4


def deliver(request: Request, response: Response) -> Response:
    """The response as it leaves; what was read is given a tag, and may be kept to ask again.

    What the view has said of tag and keeping stands. Only for the token APIs: pages hold a CSRF
    token and what the visitor sent beside it, and compressing both together would tell the one by
    the other.
    """
    # The plain list of headers: WebOb's views of it cost more than all the rest here.
    headers = response.headerlist
    said = {name.lower() for name, _ in headers}
    if "vary" in said:
        named = _split(f"{response.headers['Vary']}, {_VARY}")
        response.headers["Vary"] = ", ".join(dict.fromkeys(named))
    else:
        headers.append(("Vary", _VARY))
    status = response.status_int
    read = request.method in ("GET", "HEAD") and status in (200, 304)
    if "cache-control" not in said:
        headers.append(("Cache-Control", _KEPT if read else "no-store"))
    if read:
        _condition(request, response, said, status)
    return response


def _condition(request: Request, response: Response, said: set[str], status: int) -> None:
    tag = response.headers["ETag"] if "etag" in said else _tag(request, response, status)
    if tag is not None and "etag" not in said:
        response.headerlist.append(("ETag", tag))
    if status == 304 or (tag is not None and etags.conditional(request, tag)):
        _empty(response)
    else:
        _compress(request, response)


def _tag(request: Request, response: Response, status: int) -> str | None:
    known: str | None = request.answer_tag
    if known is not None or status != 200:
        return known
    # An empty answer says what it says in its headers.
    return etags.of_body(response.body) if response.body else None


def _empty(response: Response) -> None:
    response.status_code = 304
    response.body = b""
    for name in ("Content-Type", "Content-Length"):
        response.headers.pop(name, None)


def _compress(request: Request, response: Response) -> None:
    accepted = request.environ.get("HTTP_ACCEPT_ENCODING", "")
    if (
        not accepted
        or not takes_gzip(accepted)
        or response.content_encoding
        or len(response.body) < _COMPRESS_FROM
    ):
        return
    response.body = gzip.compress(response.body, _LEVEL, mtime=0)
    response.content_encoding = "gzip"


def takes_gzip(accepted: str) -> bool:
    """Whether this Accept-Encoding would have gzip, and not rather have nothing done."""
    weights: dict[str, float] = {}
    for item in _split(accepted):
        name, _, parameter = item.partition(";")
        weights[name.strip().lower()] = _weight(parameter)
    asked = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return asked > 0 and asked >= weights.get("identity", 0.0)


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _split(header: str) -> list[str]:
    return [item.strip() for item in header.split(",") if item.strip()]
