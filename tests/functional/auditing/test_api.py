"""Every call that changes something, at every URL of the APIs, is in the audit, done or refused.

The calls are those of the table of the APIs; what each writes is said here, and a new one that
says nothing fails.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import webtest

from cloudweb.models import CatalogueFlavor, Role
from cloudweb.resources import Resource, compute, federation, registry
from cloudweb.wire import Notation
from tests.fake_region import FakeCloud
from tests.functional.auditing.ledger import (
    ADDRESS,
    MOVED,
    REQUEST,
    Ledger,
    Wrote,
    check_done,
    check_refused,
    wrote,
)
from tests.functional.conformance.reaching import Reached
from tests.functional.conformance.test_table import CASES, Case
from tests.functional.conformance.world import REGION, World

WRITES = [case for case in CASES if case.endpoint.method not in ("GET", "HEAD")]

UNSUPPORTED = {(compute.ImageCollection, "POST")}
"""What answers that it is not implemented, whoever asks."""

WROTE: dict[tuple[type[Resource], str], Wrote] = {
    (compute.ServerCollection, "POST"): wrote("server:create", operation=True),
    (compute.ServerResource, "PUT"): wrote("server:rename", details=MOVED),
    (compute.ServerResource, "DELETE"): wrote("server:delete", operation=True),
    (compute.ServerActionResource, "POST"): wrote("server:reboot", operation=True),
    (compute.ServerMetadataCollection, "POST"): wrote("server:metadata-update", details=MOVED),
    (compute.ServerMetadataItemResource, "PUT"): wrote("server:metadata-update", details=MOVED),
    (compute.ServerMetadataItemResource, "DELETE"): wrote("server:metadata-delete", details=MOVED),
    (compute.NetworkCollection, "POST"): wrote("network:create", details="name"),
    (compute.NetworkResource, "PUT"): wrote("network:rename", details=MOVED),
    (compute.NetworkResource, "DELETE"): wrote("network:delete", details="name"),
    (compute.NetworkActionResource, "POST"): wrote("network:connect", operation=True),
    (compute.ImageResource, "DELETE"): wrote("image:delete", details="name"),
    (compute.ImageMetaCollection, "POST"): wrote("image:update", details=MOVED),
    (compute.ImageKeyResource, "PUT"): wrote("image:update", details=MOVED),
    (compute.ImageKeyResource, "DELETE"): wrote("image:update", details=MOVED),
    (registry.ImageCollection, "POST"): wrote("image:register", details="name"),
    (registry.ImageResource, "PUT"): wrote("image:update", details=MOVED),
    (registry.ImageResource, "DELETE"): wrote("image:delete", details="name"),
    (registry.MemberCollection, "PUT"): wrote("image:share", details="added removed"),
    (registry.MemberResource, "PUT"): wrote("image:share", details="added removed"),
    (registry.MemberResource, "DELETE"): wrote("image:share", details="added removed"),
    (federation.PromotedFlavorCollection, "POST"): wrote("promoted:create", details="name"),
    (federation.PromotedFlavorResource, "PUT"): wrote("flavor:promote", details="name"),
    (federation.PromotedFlavorResource, "DELETE"): wrote("promoted:delete", details="name"),
    (federation.RegionalFlavorCollection, "POST"): wrote("region:create", details="name region"),
    (federation.RegionalFlavorResource, "PUT"): wrote("region:replace", details="name region"),
    (federation.RegionalFlavorResource, "DELETE"): wrote("region:delete", details="region"),
    (federation.InfrastructureCollection, "POST"): wrote("infrastructure:register", details="name"),
    (federation.InfrastructureResource, "DELETE"): wrote(
        "infrastructure:unregister", details="name"
    ),
    (federation.FlavorCollection, "POST"): wrote("region:create", details="name region"),
    (federation.FlavorResource, "PUT"): wrote("flavor:publish", details="name"),
    (federation.FlavorResource, "DELETE"): wrote("region:delete", details="region"),
}
"""What each writes when it succeeds."""


def _new_member(world: World) -> Reached:
    image = world.image(owner_id=world.owner_id, is_public=False)
    return Reached({"image_id": image.id, "member_id": world.stranger_id})


def _published(world: World) -> Reached:
    world.owner_is(Role.FLAVOR_MANAGER)
    sizes = {"vcpus": 1, "ram_mb": 64, "disk_gb": 1}
    row = world.add(CatalogueFlavor(flavor_id="nano", name="m1.nano", promoted=False, **sizes))
    return Reached({"promoted_flavor_id": row.flavor_id}, {"flavor": {"promoted": True}})


CHANGING: dict[tuple[type[Resource], str], Callable[[World], Reached]] = {
    (registry.MemberResource, "PUT"): _new_member,
    (federation.PromotedFlavorResource, "PUT"): _published,
}
"""How to reach what the table of the APIs reaches by a call that leaves it as it is."""

every_write = pytest.mark.parametrize(
    "case", WRITES, ids=[f"{c.endpoint.method} {c.place.path}" for c in WRITES]
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[FakeCloud]:
    """The Keystone and the Nova of the table's region."""
    with FakeCloud(REGION) as cloud:
        yield cloud


@pytest.fixture
def world(sessions: Any, cloud: FakeCloud) -> World:
    return World(sessions, cloud=cloud)


@pytest.fixture
def caller(app: webtest.TestApp) -> webtest.TestApp:
    """An application that is asked from one address, with one request id."""
    app.extra_environ |= {"REMOTE_ADDR": ADDRESS, "HTTP_X_REQUEST_ID": REQUEST}
    return app


@every_write
def test_what_is_done_is_written_down(
    caller: webtest.TestApp, world: World, sessions: Any, case: Case
) -> None:
    key = (case.place.resource, case.endpoint.method)
    reached, ledger = CHANGING.get(key, case.row.reach)(world), Ledger(sessions)
    answer = case.call(caller, reached, world.owner_token, Notation.JSON)
    assert answer.status_code == case.endpoint.status, answer.text
    entries = ledger.new()
    who = {"actor": "alice@example.org", "role": world.owner_role.value, "door": "api"}
    if key in UNSUPPORTED:
        check_refused(entries, **who)
        return
    assert key in WROTE, f"say in WROTE what {case.endpoint.method} {case.place.path} writes"
    check_done(entries, WROTE[key], **who)


@every_write
def test_what_is_refused_is_written_down(
    caller: webtest.TestApp, world: World, sessions: Any, case: Case
) -> None:
    reached, token = case.row.reach(world), world.read_only(world.stranger_id)
    ledger = Ledger(sessions)
    answer = case.call(caller, reached, token, Notation.JSON)
    assert answer.status_code >= 400, answer.text
    check_refused(ledger.new(), actor="bob@example.org", role="user", door="api")


def test_nothing_is_said_of_what_there_is_not() -> None:
    known = {(case.place.resource, case.endpoint.method) for case in WRITES}
    assert set(WROTE) <= known
