"""Images through the compute API."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import images
from cloudweb.domain.identity import Identity
from cloudweb.models import Image, ImageMember, Role, SessionFactory, unit_of_work, utc_now

NS = "{http://docs.openstack.org/compute/api/v1.1}"
PATH = "/api/v1.1/images"
LOCATION = "pithos://okeanos/images/debian.img"


@pytest.fixture
def register(sessions: SessionFactory) -> Callable[..., Image]:
    """Registers a person's private image."""

    def make(owner: Any, **values: Any) -> Image:
        given = {"name": "Debian 12", "location": LOCATION, "is_public": False} | values
        with unit_of_work(sessions) as session:
            return images.register(session, owner.identity, **given)

    return make


@pytest.fixture
def owner(make_user: Callable[..., Any]) -> Any:
    return make_user()


@pytest.fixture
def get(app: webtest.TestApp, owner: Any) -> Callable[..., Any]:
    """What the owner is answered."""
    return lambda path="", status=200: app.get(PATH + path, headers=owner.headers, status=status)


def since(time: dt.datetime) -> str:
    return f"?changes-since={quote(time.isoformat())}"


def test_a_list_is_the_same_in_detail_and_alone(
    get: Any, owner: Any, register: Any, make_user: Any
) -> None:
    mine = register(owner, properties={"osfamily": "linux"})
    register(make_user())
    public = register(make_user(), is_public=True)
    expected = sorted((mine.id, public.id))

    assert get().json == {
        "images": {"values": [{"id": each, "name": "Debian 12"} for each in expected]}
    }
    detail = get("/detail").json["images"]["values"]
    assert [each["id"] for each in detail] == expected
    assert detail == [get(f"/{each}").json["image"] for each in expected]
    assert get(f"/{mine.id}").json["image"] == {
        "id": mine.id,
        "name": "Debian 12",
        "updated": mine.updated.isoformat(),
        "created": mine.created.isoformat(),
        "status": "ACTIVE",
        "progress": 100,
        "metadata": {"values": {"osfamily": "linux"}},
    }
    assert "metadata" not in get(f"/{public.id}").json["image"]


def test_an_image_in_xml_holds_what_the_json_holds(get: Any, owner: Any, register: Any) -> None:
    image = register(owner, name='<"&>', properties={"a b": "<c>"})
    root = ElementTree.fromstring(get(f"/{image.id}.xml").body)
    assert root.tag == f"{NS}image"
    assert (root.get("name"), root.get("progress"), root.get("serverRef")) == ('<"&>', "100", "")
    assert root.find(f"{NS}metadata/{NS}meta[@key='a b']").text == "<c>"  # type: ignore[union-attr]
    [listed] = ElementTree.fromstring(get("/detail.xml").body)
    assert listed.attrib == root.attrib


def test_an_image_that_is_not_available_is_saving(
    get: Any, owner: Any, register: Any, sessions: Any
) -> None:
    image = register(owner)
    with unit_of_work(sessions) as session:
        images.update(session, owner.identity, image.id, {"status": "unavailable"})
    shown = get(f"/{image.id}").json["image"]
    assert (shown["status"], shown["progress"]) == ("SAVING", 0)


def test_a_deleted_image_is_shown_alone_and_not_listed(
    app: webtest.TestApp, get: Any, owner: Any, register: Any
) -> None:
    image = register(owner)
    answer = app.delete(f"{PATH}/{image.id}", headers=owner.headers, status=204)
    assert answer.body == b""
    assert get(f"/{image.id}").json["image"]["status"] == "DELETED"
    assert get("/detail").json == {"images": {"values": []}}
    app.delete(f"{PATH}/{image.id}", headers=owner.headers, status=404)
    meta = {"metadata": {"a": "b"}}
    app.post_json(f"{PATH}/{image.id}/meta", meta, headers=owner.headers, status=404)


