"""A flavor's life: made in a node, published, promoted, installed in others, deleted."""

from collections.abc import Callable
from typing import Any

import pytest

from cloudweb.models import Infrastructure, InstallResult, SessionFactory, unit_of_work
from tests.conftest import Person
from tests.fake_region import PROJECTS, FakeCloud
from tests.functional.federation.conftest import NANO, Client


@pytest.fixture
def private(call: Client, regions: None, owner: Person) -> Any:
    """A flavor of the owner's region."""
    body = {"flavor": NANO | {"id": "nano", "extra_specs": {"a": "1"}}}
    return call("POST", "/v1/flavors", body, by=owner).json["flavor"]


def names(answer: Any) -> set[str]:
    return {flavor["name"] for flavor in answer.json["flavors"]}


def test_a_new_flavor_is_made_in_the_owners_region(
    call: Client, private: Any, cloud: FakeCloud, owner: Person
) -> None:
    assert private == NANO | {"id": "nano", "promoted": False, "public": False, "nodes": ["Spain2"]}
    assert "TestNano" in cloud.names("Spain2")
    assert "TestNano" not in cloud.names("Trento")
    assert call("GET", "/v1/flavors/nano", by=owner).json["flavor"] == private


def test_a_new_flavor_can_be_published_at_once(call: Client, regions: None, owner: Person) -> None:
    answer = call("POST", "/v1/flavors", {"flavor": NANO | {"public": True}}, by=owner)
    assert (answer.status_code, answer.json["flavor"]["public"]) == (201, True)


def test_who_has_no_region_or_several_says_where(
    call: Client, regions: None, reader: Person, manager: Person, owner: Person
) -> None:
    body = {"flavor": NANO}
    assert call("POST", "/v1/flavors", body, by=reader).status_code == 409
    assert call("POST", "/v1/flavors", body, by=manager).status_code == 409
    elsewhere = {"flavor": NANO | {"nodes": ["Trento"]}}
    assert call("POST", "/v1/flavors", elsewhere, by=owner).status_code == 403
    made = call("POST", "/v1/flavors", elsewhere, by=manager)
    assert (made.status_code, made.json["flavor"]["nodes"]) == (201, ["Trento"])


def test_publish_promote_install_and_delete(
    call: Client, private: Any, owner: Person, manager: Person, cloud: FakeCloud
) -> None:
    path = "/v1/flavors/nano"
    published = call("PUT", path, {"flavor": {"public": True}}, by=owner)
    assert (published.status_code, published.json["flavor"]) == (200, private | {"public": True})
    promoted = call("PUT", path, {"flavor": {"promoted": True}}, by=manager)
    assert promoted.json["flavor"] == private | {"public": True, "promoted": True}
    installed = call("PUT", path, {"flavor": {"nodes": ["Trento"]}}, by=manager)
    assert installed.status_code == 200
    assert installed.json["flavor"]["nodes"] == ["Spain2", "Trento"]
    assert cloud.flavors["Trento"]["nano"]["extra_specs"] == {"a": "1"}
    assert call("PUT", path, {"flavor": {"nodes": ["Trento"]}}, by=manager).status_code == 409
    gone = call("DELETE", path, by=owner)
    assert (gone.status_code, gone.body) == (204, b"")
    assert "nano" not in cloud.flavors["Spain2"]
    assert call("GET", path, by=owner).json["flavor"]["nodes"] == ["Trento"]
    assert call("DELETE", f"{path}?node=Trento", by=manager).status_code == 204
    assert call("DELETE", "/v1/promotedflavors/nano", by=manager).status_code == 204
    assert call("GET", path, by=owner).status_code == 404


def test_xml_changes(call: Client, private: Any, owner: Person, manager: Person) -> None:
    for body, shown in (
        ("<flavor><public>true</public></flavor>", "<public>true</public><node>Spain2</node>"),
        ("<flavor><promoted>true</promoted></flavor>", "<promoted>true</promoted>"),
        ("<flavor><node>Trento</node></flavor>", "<node>Spain2</node><node>Trento</node>"),
    ):
        answer = call("PUT", "/v1/flavors/nano", body, by=manager, xml=True)
        assert answer.status_code == 200, answer.text
        assert shown in answer.text


def test_a_published_flavor_that_is_nowhere_goes(call: Client, private: Any, owner: Person) -> None:
    call("PUT", "/v1/flavors/nano", {"flavor": {"public": True}}, by=owner)
    assert call("DELETE", "/v1/flavors/nano", by=owner).status_code == 204
    assert call("GET", "/v1/flavors/nano", by=owner).status_code == 404


def test_what_a_region_lost_can_be_deleted(
    call: Client, private: Any, owner: Person, cloud: FakeCloud
) -> None:
    call("PUT", "/v1/flavors/nano", {"flavor": {"public": True}}, by=owner)
    del cloud.flavors["Spain2"]["nano"]
    assert call("DELETE", "/v1/flavors/nano", by=owner).status_code == 204


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"promoted": True}, 400, "A flavor cannot be promoted and private"),
        ({"promoted": True, "public": False}, 400, "A flavor cannot be promoted and private"),
        ({"nodes": ["Atlantis"]}, 409, "The node Atlantis does not exist"),
        ({"nodes": ["Spain2", "Spain2"]}, 400, "The flavor request is not well formed"),
        ({"nodes": ["Spain2"]}, 409, "The there is already a flavor named TestNano"),
        ({"public": "yes"}, 400, "The flavor request is not well formed"),
        ({"nodes": "Spain2"}, 400, "The flavor request is not well formed"),
        ({"nodes": [{"id": "Spain2"}]}, 400, "The flavor request is not well formed"),
    ],
)
def test_what_cannot_become_of_a_flavor(
    call: Client, private: Any, manager: Person, body: Any, code: int, message: str
) -> None:
    answer = call("PUT", "/v1/flavors/nano", {"flavor": body}, by=manager)
    assert (answer.status_code, answer.json["error"]["message"]) == (code, message)
    assert call("GET", "/v1/flavors/nano", by=manager).json["flavor"] == private


