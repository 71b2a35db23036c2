"""Regions and their flavors: last known, live with the caller's token, and changed with it."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from cloudweb.models import AuditEntry, Infrastructure, SessionFactory, unit_of_work
from tests.conftest import Person
from tests.fake_region import PROJECTS, FakeCloud
from tests.functional.federation.conftest import NANO, Client

FLAVORS = "/v1/regions/Spain2/flavors"
DOWN = (
    "Cannot connet to Openstack infrastructure. It could happen because it is down, it is not "
    "reachable or credentials are wrong. Please check it"
)
CREDENTIALS = (
    "Your credentials are wrong and the request requires user authentication Please check it"
)


@pytest.fixture
def token(cloud: FakeCloud) -> str:
    return cloud.new_token("admin")


@pytest.mark.parametrize("path", ["/v1/regions", "/v1/nodes", "/api/v1/regions", "/api/v1/nodes"])
def test_regions_are_listed_in_both_notations(
    call: Client, regions: None, reader: Person, path: str
) -> None:
    names = [{"id": "Spain2", "name": "Spain2"}, {"id": "Trento", "name": "Trento"}]
    assert call("GET", path, by=reader).json == {"Infrastructures": names}
    assert call("GET", path, by=reader, xml=True).text.endswith(
        '<Infrastructures><Infrastructure id="Spain2"><name>Spain2</name></Infrastructure>'
        '<Infrastructure id="Trento"><name>Trento</name></Infrastructure></Infrastructures>'
    )


@pytest.mark.parametrize("path", [FLAVORS, "/v1/region/Spain2/flavors", f"/api{FLAVORS}"])
def test_the_last_known_flavors_say_how_old_they_are(
    call: Client, regions: None, reader: Person, cloud: FakeCloud, path: str
) -> None:
    cloud.asked.clear()
    answer = call("GET", path, by=reader)
    assert [flavor["name"] for flavor in answer.json["flavors"]] == [
        "m1.medium",
        "m1.small",
        "m1.tiny",
    ]
    assert answer.json["flavors"][2] == {
        "id": "1",
        "name": "m1.tiny",
        "vcpus": 1,
        "ram": 512,
        "disk": 1,
        "swap": 0,
        "promoted": False,
        "public": False,
        "nodes": ["Spain2"],
    }
    told = dt.datetime.fromisoformat(answer.headers["X-Cloudweb-As-Of"])
    assert abs(dt.datetime.now(dt.UTC) - told) < dt.timedelta(seconds=30)
    assert call("GET", f"{path}/1", by=reader).headers["X-Cloudweb-As-Of"]
    assert cloud.asked == []


def test_with_a_token_of_the_region_it_is_asked_itself(
    call: Client, regions: None, reader: Person, cloud: FakeCloud, token: str
) -> None:
    del cloud.flavors["Spain2"]["2"]
    live = call("GET", FLAVORS, by=reader, region_token=token).json["flavors"]
    assert {flavor["id"] for flavor in live} == {"1", "3"}
    assert call("GET", f"{FLAVORS}/2", by=reader, region_token=token).status_code == 404
    assert call("GET", f"{FLAVORS}/2", by=reader).status_code == 200


def test_a_flavor_is_made_changed_and_deleted_with_the_callers_token(
    call: Client, regions: None, reader: Person, cloud: FakeCloud, token: str
) -> None:
    order = {"flavor": NANO | {"id": "nano", "ephemeral": 3, "extra_specs": {"a": "1"}}}
    made = call("POST", FLAVORS, order, by=reader, region_token=token)
    shown = NANO | {"id": "nano", "nodes": ["Spain2"], "promoted": False, "public": False}
    assert (made.status_code, made.json["flavor"]) == (201, shown)
    changed = call(
        "PUT", f"{FLAVORS}/nano", {"flavor": NANO | {"vcpus": 4}}, by=reader, region_token=token
    )
    assert (changed.status_code, changed.json["flavor"]) == (200, shown | {"vcpus": 4})
    row = cloud.flavors["Spain2"]["nano"]
    assert row["extra_specs"] == {"a": "1"}
    assert (row["vcpus"], row["OS-FLV-EXT-DATA:ephemeral"]) == (4, 3)
    assert call("GET", f"{FLAVORS}/nano", by=reader).json["flavor"]["vcpus"] == 4
    gone = call("DELETE", f"{FLAVORS}/nano", by=reader, region_token=token)
    assert (gone.status_code, gone.body) == (204, b"")
    assert "nano" not in cloud.flavors["Spain2"]
    assert call("GET", f"{FLAVORS}/nano", by=reader).status_code == 404


def test_replacing_keeps_the_projects_of_a_private_flavor(
    call: Client, regions: None, reader: Person, cloud: FakeCloud, token: str
) -> None:
    cloud.flavors["Spain2"]["2"]["os-flavor-access:is_public"] = False
    cloud.access["Spain2", "2"] = {PROJECTS["demo"]}
    body = {"flavor": NANO | {"name": "m1.small"}}
    assert call("PUT", f"{FLAVORS}/2", body, by=reader, region_token=token).status_code == 200
    assert cloud.access["Spain2", "2"] == {PROJECTS["demo"]}
    assert not cloud.flavors["Spain2"]["2"]["os-flavor-access:is_public"]


def test_what_was_done_in_a_region_is_in_the_audit(
    call: Client, regions: None, reader: Person, token: str, sessions: SessionFactory
) -> None:
    call("POST", FLAVORS, {"flavor": NANO | {"id": "n"}}, by=reader, region_token=token)
    with unit_of_work(sessions) as session:
        entry = session.query(AuditEntry).filter_by(action="region:create").one()
    assert (entry.target_id, entry.details["region"]) == ("n", "Spain2")
    assert token not in repr(vars(entry))


def test_an_unknown_region_is_not_found(call: Client, regions: None, reader: Person) -> None:
    for method, path in (
        ("GET", "/v1/regions/Atlantis/flavors"),
        ("GET", "/v1/regions/Atlantis/flavors/1"),
        ("POST", "/v1/region/Atlantis/flavors"),
        ("DELETE", "/v1/regions/Atlantis/flavors/1"),
        ("GET", "/v1/regions/Atlantis"),
    ):
        answer = call(method, path, by=reader, region_token="x")
        assert (answer.status_code, answer.text) == (404, "Not Found the region Atlantis")


def test_an_unknown_flavor_is_not_found(
    call: Client, regions: None, reader: Person, token: str
) -> None:
    for headers in ({}, {"region_token": token}):
        answer = call("GET", f"{FLAVORS}/nope", by=reader, **headers)
        assert (answer.status_code, answer.text) == (404, "Not Found Flavor for this region")
    for method, body in (("DELETE", None), ("PUT", {"flavor": NANO})):
        answer = call(method, f"{FLAVORS}/nope", body, by=reader, region_token=token)
        assert (answer.status_code, answer.json) == (
            404,
            {"error": {"message": "The flavor nope does not exist"}},
        )


@pytest.mark.parametrize("region_token", [None, "", "bogus"])
def test_a_change_needs_a_good_token_of_the_region(
    call: Client, regions: None, reader: Person, region_token: str | None
) -> None:
    for method, path, body in (
        ("POST", FLAVORS, {"flavor": NANO}),
        ("PUT", f"{FLAVORS}/1", {"flavor": NANO}),
        ("DELETE", f"{FLAVORS}/1", None),
    ):
        answer = call(method, path, body, by=reader, region_token=region_token)
        assert (answer.status_code, answer.json["error"]["message"]) == (401, CREDENTIALS)


def test_a_member_may_not_change_a_region(
    call: Client, regions: None, reader: Person, cloud: FakeCloud
) -> None:
    member = cloud.new_token("demo")
    answer = call("POST", FLAVORS, {"flavor": NANO}, by=reader, region_token=member)
    assert (answer.status_code, answer.json["error"]["message"]) == (
        403,
        (
            "Error when managing flavors in the region Spain2. Your credentials don't give you "
            "access to this resource."
        ),
    )


def test_a_taken_name_is_a_conflict(
    call: Client, regions: None, reader: Person, token: str
) -> None:
    body = {"flavor": NANO | {"name": "m1.tiny"}}
    answer = call("POST", FLAVORS, body, by=reader, region_token=token, xml=True)
    assert (answer.status_code, answer.text.partition("?>")[2]) == (
        409,
        "<error><message>The there is already a flavor named m1.tiny</message></error>",
    )


def test_a_region_that_is_not_in_the_catalog_is_a_bad_gateway(
    call: Client, register: Callable[..., Infrastructure], reader: Person, token: str
) -> None:
    register("Gent")
    answer = call("GET", "/v1/regions/Gent/flavors", by=reader, region_token=token)
    assert (answer.status_code, answer.json["error"]["message"]) == (
        502,
        "Error publicURL endpoint for compute service in Gent region not found",
    )


TROUBLES: dict[str, tuple[dict[str, Any], int]] = {
    "down": ({"drop": True}, 502),
    "slow": ({"delay_s": 2.0}, 502),
    "dripping": ({"drip_s": 0.1}, 502),
    "broken": ({"status": 500, "body": b"<html>"}, 502),
    "nonsense": ({"status": 200, "body": b"nonsense"}, 502),
    "401": ({"status": 401}, 401),
    "403": ({"status": 403}, 403),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("where", ["/auth/tokens", "/flavors"])
def test_what_goes_wrong_in_a_region_is_told_and_nothing_is_half_done(
    call: Client,
    regions: None,
    reader: Person,
    cloud: FakeCloud,
    token: str,
    where: str,
    trouble: str,
) -> None:
    values, code = TROUBLES[trouble]
    before = cloud.names("Spain2")
    if trouble == "403" and where == "/auth/tokens":
        code = 403
    for method, path, body in (
        ("GET", FLAVORS, None),
        ("GET", f"{FLAVORS}/1", None),
        ("POST", FLAVORS, {"flavor": NANO}),
        ("DELETE", f"{FLAVORS}/1", None),
    ):
        if trouble in ("slow", "dripping") and method == "DELETE":
            continue  # it may well have been done
        if trouble in ("slow", "dripping") and method == "POST" and where == "/flavors":
            continue
        cloud.fail(where, **values)
        answer = call(method, path, body, by=reader, region_token=token)
        assert answer.status_code == code, (method, path, answer.text)
        assert answer.json["error"]["message"] in (DOWN, CREDENTIALS) or code == 403
        cloud.mend()
    assert cloud.names("Spain2") == before
    assert {f["id"] for f in call("GET", FLAVORS, by=reader).json["flavors"]} == {"1", "2", "3"}


def test_nova_refusing_a_flavor_is_a_bad_request(
    call: Client, regions: None, reader: Person, cloud: FakeCloud, token: str
) -> None:
    cloud.fail("/flavors", method="POST", status=400, body=b'{"badRequest": {"message": "no"}}')
    answer = call("POST", FLAVORS, {"flavor": NANO}, by=reader, region_token=token)
    assert (answer.status_code, answer.json["error"]["message"]) == (
        400,
        "The flavor request is not well formed",
    )


def test_hello_world(call: Client, reader: Person) -> None:
    for path in ("/v1", "/v1/", "/api/v1"):
        assert call("GET", path, by=reader).text == "Hello world"