def test_images_of_servers_are_not_made(app: webtest.TestApp, owner: Any, sessions: Any) -> None:
    for body in ({"image": {"serverRef": 1, "name": "x"}}, {}, []):
        answer = app.post_json(PATH, body, headers=owner.headers, status=501)
        assert list(answer.json) == ["notImplemented"]
    assert _count(sessions) == 0


def _count(sessions: SessionFactory) -> int:
    with unit_of_work(sessions, write=False) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Image)) or 0


def test_what_changed_is_told_with_what_was_deleted(
    app: webtest.TestApp, get: Any, owner: Any, register: Any, sessions: Any
) -> None:
    old, renamed, deleted = register(owner), register(owner), register(owner)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Image).values(updated=utc_now() - dt.timedelta(minutes=30)))
    mark = utc_now()
    assert get(since(mark), 304).body == b""
    with unit_of_work(sessions) as session:
        images.update(session, owner.identity, renamed.id, {"name": "new"})
    app.delete(f"{PATH}/{deleted.id}", headers=owner.headers)

    for path in ("", "/detail"):
        values = get(path + since(mark)).json["images"]["values"]
        assert {each["id"] for each in values} == {renamed.id, deleted.id}
    assert {each["status"] for each in values} == {"ACTIVE", "DELETED"}
    everything = get(since(mark - dt.timedelta(minutes=40))).json["images"]["values"]
    assert old.id in [each["id"] for each in everything]
    page = get(since(mark) + "&limit=1").json["images"]["values"]
    assert len(page) == 1


def test_what_was_shared_or_made_public_is_a_change_to_whom_it_concerns(
    get: Any, owner: Any, register: Any, make_user: Any, sessions: Any
) -> None:
    other = make_user()
    shared, public, _private = register(other), register(other), register(other)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Image).values(updated=utc_now() - dt.timedelta(minutes=30)))
    mark = utc_now()
    get(since(mark), 304)
    with unit_of_work(sessions) as session:
        session.add(ImageMember(image_id=shared.id, user_id=owner.user.id))
        images.update(session, other.identity, public.id, {"is_public": True})
    values = get(since(mark)).json["images"]["values"]
    assert {each["id"] for each in values} == {shared.id, public.id}


def test_a_time_that_makes_no_sense_is_refused(get: Any) -> None:
    for time in ("yesterday", "2026-01-01T00:00:00", "2999-01-01T00:00:00Z", "2001-01-01T00:00Z"):
        assert list(get(f"?changes-since={time}", 400).json) == ["badRequest"]


def test_pages_put_together_are_the_list(get: Any, owner: Any, register: Any) -> None:
    whole = sorted(register(owner).id for _ in range(5))
    found: list[str] = []
    while page := get(f"?limit=2&marker={found[-1]}" if found else "?limit=2").json["images"][
        "values"
    ]:
        found += [each["id"] for each in page]
    assert found == whole
    for query in ("limit=0", "limit=x", "marker=", "marker=%00", "marker=a/b"):
        get(f"?{query}", 400)


def test_a_list_of_a_thousand_takes_as_many_statements_as_one_of_ten(
    app: webtest.TestApp,
    get: Any,
    owner: Any,
    sessions: SessionFactory,
    count_statements: Callable[[], Any],
) -> None:
    def add(count: int) -> None:
        with unit_of_work(sessions) as session:
            for number in range(count):
                session.add(
                    Image(
                        id=f"{count}-{number}",
                        owner_id=owner.user.id,
                        name="x",
                        location="x",
                        disk_format="diskdump",
                    )
                )

    def statements() -> list[int]:
        app.app.registry["cloudweb.fragments"]._pieces.clear()
        counts = []
        for path in ("/detail", "/detail", since(utc_now() - dt.timedelta(minutes=1))):
            with count_statements() as counter:
                get(path)
            counts.append(len(counter))
        return counts

    add(10)
    few = statements()
    add(990)
    # The token, which images, and the images themselves where they are not ready-made.
    assert statements() == few == [3, 2, 3]


