"""Images of both APIs, their metadata and members in both notations, to the byte."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from cloudweb import wire
from cloudweb.models import Image
from cloudweb.shapes.base import Shape
from cloudweb.shapes.images import IMAGE, IMAGE_BRIEF
from cloudweb.shapes.metadata import META, METADATA, METADATA_CHANGED
from cloudweb.shapes.registry import IMAGE_ROW, MEMBER, REGISTERED_IMAGE, SHARED_IMAGE
from cloudweb.wire import Notation

GOLDEN = Path(__file__).parent / "golden"
UUID = "5b1abcec-640d-48ca-9ab8-47b057961382"


def _image(**changes: Any) -> Image:
    values: dict[str, Any] = {
        "id": UUID,
        "owner_id": 7,
        "name": 'Debian "12" <é>',
        "location": "pithos://okeanos/images/debian.img",
        "disk_format": "diskdump",
        "container_format": "bare",
        "size": 1_073_741_824,
        "checksum": "9a271f2a916b0b6ee6cecb2426f0b320",
        "status": "available",
        "is_public": True,
        "deleted": False,
        "properties": {"osfamily": "linux", "a & b": "<c>"},
        "created": dt.datetime(2011, 4, 19, 10, 18, 52, 85737, tzinfo=dt.UTC),
        "updated": dt.datetime(2011, 5, 29, 14, 7, 7, tzinfo=dt.UTC),
    }
    return Image(**(values | changes))


_BARE = _image(
    owner_id=None,
    size=None,
    checksum=None,
    status="unavailable",
    is_public=False,
    properties={},
)
_DELETED = _image(deleted=True, deleted_at=dt.datetime(2011, 6, 1, tzinfo=dt.UTC))
_METADATA = {"foo": "bar & <baz>", 'a "key"': "two\nlines"}

ONE: list[tuple[str, Shape, Any]] = [
    ("image", IMAGE, _image()),
    ("image_saving", IMAGE, _BARE),
    ("image_deleted", IMAGE, _DELETED),
    ("metadata", METADATA, _METADATA),
    ("metadata_changed", METADATA_CHANGED, _METADATA),
    ("meta", META, {"foo": "bar & <baz>"}),
]
MANY: list[tuple[str, Shape, list[Any]]] = [
    ("images_brief", IMAGE_BRIEF, [_image(), _BARE]),
    ("images", IMAGE, [_image(), _BARE]),
    ("images_none", IMAGE, []),
    ("registry_brief", IMAGE_ROW, [_image(), _BARE]),
    ("registry", REGISTERED_IMAGE, [_image(), _BARE, _DELETED]),
    ("registry_none", REGISTERED_IMAGE, []),
    ("members", MEMBER, [7, 8]),
    ("members_none", MEMBER, []),
    ("shared_images", SHARED_IMAGE, [UUID]),
]
notations = pytest.mark.parametrize("notation", [Notation.JSON, Notation.XML])


def _compare(name: str, notation: Notation, made: bytes) -> None:
    golden = GOLDEN / f"{name}.{notation.name.lower()}"
    assert made.decode() + "\n" == golden.read_text(encoding="utf-8")


@notations
@pytest.mark.parametrize(("name", "shape", "row"), ONE, ids=[case[0] for case in ONE])
def test_one_is_written_as_it_always_was(
    name: str, shape: Shape, row: Any, notation: Notation
) -> None:
    _compare(name, notation, wire.render(shape, row, notation))


@notations
@pytest.mark.parametrize(("name", "shape", "rows"), MANY, ids=[case[0] for case in MANY])
def test_a_list_is_written_as_it_always_was(
    name: str, shape: Shape, rows: list[Any], notation: Notation
) -> None:
    _compare(name, notation, wire.render_rows(shape, rows, notation))
