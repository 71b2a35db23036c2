"""The files a new server is to start with, as clients send them."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import colander

from cloudweb import faults
from cloudweb.domain.texts import readable
from cloudweb.shapes.requests import CONTROL, ONE_LINE

MAX_FILES = 5
MAX_BYTES = 10_240
_PATH_MAX, _NAME_MAX, _MODE_MAX = 255, 64, 0o7777
_OCTAL = re.compile("0?[0-7]{1,4}")

_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_PATH = rf"^(/(?!\.\.(/|$))[^/{CONTROL}]*)+$"
_NAME = {"type": "string", "minLength": 1, "maxLength": _NAME_MAX, "pattern": ONE_LINE}
_FILE: dict[str, dict[str, Any]] = {
    "path": {"type": "string", "pattern": _PATH, "maxLength": _PATH_MAX},
    "contents": {
        "type": "string",
        "contentEncoding": "base64",
        "pattern": _BASE64,
        "maxLength": MAX_BYTES,
    },
    "owner": _NAME,
    "group": _NAME,
    "mode": {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": _MODE_MAX},
            {"type": "string", "pattern": f"^{_OCTAL.pattern}$"},
        ]
    },
}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": ["path", "contents"],
        "additionalProperties": False,
    }


class PersonalityType(colander.SchemaType):
    """A list of files: ``path`` and ``contents`` in base64, maybe ``owner``, ``group``, ``mode``.

    A mode is a number, or a text with its octal digits; either way it comes out as a number.
    """

    @property
    def json_schema(self) -> dict[str, Any]:
        return {"type": "array", "maxItems": MAX_FILES, "items": _closed(_FILE)}

    @property
    def xml_schema(self) -> dict[str, Any]:
        """``<file path="…">base64</file>``, as often as there are files."""
        file = {key: part | {"xml": {"attribute": True}} for key, part in _FILE.items()}
        file["contents"] = _FILE["contents"] | {"xml": {"x-text": True}}
        items = _closed(file) | {"xml": {"name": "file"}}
        return {
            "type": "array",
            "maxItems": MAX_FILES,
            "items": items,
            "xml": {"wrapped": True},
        }

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        """The files. Raises Invalid, and OverLimit for too many or too large ones."""
        if cstruct is colander.null:
            return colander.null
        if not isinstance(cstruct, list):
            raise colander.Invalid(node, "This must be a list.")
        if len(cstruct) > MAX_FILES:
            raise faults.OverLimit(
                "Maximum number of personalities exceeded", details=f"At most {MAX_FILES} files."
            )
        try:
            return [_file(each) for each in cstruct]
        except ValueError as error:
            raise colander.Invalid(node, str(error)) from None


def Personality(*, missing: Any = colander.required) -> colander.SchemaNode:  # noqa: N802
    """The files of a new server."""
    return colander.SchemaNode(PersonalityType(), missing=missing)


def _file(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not _FILE.keys() >= given.keys():
        raise ValueError(f"A file is an object with no keys but {', '.join(sorted(_FILE))}.")
    file = {"path": _path(given.get("path")), "contents": _contents(given.get("contents"))}
    for key in ("owner", "group"):
        if key in given:
            file[key] = _name(key, given[key])
    return file | ({"mode": _mode(given["mode"])} if "mode" in given else {})


def _path(given: Any) -> str:
    if (
        not isinstance(given, str)
        or not given.startswith("/")
        or len(given.encode("utf-8", "replace")) > _PATH_MAX
        or not readable(given)
        or ".." in given.split("/")
    ):
        raise ValueError(f"A file needs an absolute path of at most {_PATH_MAX} bytes.")
    return given


def _contents(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError("A file needs contents, in base64.")
    if len(given) > MAX_BYTES:
        raise faults.OverLimit(
            "Maximum size of personality exceeded",
            details=f"At most {MAX_BYTES} characters of base64.",
        )
    try:
        base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("The contents of a file must be base64.") from None
    return given


def _name(key: str, given: Any) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= _NAME_MAX or not readable(given):
        raise ValueError(f"The {key} of a file is a name of at most {_NAME_MAX} characters.")
    return given


def _mode(given: Any) -> int:
    mode = int(given, 8) if isinstance(given, str) and _OCTAL.fullmatch(given) else given
    if isinstance(mode, float) and mode.is_integer():  # in JSON 420.0 is 420
        mode = int(mode)
    if not isinstance(mode, int) or isinstance(mode, bool) or not 0 <= mode <= _MODE_MAX:
        raise ValueError("The mode of a file is a number or octal digits, at most 7777.")
    return mode
