"""Servers on the wire: brief, in detail, and the requests about them."""

from typing import Any

import colander

from cloudweb.domain import states
from cloudweb.shapes.base import ATOM_NS, COMPUTE_NS, Listed, Mapped, Scalar, Shape
from cloudweb.shapes.requests import Name, Reference, Strict, StringMap, only

ADDRESS = Shape("ip", [Scalar("version", lambda ip: ip[0]), Scalar("addr", lambda ip: ip[1])])


def _addresses(nic: Any) -> list[tuple[int, str]]:
    return [(v, a) for v, a in ((4, nic.ipv4), (6, nic.ipv6)) if a]


NETWORK_ADDRESSES = Shape(
    "network",
    [
        Scalar("id", lambda nic: nic.network),
        Scalar("name", lambda nic: nic.network),
        Scalar("mac", lambda nic: nic.mac or ""),
        Scalar("firewallProfile", lambda nic: nic.firewall_profile, optional=True),
        Listed("values", ADDRESS, _addresses, wrap=False),
    ],
)

SERVER_BRIEF = Shape("server", [Scalar("id", lambda s: s.id), Scalar("name", lambda s: s.name)])

SERVER = Shape(
    "server",
    [
        Scalar("created", lambda s: s.created),
        Scalar("description", lambda s: "", json=False),
        Scalar("flavorRef", lambda s: s.flavor_id),
        Scalar("hostId", lambda s: ""),
        Scalar("id", lambda s: s.id),
        Scalar("imageRef", lambda s: s.image_ref),
        Scalar("name", lambda s: s.name),
        Scalar("progress", states.progress),
        Scalar("status", states.api_status),
        Scalar("updated", lambda s: s.updated),
        Mapped("metadata", "meta", lambda s: s.metadata),
        Listed("addresses", NETWORK_ADDRESSES, lambda s: s.nics),
    ],
    namespaces={"xmlns": COMPUTE_NS, "xmlns:atom": ATOM_NS},
)


class CreateServer(Strict):
    """``{"server": {...}}`` of a POST to ``/servers``."""

    name = Name()
    imageRef = Reference()  # noqa: N815  (the API's spelling)
    flavorRef = Reference(digits=True)  # noqa: N815
    metadata = StringMap(key_max=50, value_max=500, max_items=100, missing=colander.drop)


class RenameServer(Strict):
    """``{"server": {"name": ...}}`` of a PUT."""

    name = Name()


CREATE = only("server", CreateServer())
RENAME = only("server", RenameServer())


class NoArguments(Strict):
    """``{}``: an action that takes nothing."""


class Reboot(Strict):
    """``{"type": "SOFT" | "HARD"}``."""

    type = colander.SchemaNode(
        colander.String(allow_empty=False), validator=colander.OneOf(("SOFT", "HARD"))
    )


ACTIONS: dict[str, colander.SchemaNode] = {
    "start": NoArguments(),
    "shutdown": NoArguments(),
    "reboot": Reboot(),
}
