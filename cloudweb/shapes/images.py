"""Images on the wire of the compute API."""

import datetime as dt
from typing import Any

import colander

from cloudweb.domain import images
from cloudweb.shapes.base import Mapped, Scalar, Shape
from cloudweb.shapes.requests import StringMap, only


def _status(image: Any) -> str:
    if image.deleted:
        return "DELETED"
    return "ACTIVE" if image.status == images.AVAILABLE else "SAVING"


IMAGE_BRIEF = Shape(
    "image",
    [
        Scalar("id", lambda i: i.id),
        Scalar("name", lambda i: i.name),
    ],
)

IMAGE = Shape(
    "image",
    [
        Scalar("id", lambda i: i.id),
        Scalar("name", lambda i: i.name),
        Scalar("serverRef", lambda i: None, json=False),
        Scalar("updated", lambda i: i.updated, dt.datetime),
        Scalar("created", lambda i: i.created, dt.datetime),
        Scalar("status", _status),
        Scalar("progress", lambda i: 100 if i.status == images.AVAILABLE else 0, int),
        Mapped("metadata", "meta", lambda i: i.properties),
    ],
)


def _properties(least: int, most: int) -> colander.SchemaNode:
    return StringMap(
        key_max=images.KEY_MAX, value_max=images.VALUE_MAX, min_items=least, max_items=most
    )


CHANGE_METADATA = only("metadata", _properties(0, images.MAX_PROPERTIES))
CHANGE_META = only("meta", _properties(1, 1))