def test_others_images_are_read_only_or_do_not_exist(
    app: webtest.TestApp, owner: Any, register: Any, make_user: Any
) -> None:
    other = make_user()
    private, public = register(other), register(other, is_public=True, properties={"a": "b"})
    for image, status in ((private, 404), (public, 403)):
        path, headers = f"{PATH}/{image.id}", owner.headers
        app.delete(path, headers=headers, status=status)
        app.post_json(f"{path}/meta", {"metadata": {"a": "c"}}, headers=headers, status=status)
        app.put_json(f"{path}/meta/a", {"meta": {"a": "c"}}, headers=headers, status=status)
        app.delete(f"{path}/meta/a", headers=headers, status=status)
        reads = 200 if status == 403 else 404
        for place in ("", "/meta", "/meta/a"):
            app.get(path + place, headers=headers, status=reads)
    assert app.get(f"{PATH}/{public.id}/meta", headers=other.headers).json == {
        "metadata": {"values": {"a": "b"}}
    }


@pytest.mark.parametrize("image_id", ["nothing", "1", "x" * 500, "-1", "detail2"])
def test_an_image_that_is_not_there_is_not_found(
    app: webtest.TestApp, owner: Any, image_id: str
) -> None:
    for suffix in ("", ".xml", "/meta", "/meta/a"):
        app.get(f"{PATH}/{image_id}{suffix}", headers=owner.headers, status=404)


@pytest.mark.parametrize("image_id", ["%00", "a%20b", "%D9%A1", "%ff", "a.b", "'"])
def test_an_id_that_is_none_is_an_unknown_url(
    app: webtest.TestApp, owner: Any, image_id: str
) -> None:
    app.get(f"{PATH}/{image_id}", headers=owner.headers, status=400)


# --- metadata -----------------------------------------------------------------------------------


def test_metadata_are_merged_and_the_answer_has_what_was_sent(
    app: webtest.TestApp, get: Any, owner: Any, register: Any
) -> None:
    image = register(owner, properties={"os": "debian", "kernel": "6.1"})
    given = {"metadata": {"kernel": "6.12", "users": "root"}}
    answer = app.post_json(f"{PATH}/{image.id}/meta", given, headers=owner.headers, status=201)
    assert answer.json == given
    assert get(f"/{image.id}/meta").json == {
        "metadata": {"values": {"os": "debian", "kernel": "6.12", "users": "root"}}
    }
    assert get(f"/{image.id}").json["image"]["updated"] > image.updated.isoformat()


def test_one_key_is_put_got_and_deleted(
    app: webtest.TestApp, get: Any, owner: Any, register: Any
) -> None:
    image = register(owner)
    path = f"/{image.id}/meta/a%20k%C3%A9y"
    get(path, 404)
    for value in ("1", "2"):
        given = {"meta": {"a kéy": value}}
        answer = app.put_json(PATH + path, given, headers=owner.headers, status=201)
        assert answer.json == given
        assert get(path).json == given
    answer = app.delete(PATH + path, headers=owner.headers, status=204)
    assert answer.body == b""
    get(path, 404)
    app.delete(PATH + path, headers=owner.headers, status=404)


