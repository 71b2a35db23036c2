"""Every shape in both notations, to the byte, as clients know it."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from cloudweb import faults, wire
from cloudweb.domain.servers import NicView, ServerView
from cloudweb.models import Flavor, OperState
from cloudweb.shapes import faults as fault_shapes
from cloudweb.shapes import versions
from cloudweb.shapes.base import Shape
from cloudweb.shapes.flavors import FLAVOR, FLAVOR_BRIEF
from cloudweb.shapes.servers import SERVER, SERVER_BRIEF
from cloudweb.wire import Notation

GOLDEN = Path(__file__).parent / "golden"


def _server(**changes: Any) -> ServerView:
    values: dict[str, Any] = {
        "id": 1,
        "version": 3,
        "name": 'My "Server" <é>',
        "state": OperState.STARTED,
        "deleted": False,
        "job_opcode": "OP_INSTANCE_CREATE",
        "job_status": "success",
        "build_percentage": 42,
        "flavor_id": 7,
        "image_ref": "3f7e",
        "created": dt.datetime(2011, 4, 19, 10, 18, 52, 85737, tzinfo=dt.UTC),
        "updated": dt.datetime(2011, 5, 29, 14, 7, 7, tzinfo=dt.UTC),
        "nics": [
            NicView(0, "public", "aa:00:00:49:2e:7e", "192.168.32.6", "2001:db8::6", "DISABLED"),
            NicView(1, "2", "aa:00:00:c3:69:6f", None, None, None),
        ],
        "metadata": {"foo": "bar & <baz>"},
    }
    return ServerView(**(values | changes))


_FLAVOR = Flavor(id=1, cpu=1, ram_mb=1024, disk_gb=20, disk_template="drbd")
_BUILDING = _server(state=OperState.BUILD, nics=[], metadata={}, job_status="running")
_VERSION = versions.describe("https://cloud.example.org")

CASES: list[tuple[str, Shape, Any]] = [
    ("server", SERVER, _server()),
    ("server_building", SERVER, _BUILDING),
    ("server_brief", SERVER_BRIEF, _server()),
    ("flavor", FLAVOR, _FLAVOR),
    ("flavor_brief", FLAVOR_BRIEF, _FLAVOR),
    ("version", versions.VERSION, _VERSION),
]


def _compare(name: str, made: bytes) -> None:
    assert made.decode() + "\n" == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("notation", [Notation.JSON, Notation.XML])
@pytest.mark.parametrize(("name", "shape", "row"), CASES, ids=[case[0] for case in CASES])
def test_a_shape_is_written_as_it_always_was(
    name: str, shape: Shape, row: Any, notation: Notation
) -> None:
    suffix = notation.name.lower()
    _compare(f"{name}.{suffix}", wire.render(shape, row, notation))
    _compare(f"{name}_list.{suffix}", wire.render_rows(shape, [row, row], notation))


def test_a_fault_is_written_as_it_always_was() -> None:
    fault = faults.ItemNotFound("Server not found.", details={"id": "<9>"})
    _compare("fault.json", wire.dump_json(fault_shapes.to_json(fault)))
    _compare("fault.xml", (wire.XML_HEAD + fault_shapes.to_xml(fault)).encode())
