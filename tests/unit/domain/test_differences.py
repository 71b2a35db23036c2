"""How promoted flavors stand in a region, by what it has."""

import dataclasses
from typing import Any

import pytest

from cloudweb.domain.differences import Column, Standing, column, sentence
from cloudweb.models import Infrastructure, InfrastructureKind, utc_now
from cloudweb.specifications import Specification

NANO = Specification("n", "nano", 1, 64, 1, extra_specs={"a": "1"})


def stand(*there: Specification, kind: str = "openstack", seen: bool = True) -> Column:
    region = Infrastructure(name="Spain2", kind=InfrastructureKind(kind))
    region.refreshed = utc_now() if seen else None
    return column(region, [NANO], there)


@pytest.mark.parametrize(
    ("changes", "standing", "says"),
    [
        ({}, Standing.SAME, "same"),
        ({"id": "other"}, Standing.SAME, "same"),
        ({"extra_specs": None}, Standing.SAME, "same"),
        ({"is_public": False}, Standing.SAME, "same"),
        ({"vcpus": 2}, Standing.DIFFERENT, "different, vcpus 2, not 1"),
        ({"swap_mb": 8}, Standing.DIFFERENT, "different, swap_mb 8, not 0"),
        ({"ephemeral_gb": 8}, Standing.DIFFERENT, "different, ephemeral_gb 8, not 0"),
        ({"rxtx_factor": 2.0}, Standing.DIFFERENT, "different, rxtx_factor 2.0, not 1.0"),
        ({"extra_specs": {}}, Standing.DIFFERENT, "different, extra_specs {}, not {'a': '1'}"),
        ({"name": "small"}, Standing.OTHER_NAME, "other name: small"),
        ({"name": "small", "id": "s"}, Standing.OTHER_NAME, "other name: small"),
        ({"name": "small", "id": "s", "extra_specs": {}}, Standing.OTHER_NAME, "other name: small"),
        (
            {"name": "small", "vcpus": 2},
            Standing.DIFFERENT,
            "different, name 'small', not 'nano', vcpus 2, not 1",
        ),
        ({"name": "small", "id": "s", "vcpus": 2}, Standing.MISSING, "missing"),
    ],
)
def test_one_flavor(changes: Any, standing: Standing, says: str) -> None:
    found = stand(dataclasses.replace(NANO, **changes))
    cell = found.cells["n"]
    assert (cell.standing, sentence(cell)) == (standing, says)
    assert bool(found.extra) == (standing is Standing.MISSING)


def test_the_name_counts_before_the_id_and_the_hardware() -> None:
    named = dataclasses.replace(NANO, id="x", vcpus=9)
    twin = dataclasses.replace(NANO, name="twin")
    found = stand(twin, named)
    assert found.cells["n"].there == named
    assert list(found.extra) == [twin]


def test_a_region_that_was_never_seen_is_unknown() -> None:
    found = stand(seen=False)
    assert found.cells["n"].standing is Standing.UNKNOWN
    assert (list(found.extra), found.as_of) == ([], None)


def test_in_a_ganeti_region_the_hardware_counts() -> None:
    sized = dataclasses.replace(NANO, id="7", name="C1R64D1drbd", extra_specs=None)
    assert stand(sized, kind="ganeti").cells["n"].standing is Standing.SAME
    other = dataclasses.replace(sized, disk_gb=2)
    assert stand(other, kind="ganeti").cells["n"].standing is Standing.MISSING


def test_where_it_is_missing_one_of_the_same_size_is_named() -> None:
    swapping = dataclasses.replace(NANO, id="s", name="small", swap_mb=8)
    cell = stand(swapping).cells["n"]
    assert (cell.standing, cell.similar, cell.there) == (Standing.MISSING, swapping, None)
    larger = dataclasses.replace(swapping, disk_gb=2)
    assert stand(larger).cells["n"].similar is None


def test_one_that_does_not_answer_is_unknown_with_what_it_had() -> None:
    region = Infrastructure(name="Spain2", kind=InfrastructureKind.OPENSTACK, refreshed=utc_now())
    region.unreachable_since = utc_now()
    own = Specification("o", "own", 9, 9, 9)
    found = column(region, [NANO], [NANO, own])
    cell = found.cells["n"]
    assert (cell.standing, cell.there, sentence(cell)) == (Standing.UNKNOWN, NANO, "unknown")
    assert list(found.extra) == [own]
    assert not found.is_read
