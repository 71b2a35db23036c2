"""What our client of Keystone and Nova can rely on, whichever of the two it speaks to."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from cloudweb.backend.openstack import errors
from cloudweb.backend.openstack.keystone import Pass, PassBook
from cloudweb.backend.openstack.nova import NovaRegion
from cloudweb.specifications import Specification
from tests.openstack.conftest import Subject

Wanted = Callable[..., Specification]
Connect = Callable[..., NovaRegion]
FULL: dict[str, Any] = {
    "swap_mb": 512,
    "ephemeral_gb": 7,
    "rxtx_factor": 2.0,
    "extra_specs": {"hw:cpu_policy": "shared", "quota:disk_read_iops_sec": "100"},
}


@pytest.fixture
def projects(subject: Subject) -> tuple[str, ...]:
    return tuple(sorted(subject.token(user)["project"]["id"] for user in ("admin", "demo")))


def test_a_list_has_every_flavor_with_its_extra_specs(region: NovaRegion) -> None:
    found = {flavor.name: flavor for flavor in region.list_flavors()}
    assert {"m1.tiny", "m1.small", "m1.medium"} <= set(found)
    tiny = found["m1.tiny"]
    assert (tiny.vcpus, tiny.ram_mb, tiny.disk_gb, tiny.swap_mb) == (1, 512, 1, 0)
    assert tiny.is_public
    assert tiny.extra_specs == {}


def test_a_flavor_is_made_with_all_that_was_asked(
    region: NovaRegion, wanted: Wanted, projects: tuple[str, ...]
) -> None:
    order = wanted(**FULL, is_public=False, access=projects)
    made = region.create(order)
    assert made == order
    assert region.get(order.id) == order
    listed = next(flavor for flavor in region.list_flavors() if flavor.id == order.id)
    assert listed == dataclasses.replace(order, access=None)


def test_nova_chooses_an_id_where_none_is_given(region: NovaRegion, wanted: Wanted) -> None:
    made = region.create(dataclasses.replace(wanted(), id=""))
    assert made.id
    region.delete(made.id)


def test_a_private_flavor_is_hidden_from_a_member_until_granted(
    region: NovaRegion, connect: Connect, wanted: Wanted, subject: Subject
) -> None:
    hidden = region.create(wanted(is_public=False, access=()))
    granted = region.create(
        wanted(is_public=False, access=(subject.token("demo")["project"]["id"],))
    )
    member = connect(user="demo")
    seen = {flavor.id for flavor in member.list_flavors()}
    assert granted.id not in seen or hidden.id not in seen
    assert hidden.id not in seen
    with pytest.raises(errors.NotFound):
        member.get(hidden.id)
    assert member.get(granted.id).access is None


def test_regions_have_flavors_of_their_own(
    region: NovaRegion, connect: Connect, wanted: Wanted
) -> None:
    made = region.create(wanted())
    with pytest.raises(errors.NotFound):
        connect("Trento").get(made.id)


def test_a_name_and_an_id_are_there_once(region: NovaRegion, wanted: Wanted) -> None:
    first = region.create(wanted())
    with pytest.raises(errors.Conflict):
        region.create(wanted(name=first.name))
    with pytest.raises(errors.Conflict):
        region.create(wanted(id=first.id))


def test_what_nova_never_takes_is_refused(region: NovaRegion, wanted: Wanted) -> None:
    with pytest.raises(errors.Refused):
        region.create(wanted(ram_mb=-1))
    with pytest.raises(errors.Refused):
        region.create(wanted(vcpus=0))


def test_a_flavor_that_cannot_be_completed_is_not_there(region: NovaRegion, wanted: Wanted) -> None:
    order = wanted(is_public=False, access=("no-such-project",))
    with pytest.raises(errors.Refused):
        region.create(order)
    with pytest.raises(errors.NotFound):
        region.get(order.id)


def test_a_member_may_not_make_or_delete_flavors(
    region: NovaRegion, connect: Connect, wanted: Wanted
) -> None:
    member, made = connect(user="demo"), region.create(wanted())
    with pytest.raises(errors.Forbidden):
        member.create(wanted())
    with pytest.raises(errors.Forbidden):
        member.delete(made.id)


def test_a_deleted_flavor_is_not_found(region: NovaRegion, wanted: Wanted) -> None:
    made = region.create(wanted())
    region.delete(made.id)
    with pytest.raises(errors.NotFound):
        region.delete(made.id)
    with pytest.raises(errors.NotFound):
        region.get(made.id)


def test_replacing_keeps_id_extra_specs_and_projects(
    region: NovaRegion, wanted: Wanted, projects: tuple[str, ...]
) -> None:
    old = region.create(wanted(**FULL, is_public=False, access=projects))
    before = {flavor.name for flavor in region.list_flavors()}
    order = dataclasses.replace(old, vcpus=8, swap_mb=0, extra_specs=None, access=None)
    made = region.replace(old.id, order)
    assert made == dataclasses.replace(old, vcpus=8, swap_mb=0)
    assert region.get(old.id) == made
    assert {flavor.name for flavor in region.list_flavors()} == before


def test_replacing_can_change_the_name(region: NovaRegion, wanted: Wanted) -> None:
    old = region.create(wanted(extra_specs={"a": "1"}))
    made = region.replace(old.id, dataclasses.replace(old, name=f"{old.name}.new"))
    assert (made.id, made.name, made.extra_specs) == (old.id, f"{old.name}.new", {"a": "1"})


def test_replacing_by_a_name_that_is_taken_leaves_the_old_one(
    region: NovaRegion, wanted: Wanted
) -> None:
    old, other = region.create(wanted()), region.create(wanted())
    with pytest.raises(errors.Conflict):
        region.replace(old.id, dataclasses.replace(old, name=other.name))
    assert region.get(old.id).name == old.name


def test_replacing_by_what_nova_refuses_leaves_the_old_one(
    region: NovaRegion, wanted: Wanted
) -> None:
    old = region.create(wanted(extra_specs={"a": "1"}))
    before = {flavor.name for flavor in region.list_flavors()}
    with pytest.raises(errors.Refused):
        region.replace(old.id, dataclasses.replace(old, vcpus=0))
    assert region.get(old.id).extra_specs == {"a": "1"}
    assert {flavor.name for flavor in region.list_flavors()} == before


def test_a_wrong_password_is_unauthorized(connect: Connect) -> None:
    with pytest.raises(errors.Unauthorized):
        connect(password="wrong").list_flavors()


def test_an_unknown_project_is_unauthorized(connect: Connect) -> None:
    with pytest.raises(errors.Unauthorized):
        connect(tenant="nobodys").list_flavors()


def test_a_region_that_is_not_in_the_catalog_has_no_endpoint(connect: Connect) -> None:
    with pytest.raises(errors.NoEndpoint, match="compute service in Gent region not found"):
        connect("Gent").list_flavors()


def test_the_callers_own_token_opens_what_the_caller_may_do(
    connect: Connect, subject: Subject, wanted: Wanted
) -> None:
    admin = connect(token=subject.token("admin")["text"])
    made = admin.create(wanted())
    member = connect(token=subject.token("demo")["text"])
    assert made.id in {flavor.id for flavor in member.list_flavors()}
    with pytest.raises(errors.Forbidden):
        member.delete(made.id)


@pytest.mark.parametrize("token", ["bogus", "gAAAAABbogus", "x" * 300, "with space", "ü"])
def test_a_token_that_is_none_is_unauthorized(connect: Connect, token: str) -> None:
    with pytest.raises(errors.Unauthorized):
        connect(token=token).list_flavors()


def test_a_token_without_a_project_has_no_endpoint(connect: Connect, subject: Subject) -> None:
    with pytest.raises(errors.NoEndpoint):
        connect(token=subject.token("admin", scoped=False)["text"]).list_flavors()


def test_a_kept_token_that_is_refused_is_renewed_once(
    region: NovaRegion, passes: PassBook, subject: Subject
) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    [region.list_flavors() for _ in range(2)]
    key = next(iter(passes._kept))
    passes._kept[key] = Pass("revoked", subject.compute_url(), later)
    assert region.list_flavors()
    assert passes._kept[key].token != "revoked"
