"""How to reach each endpoint: what must be there, and a body it takes. A new one needs a row."""

import dataclasses
from collections.abc import Callable
from typing import Any

from cloudweb.models import Diagnostic, ImageMember
from cloudweb.resources import Resource, compute, identity, registry
from tests.functional.conformance import federation_rows
from tests.functional.conformance.reaching import Reached, Row
from tests.functional.conformance.world import LONG_AGO, World


def _server(world: World) -> Reached:
    return Reached({"server_id": world.server().id})


def _diagnosed_server(world: World) -> Reached:
    server = world.server()
    world.add(
        Diagnostic(
            server_id=server.id,
            created=LONG_AGO,
            level="INFO",
            source="image-info",
            source_date=LONG_AGO,
            message="Starting image copy",
            details="",
        )
    )
    return Reached({"server_id": server.id})


def _server_key(world: World) -> Reached:
    return Reached({"server_id": world.server().id, "key": "role"})


def _flavor(world: World) -> Reached:
    return Reached({"flavor_id": world.flavor.id})


def _create_server(world: World) -> Reached:
    order = {
        "name": "web-1",
        "imageRef": world.image().id,
        "flavorRef": world.flavor.id,
        "metadata": {"role": "front"},
        "personality": [{"path": "/etc/motd", "contents": "SGVsbG8uCg==", "mode": "0644"}],
    }
    return Reached(body={"server": order})


def _image(world: World) -> Reached:
    image = world.image(
        owner_id=world.owner_id,
        is_public=False,
        location="pithos://alice/images/debian.img",
        size=1_073_741_824,
        checksum="9a271f2a916b0b6ee6cecb2426f0b320",
        properties={"osfamily": "linux"},
    )
    return Reached({"image_id": image.id})


def _image_key(world: World) -> Reached:
    return Reached({"image_id": _image(world).keys["image_id"], "key": "osfamily"})


def _member(world: World) -> Reached:
    reached = _image(world)
    friend, _ = world.user("carol@example.org")
    world.add(ImageMember(image_id=reached.keys["image_id"], user_id=friend))
    return Reached({**reached.keys, "member_id": friend})


def _members(world: World) -> Reached:
    """As the list of them, or of what is shared with one."""
    reached = _member(world)
    friends = [{"member_id": str(reached.keys["member_id"])}, {"member_id": str(world.stranger_id)}]
    return dataclasses.replace(reached, body={"memberships": friends})


_REGISTERED = {
    "X-Image-Meta-Name": "Debian 12",
    "X-Image-Meta-Location": "pithos://alice/images/debian.img",
    "X-Image-Meta-Property-OSFAMILY": "linux",
}


def _network(world: World) -> Reached:
    return Reached({"network_id": world.network().id})


def _create_network(world: World) -> Reached:
    world.mac_prefixes()
    return Reached(body={"network": {"name": "private_net", "cidr": "10.0.0.0/24", "dhcp": True}})


def _add_server(world: World) -> Reached:
    server = {"serverRef": world.server().id}
    return Reached({"network_id": world.network().id}, body={"add": server})


def _public_address(world: World) -> Reached:
    return Reached({"server_id": world.server().id, "network_id": "public"})


def _with(reach: Callable[[World], Reached], **changes: Any) -> Callable[[World], Reached]:
    return lambda world: dataclasses.replace(reach(world), **changes)


