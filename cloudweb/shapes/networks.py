"""Networks on the wire: brief, in detail, and the requests about them."""

import datetime as dt

import colander

from cloudweb.models import NetworkKind
from cloudweb.shapes.base import ATOM_NS, COMPUTE_NS, Ids, NumberOrName, Scalar, Shape
from cloudweb.shapes.requests import (
    Name,
    Reference,
    ReferenceType,
    Strict,
    Text,
    TextOrNull,
    Truth,
    choice,
    only,
)

NETWORK_BRIEF = Shape(
    "network",
    [
        Scalar("id", lambda n: n.api_id, NumberOrName),
        Scalar("name", lambda n: n.name),
    ],
)

NETWORK = Shape(
    "network",
    [
        Scalar("id", lambda n: n.api_id, NumberOrName),
        Scalar("name", lambda n: n.name),
        Scalar("updated", lambda n: n.updated, dt.datetime),
        Scalar("created", lambda n: n.created, dt.datetime),
        Scalar("status", lambda n: n.status),
        Scalar("public", lambda n: n.public, bool),
        Scalar("type", lambda n: n.kind, optional=True),
        Scalar("dhcp", lambda n: n.dhcp, bool, optional=True),
        Scalar("cidr", lambda n: n.cidr, optional=True),
        Scalar("gateway", lambda n: n.gateway, optional=True),
        Scalar("cidr6", lambda n: n.cidr6, optional=True),
        Scalar("gateway6", lambda n: n.gateway6, optional=True),
        Ids("servers", "server", lambda n: n.servers),
    ],
    namespaces={"xmlns": COMPUTE_NS, "xmlns:atom": ATOM_NS},
)


def _Optional(kind: colander.SchemaType) -> colander.SchemaNode:  # noqa: N802  (a kind of node)
    return colander.SchemaNode(kind, missing=colander.drop)


class CreateNetwork(Strict):
    """``{"network": {...}}`` of a POST to ``/networks``."""

    name = Name()
    type = colander.SchemaNode(
        Text(),
        validator=colander.OneOf([kind.value for kind in NetworkKind]),
        missing=colander.drop,
    )
    public = _Optional(Truth())
    dhcp = _Optional(Truth())
    cidr = _Optional(TextOrNull())
    gateway = _Optional(TextOrNull())
    cidr6 = _Optional(TextOrNull())
    gateway6 = _Optional(TextOrNull())


class RenameNetwork(Strict):
    """``{"network": {"name": ...}}`` of a PUT."""

    name = Name()


CREATE = only("network", CreateNetwork())
RENAME = only("network", RenameNetwork())


class AddServer(Strict):
    """``{"serverRef": 42}``."""

    serverRef = Reference(digits=True)  # noqa: N815  (the API's spelling)


class RemoveServer(Strict):
    """``{"serverRef": 42}``, or ``{"attachment": "nic-42-1"}``: the server and the card's place."""

    serverRef = _Optional(ReferenceType(digits=True))  # noqa: N815
    attachment = colander.SchemaNode(
        Text(), validator=colander.Regex("^nic-[0-9]{1,18}-[0-9]{1,9}$"), missing=colander.drop
    )


ACTION = choice({"add": AddServer(), "remove": RemoveServer()})
