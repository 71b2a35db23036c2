"""Sharing images with other users."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import ImageMember, Role, SessionFactory, User, unit_of_work
from tests.functional.images.conftest import Client

MakeClient = Callable[..., Client]


def members(client: Client, image_id: str) -> list[int]:
    listed = client.get(f"images/{image_id}/members")["members"]
    assert all(each["can_share"] is False for each in listed)
    return [int(each["member_id"]) for each in listed]


def share(client: Client, image_id: str, *others: Client) -> None:
    wanted = [{"member_id": str(other.person.user.id)} for other in others]
    client.put_json(f"images/{image_id}/members", {"memberships": wanted})


def test_a_member_sees_the_image_and_can_use_but_not_change_it(
    app: webtest.TestApp, client: Client, cloud: Any
) -> None:
    member, image_id = Client(app, cloud.owner), client.add()
    member.head(image_id, 404)

    answer = client.call("PUT", f"images/{image_id}/members/{member.person.user.id}")

    assert (answer.status_code, answer.body) == (204, b"")
    assert members(client, image_id) == [member.person.user.id]
    member.head(image_id, 200)
    assert image_id in [each["id"] for each in member.get("images")]
    app.post_json(
        "/api/v1.1/servers",
        cloud.order(imageRef=image_id),
        headers=member.person.headers,
        status=202,
    )
    member.update(image_id, 403, name="mine")
    assert member.call("DELETE", f"images/{image_id}").status_code == 403
    assert member.call("GET", f"images/{image_id}/members").status_code == 403


def test_sharing_twice_is_sharing_once_and_is_taken_back(
    client: Client, make_client: MakeClient
) -> None:
    member, image_id = make_client(), client.add()
    path = f"images/{image_id}/members/{member.person.user.id}"
    for _ in range(2):
        assert client.call("PUT", path).status_code == 204
    assert len(members(client, image_id)) == 1
    assert client.call("DELETE", path).status_code == 204
    member.head(image_id, 404)
    assert client.call("DELETE", path).status_code == 404


def test_a_list_of_members_takes_the_place_of_the_one_before(
    client: Client, make_client: MakeClient
) -> None:
    first, second, third = make_client(), make_client(), make_client()
    image_id = client.add()
    share(client, image_id, first, second)
    share(client, image_id, second, third, third)
    assert members(client, image_id) == sorted((second.person.user.id, third.person.user.id))
    first.head(image_id, 404)
    share(client, image_id)
    assert members(client, image_id) == []


@pytest.mark.parametrize(
    "body",
    [
        '<memberships><membership member_id="{0}"/><membership member_id="{1}"/></memberships>',
        '<memberships><membership member_id="{0}"/></memberships>',
        "<memberships/>",
    ],
)
def test_members_may_be_said_in_xml(client: Client, make_client: MakeClient, body: str) -> None:
    ids = [make_client().person.user.id for _ in range(2)]
    image_id = client.add()
    answer = client.call(
        "PUT",
        f"images/{image_id}/members",
        headers={"Content-Type": "application/xml"},
        body=body.format(*ids).encode(),
    )
    assert answer.status_code == 204
    assert members(client, image_id) == ids[: body.count("member_id")]


def test_what_is_shared_is_listed_by_either_side(client: Client, make_client: MakeClient) -> None:
    member, stranger = make_client(), make_client()
    image_id, deleted = client.add(), client.add()
    share(client, image_id, member)
    share(client, deleted, member)
    client.call("DELETE", f"images/{deleted}")
    expected = {"shared_images": [{"image_id": image_id, "can_share": False}]}

    path = f"shared-images/{member.person.user.id}"

    assert client.get(path) == expected
    assert member.get(path) == expected
    assert stranger.get(path) == {"shared_images": []}
    assert client.get("shared-images/999999999") == {"shared_images": []}
    assert client.get(f"shared-images/{'9' * 100}") == {"shared_images": []}


def test_a_public_image_may_be_shared_and_stays_so_when_it_is_private_again(
    client: Client, make_client: MakeClient
) -> None:
    member = make_client()
    image_id = client.add(is_public="True")
    share(client, image_id, member)
    client.update(image_id, is_public="False")
    member.head(image_id, 200)


def test_no_answer_tells_which_addresses_have_users(
    client: Client, make_client: MakeClient
) -> None:
    known, image_id = make_client().person.user.email, client.add()
    answers = set()
    for email in (known, "nobody@example.org"):
        for path in (f"images/{image_id}/members/{email}", f"shared-images/{email}"):
            for method in ("PUT", "GET", "DELETE"):
                answer = client.call(method, path)
                assert answer.status_code == 400
                answers.add(answer.json["badRequest"]["message"])
        answer = client.put_json(
            f"images/{image_id}/members", {"memberships": [{"member_id": email}]}, 400
        )
        answers.add(answer.json["badRequest"]["message"])
    assert answers == {"A member is known by the number of a user.", "There is no such user."}
    assert members(client, image_id) == []


BODIES: dict[str, Any] = {
    "nothing": {},
    "a list": [],
    "null": {"memberships": None},
    "a text": {"memberships": "1"},
    "an object": {"memberships": {"a": 1}},
    "an empty object": {"memberships": {}},
    "as in XML": {"memberships": {"membership": {"member_id": "1"}}},
    "texts": {"memberships": ["1"]},
    "no id": {"memberships": [{}]},
    "null id": {"memberships": [{"member_id": None}]},
    "a list as id": {"memberships": [{"member_id": []}]},
    "true as id": {"memberships": [{"member_id": True}]},
    "0": {"memberships": [{"member_id": 0}]},
    "-1": {"memberships": [{"member_id": -1}]},
    "too large": {"memberships": [{"member_id": "9" * 40}]},
    "nobody": {"memberships": [{"member_id": "987654321"}]},
    "more": {"memberships": [], "more": 1},
    "more of a member": {"memberships": [{"member_id": "1", "role": "x"}]},
    "can_share in words": {"memberships": [{"member_id": "1", "can_share": "maybe"}]},
}


@pytest.mark.parametrize("case", BODIES)
def test_members_are_refused_for(case: str, client: Client, make_client: MakeClient) -> None:
    member, image_id = make_client(), client.add()
    share(client, image_id, member)
    for suffix in ("", ".xml"):
        answer = client.put_json(f"images/{image_id}/members{suffix}", BODIES[case], 400)
        assert b"badRequest" in answer.body
    assert members(client, image_id) == [member.person.user.id]


def test_an_image_is_not_shared_with_its_owner(client: Client) -> None:
    image_id = client.add()
    path = f"images/{image_id}/members"
    assert client.call("PUT", f"{path}/{client.person.user.id}").status_code == 400
    mine = {"memberships": [{"member_id": str(client.person.user.id)}]}
    client.put_json(path, mine, 400)


def test_a_user_that_is_not_there_is_no_member(client: Client) -> None:
    path = f"images/{client.add()}/members"
    for user_id in ("0", "987654321", "9" * 100):
        answer = client.call("PUT", f"{path}/{user_id}")
        assert (answer.status_code, list(answer.json)) == (404, ["itemNotFound"])
        assert client.call("DELETE", f"{path}/{user_id}").status_code == 404


def test_members_of_an_image_that_is_not_there(client: Client, make_client: MakeClient) -> None:
    member = make_client().person.user.id
    for image_id in ("nothing", "x" * 300, "5b1abcec-640d-48ca-9ab8-47b057961382"):
        path = f"images/{image_id}/members"
        assert client.call("GET", path).status_code == 404
        client.put_json(path, {"memberships": []}, 404)
        assert client.call("PUT", f"{path}/{member}").status_code == 404
        assert client.call("DELETE", f"{path}/{member}").status_code == 404


def test_a_thousand_members_take_as_many_statements_as_ten_and_one_more_is_too_many(
    client: Client, sessions: SessionFactory, count_statements: Callable[[], Any]
) -> None:
    with unit_of_work(sessions) as session:
        users = [User(email=f"m{n}@example.org", name="m", role=Role.USER) for n in range(1001)]
        session.add_all(users)
    ids = [user.id for user in users]
    path = f"images/{client.add()}/members"

    def replace(wanted: list[int], status: int = 204) -> int:
        body = {"memberships": [{"member_id": str(user_id)} for user_id in wanted]}
        with count_statements() as counter:
            client.put_json(path, body, status)
        return len(counter)

    few = replace(ids[:10])
    # SQLAlchemy inserts many rows in a statement, but not all of a thousand in one.
    assert replace(ids[:1000]) <= few + 2
    assert len(client.get(path)["members"]) == 1000
    replace(ids, 413)
    assert client.call("PUT", f"{path}/{ids[1000]}").status_code == 413
    assert replace([]) <= few
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(ImageMember)).all() == []
