"""ETags: what an answer's bytes depend on, and whether the client holds them already."""

import functools
import hashlib
import re
from pathlib import Path

from pyramid.request import Request

import cloudweb

_TAG = re.compile(r'"([^"]*)"')
_READS = ("GET", "HEAD")


@functools.cache
def _release() -> bytes:
    """Moves with the code that writes bodies, so that a new release is never taken for the old."""
    package = Path(cloudweb.__file__).parent
    files = [package / "wire.py", *sorted((package / "shapes").glob("*.py"))]
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files)).digest()


def _weak(*parts: bytes) -> str:
    # Weak, because the same answer may come compressed or not.
    digest = hashlib.blake2b(digest_size=15)
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return f'W/"{digest.hexdigest()}"'


def held(request: Request, *versions: object) -> bool:
    """Whether the client holds the answer that these versions make; notes its ETag.

    Path, query string and notation are part of the tag by themselves. ``versions`` are all else
    that the bytes depend on: in the end numbers that move, and whose they are.
    """
    place = f"{request.path_info}?{request.query_string} {request.notation.value}"
    request.answer_tag = _weak(_release(), place.encode(), repr(versions).encode())
    return _names(request, request.answer_tag)


def of_body(body: bytes) -> str:
    """The tag of an answer known by nothing but its bytes."""
    return _weak(body)


def conditional(request: Request, tag: str) -> bool:
    """Whether the answer with this tag is one the client said it does not need again."""
    return request.method in _READS and _names(request, tag)


def _names(request: Request, tag: str) -> bool:
    wanted = request.environ.get("HTTP_IF_NONE_MATCH", "")
    if not wanted:
        return False
    return wanted.strip() == "*" or tag[3:-1] in _TAG.findall(wanted)