def test_keys_that_ganeti_would_take_for_one_are_one(
    app: webtest.TestApp, get: Any, owner: Any, register: Any
) -> None:
    image = register(owner, properties={"osfamily": "linux"})
    path = f"{PATH}/{image.id}/meta"
    app.put_json(f"{path}/OSFamily", {"meta": {"OSFamily": "bsd"}}, headers=owner.headers)
    assert get(f"/{image.id}/meta").json == {"metadata": {"values": {"OSFamily": "bsd"}}}
    assert get(f"/{image.id}/meta/OSFAMILY").json == {"meta": {"OSFamily": "bsd"}}
    twice = {"metadata": {"a": "1", "A": "2"}}
    app.post_json(path, twice, headers=owner.headers, status=400)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (f'<metadata xmlns="{NS[1:-1]}"><meta key="k">&lt;v&gt;</meta></metadata>', "meta"),
        (f'<meta xmlns="{NS[1:-1]}" key="k">&lt;v&gt;</meta>', "meta/k"),
    ],
)
def test_metadata_in_xml_are_the_same(
    app: webtest.TestApp, owner: Any, register: Any, body: str, place: str
) -> None:
    image = register(owner)
    answer = app.request(
        f"{PATH}/{image.id}/{place}.xml",
        method="POST" if place == "meta" else "PUT",
        body=body.encode(),
        headers=owner.headers | {"Content-Type": "application/xml"},
    )
    assert answer.status_code == 201
    assert answer.body.decode().endswith(body)
    again = app.get(f"{PATH}/{image.id}/{place}.xml", headers=owner.headers)
    assert again.body == answer.body


METADATA: dict[str, Any] = {
    "nothing": {},
    "a list": [],
    "null": {"metadata": None},
    "a text": {"metadata": "x"},
    "a number": {"metadata": {"a": 1}},
    "a null": {"metadata": {"a": None}},
    "an object": {"metadata": {"a": {}}},
    "an empty key": {"metadata": {"": "x"}},
    "a long key": {"metadata": {"k" * 256: "x"}},
    "a long value": {"metadata": {"k": "x" * 1001}},
    "a control character": {"metadata": {"k": "a\x00b"}},
    "a control character in a key": {"metadata": {"a\r\nb": "x"}},
    "too many": {"metadata": {f"k{n}": "x" for n in range(65)}},
    "more": {"metadata": {}, "more": 1},
    "meta": {"meta": {"k": "v"}},
}
META: dict[str, Any] = {
    "another key": {"meta": {"b": "x"}},
    "two keys": {"meta": {"a": "1", "b": "2"}},
    "no key": {"meta": {}},
    "no text": {"meta": {"a": 1}},
    "metadata": {"metadata": {"a": "x"}},
    "null": {"meta": None},
}


def test_metadata_that_make_no_sense_are_refused_in_both_notations(
    app: webtest.TestApp, owner: Any, register: Any, get: Any
) -> None:
    image = register(owner, properties={"kept": "1"})
    calls = [("POST", "meta", METADATA), ("PUT", "meta/a", META)]
    for method, place, bodies in calls:
        for case, body in bodies.items():
            for suffix in ("", ".xml"):
                send = app.post_json if method == "POST" else app.put_json
                answer = send(
                    f"{PATH}/{image.id}/{place}{suffix}",
                    body,
                    headers=owner.headers,
                    expect_errors=True,
                )
                assert answer.status_code == 400, case
                assert b"badRequest" in answer.body
    assert get(f"/{image.id}/meta").json == {"metadata": {"values": {"kept": "1"}}}


def test_there_is_an_end_to_metadata(
    app: webtest.TestApp, owner: Any, register: Any, get: Any
) -> None:
    image = register(owner)
    path = f"{PATH}/{image.id}/meta"
    most = {"metadata": {f"k{n}": "x" for n in range(images.MAX_PROPERTIES)}}
    app.post_json(path, most, headers=owner.headers, status=201)
    answer = app.put_json(
        f"{path}/more", {"meta": {"more": "x"}}, headers=owner.headers, status=413
    )
    assert list(answer.json) == ["overLimit"]
    app.put_json(f"{path}/k1", {"meta": {"k1": "y"}}, headers=owner.headers, status=201)


def test_staff_see_no_more_through_the_api(
    app: webtest.TestApp, register: Any, owner: Any, make_user: Any
) -> None:
    admin = make_user(role=Role.ADMIN)
    image = register(owner)
    app.get(f"{PATH}/{image.id}", headers=admin.headers, status=404)
    app.delete(f"{PATH}/{image.id}", headers=admin.headers, status=404)
    staff = Identity(admin.user.id, admin.user.email, Role.ADMIN, "dashboard")
    assert images.sees_all(staff)
