"""Images on the wire of the image registry: rows of lists, and what headers may say."""

import datetime as dt
import re
from typing import Any, ClassVar

import colander

from cloudweb.domain import images
from cloudweb.models import MAX_ID
from cloudweb.shapes.base import Listing, Mapped, Scalar, Shape
from cloudweb.shapes.requests import (
    Elements,
    Name,
    OneLine,
    Reference,
    Strict,
    StringMap,
    Text,
    only,
)

SYSTEM = "system"
"""The owner of images that no user registered."""


def _time(time: dt.datetime | None) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}" if time is not None else ""


_ID = Scalar("id", lambda i: i.id)
_NAME = Scalar("name", lambda i: i.name)
_FORMATS = (
    Scalar("disk_format", lambda i: i.disk_format),
    Scalar("container_format", lambda i: i.container_format),
)
_SIZE = Scalar("size", lambda i: i.size or 0, int)
_STATUS = Scalar("status", lambda i: i.status)

IMAGE_ROW = Shape(
    "image",
    [_STATUS, _NAME, *_FORMATS, _SIZE, _ID],
    namespaces={},
    listing=Listing.BARE,
)

REGISTERED_IMAGE = Shape(
    "image",
    [
        _NAME,
        *_FORMATS,
        _SIZE,
        Scalar("checksum", lambda i: i.checksum or ""),
        Scalar("location", lambda i: i.location),
        Scalar("created_at", lambda i: _time(i.created)),
        Scalar("updated_at", lambda i: _time(i.updated)),
        Scalar("deleted_at", lambda i: _time(i.deleted_at)),
        _STATUS,
        Scalar("is_public", lambda i: i.is_public, bool),
        Scalar("owner", lambda i: SYSTEM if i.owner_id is None else str(i.owner_id)),
        Mapped("properties", "property", lambda i: i.properties, bare=True),
        _ID,
    ],
    namespaces={},
    listing=Listing.BARE,
)

_CANNOT_SHARE = Scalar("can_share", lambda row: False, bool)

MEMBER = Shape(
    "member",
    [Scalar("member_id", str), _CANNOT_SHARE],
    namespaces={},
    listing=Listing.PLAIN,
)
"""Rows are the numbers of users."""

SHARED_IMAGE = Shape(
    "shared_image",
    [Scalar("image_id", str), _CANNOT_SHARE],
    namespaces={},
    listing=Listing.PLAIN,
)
"""Rows are ids of images."""


# --- what clients send --------------------------------------------------------------------------


class Size(colander.SchemaType):
    """A number of bytes in decimal digits."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": MAX_ID}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        text = str(cstruct)
        if not (text.isascii() and text.isdigit()) or int(text[:30]) > MAX_ID:
            raise colander.Invalid(node, "This must be a number of bytes.")
        return int(text)


class Truth(colander.SchemaType):
    """True or false, in any case."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "string", "enum": ["True", "False"]}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if str(cstruct).lower() not in ("true", "false"):
            raise colander.Invalid(node, "This must be True or False.")
        return str(cstruct).lower() == "true"


class Matching:
    """Validates a text by a pattern, and says what it should be."""

    def __init__(self, pattern: str, sentence: str) -> None:
        self._pattern, self._sentence = re.compile(pattern), sentence

    @property
    def json_schema(self) -> dict[str, Any]:
        return {"pattern": f"^{self._pattern.pattern}$"}

    def __call__(self, node: colander.SchemaNode, value: str) -> None:
        if not self._pattern.fullmatch(value):
            raise colander.Invalid(node, self._sentence)


def size(**options: Any) -> colander.SchemaNode:
    """A number of bytes."""
    return colander.SchemaNode(Size(), **options)


def _word(**options: Any) -> colander.SchemaNode:
    return colander.SchemaNode(Text(), validator=OneLine(20), missing=colander.drop, **options)


def _properties() -> colander.SchemaNode:
    return StringMap(
        key_max=images.KEY_MAX,
        value_max=images.VALUE_MAX,
        max_items=images.MAX_PROPERTIES,
        missing=colander.drop,
    )


class RegisterImage(Strict):
    """What a new image is said to be."""

    name = Name()
    location = colander.SchemaNode(Text(), validator=OneLine(1024), missing=colander.drop)
    disk_format = _word()
    container_format = _word()
    size = size(missing=colander.drop)
    checksum = colander.SchemaNode(
        Text(),
        validator=Matching("[0-9A-Za-z]{1,64}", "A checksum has 1 to 64 letters and digits."),
        missing=colander.drop,
    )
    is_public = colander.SchemaNode(Truth(), missing=colander.drop)
    owner = colander.SchemaNode(Text(), validator=OneLine(254), missing=colander.drop)
    store = _word()
    properties = _properties()


class UpdateImage(Strict):
    """What of an image is to be different."""

    name = Name()
    disk_format = _word()
    container_format = _word()
    is_public = colander.SchemaNode(Truth(), missing=colander.drop)
    owner = colander.SchemaNode(Text(), validator=OneLine(254), missing=colander.drop)
    status = _word()
    properties = _properties()


REGISTER = RegisterImage()
UPDATE = UpdateImage()
UPDATE["name"].missing = colander.drop


class Membership(Strict):
    """A user an image is to be shared with; whether they may share it on is not kept."""

    member_id = Reference(digits=True)
    can_share = colander.SchemaNode(colander.Boolean(), missing=colander.drop)


MEMBERSHIPS = only("memberships", Elements("membership", Membership()))
