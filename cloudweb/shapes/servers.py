"""Servers on the wire: brief, in detail, and the requests about them."""

import datetime as dt
from typing import Any

import colander

from cloudweb.domain import states
from cloudweb.domain.cards import Profile
from cloudweb.shapes.base import ATOM_NS, COMPUTE_NS, Listed, Mapped, Scalar, Shape
from cloudweb.shapes.metadata import Metadata
from cloudweb.shapes.personality import Personality
from cloudweb.shapes.requests import Name, Reference, Strict, Text, choice, only

ADDRESS = Shape("ip", [Scalar("version", lambda ip: ip[0], int), Scalar("addr", lambda ip: ip[1])])


def _addresses(nic: Any) -> list[tuple[int, str]]:
    return [(v, a) for v, a in ((4, nic.ipv4), (6, nic.ipv6)) if a]


NETWORK_ADDRESSES = Shape(
    "network",
    [
        Scalar("id", lambda nic: nic.network),
        Scalar("name", lambda nic: nic.network_name),
        Scalar("mac", lambda nic: nic.mac or ""),
        Scalar("firewallProfile", lambda nic: nic.firewall_profile, optional=True),
        Listed("values", ADDRESS, _addresses, wrap=False),
    ],
)

ADDRESSES = Shape("network", NETWORK_ADDRESSES.fields, plural="addresses")

SERVER_BRIEF = Shape(
    "server",
    [
        Scalar("id", lambda s: s.id, int),
        Scalar("name", lambda s: s.name),
    ],
)

SERVER = Shape(
    "server",
    [
        Scalar("created", lambda s: s.created, dt.datetime),
        Scalar("description", lambda s: "", json=False),
        Scalar("flavorRef", lambda s: s.flavor_id, int),
        Scalar("hostId", lambda s: ""),
        Scalar("id", lambda s: s.id, int),
        Scalar("imageRef", lambda s: s.image_ref),
        Scalar("name", lambda s: s.name),
        Scalar("progress", states.progress, int),
        Scalar("status", states.api_status),
        Scalar("updated", lambda s: s.updated, dt.datetime),
        # Not of the first version of the API: there only while it holds.
        Scalar("suspended", lambda s: s.suspended or None, bool, optional=True),
        Mapped("metadata", "meta", lambda s: s.metadata),
        Listed("addresses", NETWORK_ADDRESSES, lambda s: s.nics),
    ],
    namespaces={"xmlns": COMPUTE_NS, "xmlns:atom": ATOM_NS},
)


NEW_SERVER = Shape(
    "server",
    [Scalar("adminPass", lambda s: s.admin_pass), *SERVER.fields],
    namespaces={"xmlns": COMPUTE_NS, "xmlns:atom": ATOM_NS},
)

CONSOLE = Shape(
    "console",
    [
        Scalar("type", lambda c: c.type),
        Scalar("host", lambda c: c.host),
        Scalar("port", lambda c: c.port, int),
        Scalar("password", lambda c: c.password),
    ],
)


class CreateServer(Strict):
    """``{"server": {...}}`` of a POST to ``/servers``."""

    name = Name()
    imageRef = Reference()  # noqa: N815  (the API's spelling)
    flavorRef = Reference(digits=True)  # noqa: N815
    metadata = Metadata(missing=colander.drop)
    personality = Personality(missing=colander.drop)


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


class FirewallProfile(Strict):
    """``{"profile": "ENABLED" | "DISABLED" | "PROTECTED"}``."""

    profile = colander.SchemaNode(
        colander.String(allow_empty=False), validator=colander.OneOf([p.value for p in Profile])
    )


class Console(Strict):
    """``{"type": "vnc"}``; any other type has a refusal of its own."""

    type = colander.SchemaNode(Text(), missing="")


ACTIONS: dict[str, colander.SchemaNode] = {
    "start": NoArguments(),
    "shutdown": NoArguments(),
    "reboot": Reboot(),
    "firewallProfile": FirewallProfile(),
    "console": Console(),
}
ACTION = choice(ACTIONS)