ROWS: dict[tuple[type[Resource], str], Row] = {
    (compute.ComputeRoot, "GET"): Row(),
    (compute.VersionResource, "GET"): Row(),
    (compute.FlavorCollection, "GET"): Row(),
    (compute.FlavorDetailResource, "GET"): Row(),
    (compute.FlavorResource, "GET"): Row(_flavor, stranger=200),
    (compute.ServerCollection, "GET"): Row(_server),
    (compute.ServerCollection, "POST"): Row(_create_server),
    (compute.ServerDetailResource, "GET"): Row(_server),
    (compute.ServerResource, "GET"): Row(_server),
    (compute.ServerResource, "PUT"): Row(_with(_server, body={"server": {"name": "web-2"}})),
    (compute.ServerResource, "DELETE"): Row(_server),
    (compute.ServerMetadataCollection, "GET"): Row(_server),
    (compute.ServerMetadataCollection, "POST"): Row(
        _with(_server, body={"metadata": {"role": "back", "tier": "2"}})
    ),
    (compute.ServerMetadataItemResource, "GET"): Row(_server_key),
    (compute.ServerMetadataItemResource, "PUT"): Row(
        _with(_server_key, body={"meta": {"role": "back"}})
    ),
    (compute.ServerMetadataItemResource, "DELETE"): Row(_server_key),
    (compute.ServerStatsResource, "GET"): Row(_server),
    (compute.AddressCollection, "GET"): Row(_server),
    (compute.AddressResource, "GET"): Row(_public_address),
    (compute.NetworkCollection, "GET"): Row(_network),
    (compute.NetworkCollection, "POST"): Row(_create_network),
    (compute.NetworkDetailResource, "GET"): Row(_network),
    (compute.NetworkResource, "GET"): Row(_network),
    (compute.NetworkResource, "PUT"): Row(_with(_network, body={"network": {"name": "new_name"}})),
    (compute.NetworkResource, "DELETE"): Row(_network),
    (compute.NetworkActionResource, "POST"): Row(_add_server),
    (compute.ServerDiagnosticsResource, "GET"): Row(_diagnosed_server),
    (compute.ServerActionResource, "POST"): Row(_with(_server, body={"reboot": {"type": "SOFT"}})),
    (compute.ImageCollection, "GET"): Row(_image),
    (compute.ImageCollection, "POST"): Row(),
    (compute.ImageDetailResource, "GET"): Row(_image),
    (compute.ImageResource, "GET"): Row(_image),
    (compute.ImageResource, "DELETE"): Row(_image),
    (compute.ImageMetaCollection, "GET"): Row(_image),
    (compute.ImageMetaCollection, "POST"): Row(_with(_image, body={"metadata": {"os": "debian"}})),
    (compute.ImageKeyResource, "GET"): Row(_image_key),
    (compute.ImageKeyResource, "PUT"): Row(_with(_image_key, body={"meta": {"osfamily": "bsd"}})),
    (compute.ImageKeyResource, "DELETE"): Row(_image_key),
    (registry.ImageCollection, "GET"): Row(_image),
    (registry.ImageCollection, "POST"): Row(_with(Row().reach, headers=_REGISTERED)),
    (registry.ImageDetailResource, "GET"): Row(_image),
    (registry.ImageResource, "HEAD"): Row(_image),
    (registry.ImageResource, "GET"): Row(_image, stranger=501),
    (registry.ImageResource, "PUT"): Row(_with(_image, headers={"X-Image-Meta-Name": "Debian"})),
    (registry.ImageResource, "DELETE"): Row(_image),
    (registry.MemberCollection, "GET"): Row(_members),
    (registry.MemberCollection, "PUT"): Row(_members),
    (registry.MemberResource, "PUT"): Row(_member),
    (registry.MemberResource, "DELETE"): Row(_member),
    (identity.AuthenticateResource, "GET"): Row(),
    (registry.SharedImagesResource, "GET"): Row(_member, stranger=200),
    **federation_rows.ROWS,
}

OTHERS: dict[tuple[type[Resource], str, int], Row] = {
    (compute.ServerActionResource, "POST", 200): Row(
        _with(_server, body={"console": {"type": "vnc"}})
    ),
}
"""How each further status that an endpoint declares comes about."""


def row_of(resource: type[Resource], method: str) -> Row:
    """The row of an endpoint. Raises LookupError with what to do."""
    row = ROWS.get((resource, method))
    if row is None:
        raise LookupError(
            f"Nothing says how to reach {method} of {resource.__name__}: add a row to {__file__}"
        )
    return row
