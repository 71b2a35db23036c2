"""A server's console over the compute API: one of its actions."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import consoles
from cloudweb.shapes.servers import CONSOLE
from cloudweb.views.compute import answer_one


def open_console(request: Request, server_id: int, *, kind: str) -> Response:
    """Where the server's screen can be seen for the next half minute, and the password to it."""
    if kind != "vnc":
        raise faults.BadRequest('Type can only be "vnc".')
    wanted = consoles.find(request.db, request.identity, server_id)
    request.release_db()
    opened = request.consoles.open(wanted.backend, wanted.instance_name)
    consoles.note_opened(request.db, request.identity, server_id)
    response = answer_one(request, CONSOLE, opened)
    response.headers["Cache-Control"] = "no-store"
    return response
