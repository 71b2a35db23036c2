"""Every shape in both notations, to the byte, as clients know it."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from cloudweb import faults, wire
from cloudweb.backend.console import Console
from cloudweb.domain.network_lists import NetworkView
from cloudweb.domain.server_views import NewServerView, NicView, ServerView
from cloudweb.models import Diagnostic, Flavor, NetworkKind, NetworkState, OperState
from cloudweb.shapes import faults as fault_shapes
from cloudweb.shapes import versions
from cloudweb.shapes.base import Shape
from cloudweb.shapes.diagnostics import DIAGNOSTIC
from cloudweb.shapes.flavors import FLAVOR, FLAVOR_BRIEF
from cloudweb.shapes.networks import NETWORK, NETWORK_BRIEF
from cloudweb.shapes.servers import ADDRESSES, CONSOLE, NEW_SERVER, SERVER, SERVER_BRIEF
from cloudweb.shapes.stats import GRAPHS, STATS
from cloudweb.wire import Notation

GOLDEN = Path(__file__).parent / "golden"


def _server(kind: type[ServerView] = ServerView, **changes: Any) -> ServerView:
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
            NicView(
                0,
                "public",
                "public",
                "aa:00:00:49:2e:7e",
                "192.168.32.6",
                "2001:db8::6",
                "DISABLED",
            ),
            NicView(1, "2", "private", "aa:00:00:c3:69:6f", None, None, None),
        ],
        "metadata": {"foo": "bar & <baz>"},
    }
    return kind(**(values | changes))


_FLAVOR = Flavor(id=1, cpu=1, ram_mb=1024, disk_gb=20, disk_template="drbd")
_BUILDING = _server(state=OperState.BUILD, nics=[], metadata={}, job_status="running")
_NEW = _server(
    NewServerView, state=OperState.BUILD, job_status="", build_percentage=0, admin_pass="aB3dE6gH9j"
)
_VERSION = versions.describe("https://cloud.example.org")

_NETWORK = NetworkView(
    id=2,
    version=1,
    name="private <é>",
    state=NetworkState.ACTIVE,
    deleted=False,
    created=dt.datetime(2011, 4, 20, 14, 32, 8, 199640, tzinfo=dt.UTC),
    updated=dt.datetime(2011, 5, 6, 11, 40, 5, 582679, tzinfo=dt.UTC),
    kind=NetworkKind.MAC_FILTERED,
    dhcp=True,
    cidr="192.168.1.0/24",
    gateway="192.168.1.1",
    cidr6="2001:db8::/64",
    gateway6="2001:db8::1",
    servers=[1, 7],
)
_PUBLIC = NetworkView(
    id=-9,
    version=1,
    name="public",
    state=NetworkState.ACTIVE,
    deleted=False,
    created=dt.datetime(2011, 4, 20, 15, 31, 8, 199640, tzinfo=dt.UTC),
    updated=dt.datetime(2011, 5, 6, 12, 47, 5, 582679, tzinfo=dt.UTC),
)

_STATS = {"serverRef": 1, "refresh": 60} | {
    key: f"https://stats.example.org/1f0a/{graph}.png?a&b" for key, graph in GRAPHS.items()
}
_DIAGNOSTIC = Diagnostic(
    id=4,
    server_id=1,
    created=dt.datetime(2011, 4, 19, 10, 18, 52, 85737, tzinfo=dt.UTC),
    level="ERROR",
    source="image-helper",
    source_date=dt.datetime(2011, 4, 19, 10, 18, 50, tzinfo=dt.UTC),
    message='The disk is "full" <é>',
    details="line 1\nline 2",
)

CASES: list[tuple[str, Shape, Any]] = [
    ("server", SERVER, _server()),
    ("server_building", SERVER, _BUILDING),
    ("server_new", NEW_SERVER, _NEW),
    ("server_brief", SERVER_BRIEF, _server()),
    ("network", NETWORK, _NETWORK),
    ("network_public", NETWORK, _PUBLIC),
    ("network_brief", NETWORK_BRIEF, _PUBLIC),
    ("addresses", ADDRESSES, _server().nics[0]),
    ("diagnostic", DIAGNOSTIC, _DIAGNOSTIC),
    ("flavor", FLAVOR, _FLAVOR),
    ("flavor_brief", FLAVOR_BRIEF, _FLAVOR),
    ("version", versions.VERSION, _VERSION),
    ("version_brief", versions.VERSION_BRIEF, _VERSION),
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


@pytest.mark.parametrize("notation", [Notation.JSON, Notation.XML])
def test_statistics_are_written_as_they_always_were(notation: Notation) -> None:
    _compare(f"stats.{notation.name.lower()}", wire.render(STATS, _STATS, notation))


@pytest.mark.parametrize(
    ("name", "title", "path"),
    [("versions", "Available API Versions", ""), ("version", "About This Version", "v1.1/")],
)
def test_a_feed_of_versions_is_written_as_it_always_was(name: str, title: str, path: str) -> None:
    url = f"https://cloud.example.org/api/{path}"
    feed = versions.to_atom(_VERSION, title=title, url=url)
    _compare(f"{name}.atom", feed.encode())


@pytest.mark.parametrize("notation", [Notation.JSON, Notation.XML])
def test_a_console_is_written_as_it_always_was(notation: Notation) -> None:
    console = Console("vm42.ocean.example.org", 1234, "IN9RNmaV")
    _compare(f"console.{notation.name.lower()}", wire.render(CONSOLE, console, notation))


def test_a_fault_is_written_as_it_always_was() -> None:
    fault = faults.ItemNotFound("Server not found.", details={"id": "<9>"})
    _compare("fault.json", wire.dump_json(fault_shapes.to_json(fault)))
    _compare("fault.xml", (wire.XML_HEAD + fault_shapes.to_xml(fault)).encode())
