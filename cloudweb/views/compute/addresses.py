"""A server's addresses over the compute API."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults, wire
from cloudweb.domain import server_views
from cloudweb.resources.compute import AddressCollection, AddressResource, ServerResource
from cloudweb.shapes.servers import ADDRESSES
from cloudweb.views.compute import ROUTE, answer, answer_one, notation_of
from cloudweb.views.endpoints import endpoint


def _nics(context: AddressCollection, request: Request) -> list[server_views.NicView]:
    server = context.__parent__
    assert isinstance(server, ServerResource)
    return server_views.get(request.db, request.identity, server.id).nics


@endpoint(ROUTE, AddressCollection, gives=ADDRESSES, many=True, refuses=(faults.ItemNotFound,))
def list_all(context: AddressCollection, request: Request) -> Response:
    """A server's addresses, by network."""
    rows = _nics(context, request)
    return answer(request, wire.render_rows(ADDRESSES, rows, notation_of(request)))


@endpoint(ROUTE, AddressResource, gives=ADDRESSES, refuses=(faults.ItemNotFound,))
def get(context: AddressResource, request: Request) -> Response:
    """A server's addresses on one network."""
    collection = context.__parent__
    assert isinstance(collection, AddressCollection)
    for nic in _nics(collection, request):
        if nic.network == str(context.id):
            return answer_one(request, ADDRESSES, nic)
    raise faults.ItemNotFound("Server not connected to this network.")