def test_a_published_flavor_is_not_taken_back(
    call: Client, private: Any, owner: Person, manager: Person
) -> None:
    path = "/v1/flavors/nano"
    call("PUT", path, {"flavor": {"public": True, "promoted": True}}, by=manager)
    for body in ({"public": False}, {"promoted": False}):
        answer = call("PUT", path, {"flavor": body}, by=manager)
        assert (answer.status_code, answer.json["error"]["message"]) == (
            409,
            "A flavor cannot be unpublished or unpromoted",
        )
    assert call("PUT", path, {"flavor": {}}, by=owner).status_code == 200


def test_who_may_do_what(
    call: Client, private: Any, reader: Person, owner: Person, manager: Person
) -> None:
    path = "/v1/flavors/nano"
    assert call("PUT", path, {"flavor": {"public": True}}, by=reader).status_code == 403
    both = {"flavor": {"public": True, "promoted": True}}
    assert call("PUT", path, both, by=owner).status_code == 401
    assert call("PUT", path, {"flavor": {"nodes": ["Trento"]}}, by=owner).status_code == 403
    assert call("DELETE", path, by=reader).status_code == 403
    assert call("PUT", "/v1/flavors/nope", {"flavor": {}}, by=manager).status_code == 404


def test_where_one_node_refuses_none_has_it(
    call: Client,
    private: Any,
    manager: Person,
    cloud: FakeCloud,
    register: Callable[..., Infrastructure],
) -> None:
    register("Down", keystone_url="http://127.0.0.1:1/v3")
    call("PUT", "/v1/flavors/nano", {"flavor": {"public": True}}, by=manager)
    body = {"flavor": {"nodes": ["Trento", "Down"]}}
    assert call("PUT", "/v1/flavors/nano", body, by=manager).status_code == 502
    assert "nano" not in cloud.flavors["Trento"]
    assert call("GET", "/v1/flavors/nano", by=manager).json["flavor"]["nodes"] == ["Spain2"]


def test_access_goes_along_where_the_projects_are_the_same(
    call: Client, regions: None, manager: Person, cloud: FakeCloud, refresh: Callable[[], None]
) -> None:
    row = cloud.flavors["Spain2"]["2"] | {"id": "hidden", "name": "hidden"}
    cloud.flavors["Spain2"]["hidden"] = row | {"os-flavor-access:is_public": False}
    cloud.access["Spain2", "hidden"] = {PROJECTS["demo"]}
    refresh()
    body = {"flavor": {"public": True, "nodes": ["Trento"]}}
    assert call("PUT", "/v1/flavors/hidden", body, by=manager).status_code == 200
    assert not cloud.flavors["Trento"]["hidden"]["os-flavor-access:is_public"]
    assert cloud.access["Trento", "hidden"] == {PROJECTS["demo"]}


def test_filters(
    call: Client, private: Any, owner: Person, manager: Person, promote: Callable[..., Any]
) -> None:
    promote(name="promoted")
    call("PUT", "/v1/flavors/nano", {"flavor": {"public": True}}, by=owner)
    regional = {"m1.tiny", "m1.small", "m1.medium"}
    for query, expected in (
        ("", {"promoted", "TestNano"} | regional),
        ("?public", {"promoted", "TestNano"} | regional),
        ("?public=", {"promoted", "TestNano"} | regional),
        ("?promoted", {"promoted", "TestNano"} | regional),
        ("?public=true", {"promoted", "TestNano"}),
        ("?public=false", regional),
        ("?promoted=true", {"promoted"}),
        ("?promoted=false", {"TestNano"} | regional),
        ("?promoted=false&public=true", {"TestNano"}),
        ("?promoted=true&public=false", set()),
    ):
        answer = call("GET", f"/v1/flavors{query}", by=owner)
        assert names(answer) == expected, query
    assert call("GET", "/v1/flavors?public=perhaps", by=owner).status_code == 400
    listed = call("GET", "/v1/flavors", by=owner)
    assert listed.headers["X-Cloudweb-As-Of"]
    tiny = next(f for f in listed.json["flavors"] if f["name"] == "m1.tiny")
    assert tiny["nodes"] == ["Spain2", "Trento"]


def test_one_id_for_different_flavors_needs_the_node(
    call: Client,
    regions: None,
    manager: Person,
    owner: Person,
    cloud: FakeCloud,
    refresh: Callable[[], None],
) -> None:
    cloud.flavors["Trento"]["1"]["vcpus"] = 16
    refresh()
    assert call("GET", "/v1/flavors/1", by=manager).status_code == 409
    there = call("GET", "/v1/flavors/1?node=Trento", by=manager).json["flavor"]
    assert (there["vcpus"], there["nodes"]) == (16, ["Trento"])
    assert call("GET", "/v1/flavors/1", by=owner).json["flavor"]["vcpus"] == 1


def test_nothing_is_ordered_by_these(call: Client, private: Any, sessions: SessionFactory) -> None:
    with unit_of_work(sessions) as session:
        assert session.query(InstallResult).count() == 0
