"""A form whose file is too large is still read: what was typed beside the file is not lost."""

import io
import re

from pyramid.request import Request

_PAGES = re.compile(r"/admin/terms/(new|\d{1,18}/edit)")
"""The pages whose forms have files; these are the last of their fields."""
_BOUNDARY = re.compile(r'multipart/form-data;.*?boundary="?([^";,\s]{1,200})', re.IGNORECASE)
_NAME = re.compile(rb'name="(\w{1,40})"')


def shorten(request: Request, limit: int) -> bool:
    """Make do with the beginning of a form that is too large, if its page takes files.

    ``request.cut_off`` names the field of which there was more. What follows it is gone; nothing
    beyond the limit is read.
    """
    boundary = _BOUNDARY.match(request.headers.get("Content-Type", ""))
    if request.method != "POST" or not boundary or not _PAGES.fullmatch(request.path_info):
        return False
    mark = b"\r\n--" + boundary[1].encode()
    head = request.environ["wsgi.input"].read(limit)
    start = max(head.rfind(mark), 0)
    part = head[start:].decode("utf-8", "ignore").encode()
    name = _NAME.search(part.partition(b"\r\n\r\n")[0])
    request.cut_off = name[1].decode() if name else "file"
    body = head[:start] + (part if b"\r\n\r\n" in part else b"") + mark + b"--\r\n"
    request.environ["wsgi.input"] = io.BytesIO(body)
    request.content_length = len(body)
    return True
