"""Registering images, describing, changing and deleting them, all by headers."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import AuditEntry, Image, SessionFactory, unit_of_work
from tests.functional.images.conftest import LOCATION, Client

MakeClient = Callable[..., Client]


def stored(sessions: SessionFactory) -> list[Image]:
    with unit_of_work(sessions, write=False) as session:
        return list(session.scalars(sa.select(Image)))


def test_an_image_is_registered_by_headers_and_an_empty_answer_describes_it(
    client: Client, sessions: SessionFactory
) -> None:
    answer = client.register(
        disk_format="diskdump",
        size="1073741824",
        checksum="9a271f2a916b0b6ee6cecb2426f0b320",
        is_public="True",
        store="pithos",
        property_OSFAMILY="linux",
        property_ROOT_PARTITION="1",
    )

    assert (answer.body, answer.headers.get("Content-Type")) == (b"", None)
    meta = {
        name.removeprefix("X-Image-Meta-"): value
        for name, value in answer.headers.items()
        if name.startswith("X-Image-Meta-")
    }
    assert meta.pop("Created-At") == meta.pop("Updated-At")
    [image] = stored(sessions)
    assert meta == {
        "Id": image.id,
        "Name": "Debian 12",
        "Location": LOCATION,
        "Disk-Format": "diskdump",
        "Container-Format": "bare",
        "Size": "1073741824",
        "Checksum": "9a271f2a916b0b6ee6cecb2426f0b320",
        "Status": "available",
        "Is-Public": "True",
        "Owner": str(client.person.user.id),
        "Deleted-At": "",
        "Property-osfamily": "linux",
        "Property-root-partition": "1",
    }
    assert client.head(image.id)["X-Image-Meta-Id"] == image.id


def test_an_image_is_private_and_of_the_first_formats_unless_said_otherwise(
    client: Client,
) -> None:
    image = client.shown(client.add())
    assert image["is_public"] is False
    assert (image["disk_format"], image["container_format"]) == ("diskdump", "bare")
    assert (image["size"], image["checksum"], image["properties"]) == (0, "", {})


@pytest.mark.parametrize(
    "location",
    ["pithos://a@b.org/c/d/e f", "http://mirror.example.org/a.img", "https://h:8080/", "debian-12"],
)
def test_an_image_lies_where_the_installation_allows(client: Client, location: str) -> None:
    assert client.shown(client.add(location=location))["location"] == location


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/shadow",
        "ftp://a/b",
        "pithos://a/b",
        "pithos:///b/c",
        "pithos://",
        "http://user:secret@host/a",
        "http://",
        "http://host/a b",
        "../../etc/passwd",
        "/etc/passwd",
        "-x",
        " ",
        "",
    ],
)
def test_an_image_cannot_lie_anywhere_else(
    client: Client, sessions: SessionFactory, location: str
) -> None:
    answer = client.register(400, location=location)
    assert "badRequest" in answer.json
    assert stored(sessions) == []


def test_bytes_are_not_uploaded(client: Client, sessions: SessionFactory) -> None:
    answer = client.call("POST", "images/", headers={"X-Image-Meta-Name": "x"}, body=b"\0" * 1000)
    assert (answer.status_code, list(answer.json)) == (501, ["notImplemented"])
    assert stored(sessions) == []


def test_nothing_is_downloaded(client: Client) -> None:
    answer = client.call("GET", f"images/{client.add()}")
    assert (answer.status_code, list(answer.json)) == (501, ["notImplemented"])


def test_registering_needs_no_body_and_no_content_type(
    app: webtest.TestApp, client: Client
) -> None:
    request = webtest.TestRequest.blank("/plankton/images/", method="POST")
    request.headers.update(client.person.headers)
    request.headers["X-Image-Meta-Name"] = "plain"
    request.headers["X-Image-Meta-Location"] = LOCATION
    request.environ.pop("CONTENT_TYPE", None)
    request.environ.pop("CONTENT_LENGTH", None)
    assert app.do_request(request, status=200).body == b""


def test_whose_image_it_is_may_be_said_but_not_chosen(client: Client, sessions: Any) -> None:
    client.register(owner=str(client.person.user.id))
    client.register(owner=client.person.user.email)
    client.register(403, owner="1234567")
    client.register(403, owner="somebody@example.org")
    assert len(stored(sessions)) == 2


def test_an_update_keeps_what_it_does_not_name(client: Client) -> None:
    image_id = client.add(property_os="debian", property_kernel="6.1", size="5")

    answer = client.update(image_id, name="Debian 13", property_kernel="6.12")

    assert answer.headers["X-Image-Meta-Name"] == "Debian 13"
    image = client.shown(image_id)
    assert image["properties"] == {"os": "debian", "kernel": "6.12"}
    assert (image["size"], image["location"]) == (5, LOCATION)


def test_an_update_that_purges_leaves_just_the_properties_it_names(client: Client) -> None:
    image_id = client.add(property_os="debian", property_kernel="6.1")
    client.update(image_id, purge=True, property_users="root")
    assert client.shown(image_id)["properties"] == {"users": "root"}
    client.update(image_id, purge=True)
    assert client.shown(image_id)["properties"] == {}


def test_an_update_of_whether_it_is_public_works(client: Client, make_client: MakeClient) -> None:
    other, image_id = make_client(), client.add()
    other.head(image_id, 404)
    client.update(image_id, is_public="True")
    assert other.head(image_id)["X-Image-Meta-Is-Public"] == "True"
    client.update(image_id, is_public="false")
    other.head(image_id, 404)


def test_an_update_that_changes_nothing_leaves_no_trace(
    client: Client, sessions: SessionFactory
) -> None:
    image_id = client.add(property_os="debian")
    before = client.head(image_id)
    answer = client.update(image_id, name="Debian 12", property_os="debian")
    client.update(image_id)
    assert answer.headers["X-Image-Meta-Updated-At"] == before["X-Image-Meta-Updated-At"]
    [image] = stored(sessions)
    assert image.version == 1
    with unit_of_work(sessions, write=False) as session:
        actions = session.scalars(sa.select(AuditEntry.action)).all()
    assert "image:update" not in actions


@pytest.mark.parametrize("field", ["location", "size", "checksum", "id", "store", "created_at"])
def test_what_an_image_is_cannot_be_updated(client: Client, field: str) -> None:
    answer = client.update(client.add(), 400, **{field: "1"})
    assert field in answer.json["badRequest"]["details"]


def test_no_servers_are_made_of_an_image_that_is_not_available(
    client: Client, app: webtest.TestApp, cloud: Any
) -> None:
    mine = Client(app, cloud.owner)
    image_id = mine.add()
    order = cloud.order(imageRef=image_id)
    mine.update(image_id, status="unavailable")
    path = "/api/v1.1/servers"
    refused = app.post_json(path, order, headers=cloud.owner.headers, status=400)
    assert refused.json["badRequest"]["message"] == "Image is not available."
    mine.update(image_id, status="available")
    app.post_json(path, order, headers=cloud.owner.headers, status=202)


def test_a_deleted_image_is_gone_and_its_servers_are_not(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory
) -> None:
    mine = Client(app, cloud.owner)
    image_id = mine.add()
    made = app.post_json(
        "/api/v1.1/servers", cloud.order(imageRef=image_id), headers=cloud.owner.headers
    )

    answer = mine.call("DELETE", f"images/{image_id}")

    assert (answer.status_code, answer.body) == (204, b"")
    mine.head(image_id, 404)
    assert image_id not in str(mine.get("images"))
    assert mine.call("DELETE", f"images/{image_id}").status_code == 404
    mine.update(image_id, 404, name="back")
    server = app.get(
        f"/api/v1.1/servers/{made.json['server']['id']}", headers=cloud.owner.headers
    ).json["server"]
    assert server["imageRef"] == image_id
    app.post_json(
        "/api/v1.1/servers",
        cloud.order(imageRef=image_id),
        headers=cloud.owner.headers,
        status=404,
    )


def test_others_cannot_change_an_image_and_learn_of_none_that_is_private(
    client: Client, make_client: MakeClient, sessions: SessionFactory
) -> None:
    other = make_client()
    private, public = client.add(), client.add(is_public="True")
    for image_id, status in ((private, 404), (public, 403)):
        other.update(image_id, status, name="mine")
        assert other.call("DELETE", f"images/{image_id}").status_code == status
        assert other.call("GET", f"images/{image_id}/members").status_code == status
        other.put_json(f"images/{image_id}/members", {"memberships": []}, status)
        member = f"images/{image_id}/members/{other.person.user.id}"
        assert other.call("PUT", member).status_code == status
        assert other.call("DELETE", member).status_code == status
    other.head(private, 404)
    other.head(public, 200)
    assert {image.name for image in stored(sessions)} == {"Debian 12"}
    assert not any(image.deleted for image in stored(sessions))


def test_images_that_no_user_registered_can_be_changed_by_none(
    client: Client, make_image: Callable[..., Image]
) -> None:
    image = make_image()
    assert client.head(image.id)["X-Image-Meta-Owner"] == "system"
    client.update(image.id, 403, name="mine")


def test_what_is_done_is_in_the_audit(client: Client, sessions: SessionFactory) -> None:
    image_id = client.add()
    client.update(image_id, name="x")
    client.call("DELETE", f"images/{image_id}")
    with unit_of_work(sessions, write=False) as session:
        entries = session.scalars(
            sa.select(AuditEntry).where(AuditEntry.target_id == image_id).order_by(AuditEntry.id)
        ).all()
    assert [e.action for e in entries] == ["image:register", "image:update", "image:delete"]
    assert {e.actor for e in entries} == {client.person.user.email}


def test_a_description_that_is_known_is_not_sent_again(client: Client) -> None:
    image_id = client.add()
    tag = client.head(image_id)["ETag"]
    again = client.call("HEAD", f"images/{image_id}", headers={"If-None-Match": tag})
    assert again.status_code == 304
    client.update(image_id, name="other")
    again = client.call("HEAD", f"images/{image_id}", headers={"If-None-Match": tag})
    assert again.status_code == 200
