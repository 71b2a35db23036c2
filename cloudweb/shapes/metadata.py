"""Metadata on the wire: all of it, what was changed, and one key."""

import colander

from cloudweb.shapes.base import Keyed
from cloudweb.shapes.requests import StringMap, only

KEY_MAX = VALUE_MAX = 255

METADATA = Keyed("metadata", "meta")
METADATA_CHANGED = Keyed("metadata", "meta", bare=True)
META = Keyed("meta", bare=True)


def Metadata(*, missing: object = colander.required) -> colander.SchemaNode:  # noqa: N802
    """Keys and values of a server; how many is for the domain to say."""
    return StringMap(key_max=KEY_MAX, value_max=VALUE_MAX, missing=missing)


CHANGE = only("metadata", Metadata())
PUT = only("meta", StringMap(key_max=KEY_MAX, value_max=VALUE_MAX, max_items=1, min_items=1))
