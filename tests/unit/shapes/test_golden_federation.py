"""The federation's shapes and refusals in both notations, to the byte, as its clients know them."""

from pathlib import Path
from typing import Any

import pytest

from cloudweb import faults, wire
from cloudweb.domain.catalogue import Offer
from cloudweb.models import Infrastructure
from cloudweb.shapes import federation_faults
from cloudweb.shapes.base import Shape
from cloudweb.shapes.federation import FLAVOR, INFRASTRUCTURE, REGION
from cloudweb.wire import Notation

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {Notation.JSON: "json", Notation.XML: "xml"}


def _offer(**changes: Any) -> Offer:
    values: dict[str, Any] = {
        "id": "567b200e-0aca-49e0-8e9a-8c1f6ad3abe2",
        "name": "insane <é> & more",
        "vcpus": 640,
        "ram_mb": 1232896,
        "disk_gb": 1262485504,
        "swap_mb": 4096,
        "promoted": True,
        "public": True,
        "nodes": ["Mordor", "Spain2"],
    }
    return Offer(**(values | changes))


_MORDOR = Infrastructure(name="Mordor")
ONE: dict[str, tuple[Shape, Any]] = {
    "federation_flavor": (FLAVOR, _offer()),
    "federation_flavor_nowhere": (FLAVOR, _offer(nodes=[], promoted=False, public=False)),
    "federation_infrastructure": (INFRASTRUCTURE, _MORDOR),
}
MANY: dict[str, tuple[Shape, list[Any]]] = {
    "federation_flavors": (FLAVOR, [_offer(), _offer(id="1", nodes=[])]),
    "federation_flavors_none": (FLAVOR, []),
    "federation_regions": (REGION, [_MORDOR, Infrastructure(name="Spain2")]),
    "federation_infrastructures": (INFRASTRUCTURE, [_MORDOR]),
}
FAULTS = {
    "federation_fault": faults.Conflict("The there is already a flavor named <é>\x01"),
    "federation_fault_plain": faults.TokenRequired(),
}


def check(name: str, notation: Notation, body: bytes) -> None:
    file = GOLDEN / f"{name}.{SUFFIXES[notation]}"
    assert body.decode() == file.read_text(encoding="utf-8").removesuffix("\n")


@pytest.mark.parametrize("notation", SUFFIXES)
@pytest.mark.parametrize("name", ONE)
def test_one(name: str, notation: Notation) -> None:
    shape, row = ONE[name]
    check(name, notation, wire.render(shape, row, notation))


@pytest.mark.parametrize("notation", SUFFIXES)
@pytest.mark.parametrize("name", MANY)
def test_many(name: str, notation: Notation) -> None:
    shape, rows = MANY[name]
    check(name, notation, wire.render_rows(shape, rows, notation))


@pytest.mark.parametrize("notation", SUFFIXES)
@pytest.mark.parametrize("name", FAULTS)
def test_a_refusal(name: str, notation: Notation) -> None:
    body, _media = federation_faults.body_of(FAULTS[name], notation)
    check(name, notation, body)
