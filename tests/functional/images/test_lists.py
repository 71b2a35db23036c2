"""Lists of the registry: who sees what, filters, order, pages, and what they cost."""

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import Image, ImageMember, SessionFactory, unit_of_work, utc_now
from tests.functional.images.conftest import Client

MakeClient = Callable[..., Client]
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def fill(sessions: SessionFactory) -> Callable[..., list[str]]:
    """Makes images of an owner straight in the database; gives their ids."""
    numbers = itertools.count()

    def make(owner: Client | None, *images: dict[str, Any]) -> list[str]:
        rows = []
        for values in images:
            number = next(numbers)
            defaults = {
                "id": f"image-{number:06}",
                "owner_id": None if owner is None else owner.person.user.id,
                "name": f"image {number}",
                "location": "debian-12",
                "disk_format": "diskdump",
                "properties": {"os": "debian"},
                "created": START + dt.timedelta(seconds=number),
                "updated": START,
            }
            rows.append(Image(**(defaults | values)))
        with unit_of_work(sessions) as session:
            session.add_all(rows)
        return [row.id for row in rows]

    return make


def ids(found: Any) -> list[str]:
    return [each["id"] for each in found]


def test_a_list_has_ones_own_the_public_ones_and_those_shared(
    client: Client, make_client: MakeClient, fill: Any, sessions: SessionFactory
) -> None:
    other = make_client()
    own, own_public = fill(client, {}, {"is_public": True})
    shared, public, _private = fill(other, {}, {"is_public": True}, {})
    [system] = fill(None, {"is_public": True})
    fill(client, {"deleted": True, "deleted_at": utc_now()})
    with unit_of_work(sessions) as session:
        session.add(ImageMember(image_id=shared, user_id=client.person.user.id))
        session.add(ImageMember(image_id=own_public, user_id=other.person.user.id))
    expected = [system, public, shared, own_public, own]
    assert ids(client.get("images/")) == expected
    assert ids(client.get("images/detail")) == expected


def test_a_list_is_bare_and_in_xml_it_holds_the_same(client: Client) -> None:
    image_id = client.add(property_os="<&>", name='"x"', is_public="True", size="7")
    brief = {
        "status": "available",
        "name": '"x"',
        "disk_format": "diskdump",
        "container_format": "bare",
        "size": 7,
        "id": image_id,
    }
    assert client.get("images") == [brief]
    [detail] = client.get("images/detail")
    assert detail | brief == detail
    assert (detail["is_public"], detail["properties"]) == (True, {"os": "<&>"})

    for path, headers in (
        ("images/detail.xml", {}),
        ("images/detail", {"Accept": "application/xml"}),
    ):
        answer = client.call("GET", path, headers=headers)
        assert answer.headers["Content-Type"] == "application/xml"
        root = ElementTree.fromstring(answer.body)
        [image] = root
        assert (root.tag, image.tag) == ("images", "image")
        assert image.find("properties/property").text == "<&>"  # type: ignore[union-attr]
        said = {name: value for name, value in detail.items() if name != "properties"}
        assert image.attrib == {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in said.items()
        }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("name=beta", [3, 1]),
        ("name=Beta", []),
        ("disk_format=extdump", [2]),
        ("container_format=ovf", [4]),
        ("status=unavailable", [0]),
        ("status=nothing", []),
        ("size_min=20", [4, 3, 2]),
        ("size_max=20", [2, 1, 0]),
        ("size_min=20&size_max=20", [2]),
        ("size_max=0", [0]),
        ("size_min=9223372036854775807", []),
        ("name=&size_min=&sort_key=", [4, 3, 2, 1, 0]),
        ("name=beta&size_min=35", [3]),
        ("sort_dir=asc", [0, 1, 2, 3, 4]),
        ("sort_key=name", [3, 1, 4, 2, 0]),
        ("sort_key=name&sort_dir=asc", [0, 2, 4, 1, 3]),
        ("sort_key=size&sort_dir=asc", [0, 1, 2, 3, 4]),
        ("sort_key=id", [4, 3, 2, 1, 0]),
        ("sort_key=status&sort_dir=asc", [1, 2, 3, 4, 0]),
        ("sort_key=disk_format&sort_dir=asc", [0, 1, 3, 4, 2]),
        ("sort_key=container_format&sort_dir=asc", [0, 1, 2, 3, 4]),
        ("sort_key=updated_at&sort_dir=asc", [1, 2, 3, 4, 0]),
        ("color=red", [4, 3, 2, 1, 0]),
    ],
)
def test_lists_are_filtered_and_ordered(
    client: Client, fill: Any, query: str, expected: list[int]
) -> None:
    made = fill(
        client,
        {"name": "alpha", "status": "unavailable", "updated": START + dt.timedelta(1)},
        {"name": "beta", "size": 10},
        {"name": "alpha", "size": 20, "disk_format": "extdump"},
        {"name": "beta", "size": 40},
        {"name": "alpha", "size": 50, "container_format": "ovf"},
    )
    assert [made.index(each) for each in ids(client.get(f"images?{query}"))] == expected


@pytest.mark.parametrize("key", ["created_at", "name", "size", "id", "updated_at", "status"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_put_together_are_the_list(
    client: Client, fill: Any, key: str, direction: str
) -> None:
    fill(client, *({"name": f"n{n % 3}", "size": n % 2 or None} for n in range(7)))
    order = f"sort_key={key}&sort_dir={direction}"
    whole = ids(client.get(f"images/detail?{order}"))
    found: list[str] = []
    while page := client.get(
        f"images/detail?{order}&limit=3" + (f"&marker={found[-1]}" if found else "")
    ):
        assert len(page) <= 3
        found += ids(page)
    assert found == whole


@pytest.mark.parametrize(
    "query",
    [
        "sort_key=location",
        "sort_key=id%3Bdrop",
        "sort_dir=up",
        "size_min=-1",
        "size_min=many",
        "size_max=1.5",
        "size_max=9223372036854775808",
        "size_max=" + "9" * 5000,
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=1001",
        "marker=nothing",
        "marker=",
        "marker=" + "x" * 1000,
        "marker=a%00b",
        "name=a%00b",
        "status=%1b",
        "name=%ff",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    for path in ("images", "images/detail", "images.xml"):
        answer = client.call("GET", f"{path}?{query}")
        assert answer.status_code == 400
        assert b"badRequest" in answer.body


def test_a_marker_that_the_caller_does_not_see_is_no_marker(
    client: Client, make_client: MakeClient
) -> None:
    hidden = make_client().add()
    unknown = client.call("GET", "images?marker=5b1abcec-640d-48ca-9ab8-47b057961382")
    other = client.call("GET", f"images?marker={hidden}")
    assert (other.status_code, other.json) == (unknown.status_code, unknown.json)


def test_a_page_can_begin_after_an_image_that_was_deleted_meanwhile(client: Client) -> None:
    first, second = client.add(), client.add()
    client.call("DELETE", f"images/{second}")
    assert ids(client.get(f"images?marker={second}")) == [first]


@pytest.mark.parametrize("path", ["images", "images/detail", "images/detail?sort_key=size&limit=9"])
def test_a_list_of_a_thousand_takes_as_many_statements_as_one_of_ten(
    client: Client,
    make_client: MakeClient,
    fill: Any,
    app: webtest.TestApp,
    count_statements: Callable[[], Any],
    path: str,
) -> None:
    def cold_and_warm() -> tuple[int, int]:
        app.app.registry["cloudweb.fragments"]._pieces.clear()
        counts = []
        for _ in range(2):
            with count_statements() as counter:
                client.get(path)
            counts.append(len(counter))
        return counts[0], counts[1]

    other = make_client()
    fill(client, *({} for _ in range(5)))
    fill(other, *({"is_public": True} for _ in range(5)))
    few = cold_and_warm()
    fill(client, *({} for _ in range(595)))
    fill(other, *({"is_public": True} for _ in range(595)))
    assert cold_and_warm() == few == (3, 2)


def test_lists_from_fragments_are_what_images_are(client: Client, sessions: Any) -> None:
    image_id = client.add()
    for change in (
        {"name": "b"},
        {"property_x": "1"},
        {"is_public": "True"},
        {"status": "unavailable"},
    ):
        client.get("images/detail")
        headers = client.update(image_id, **change).headers
        shown = client.shown(image_id)
        assert shown["name"] == headers["X-Image-Meta-Name"]
        assert str(shown["is_public"]) == headers["X-Image-Meta-Is-Public"]
        assert shown["properties"].get("x") == headers.get("X-Image-Meta-Property-x")
        assert shown["status"] == headers["X-Image-Meta-Status"]
    with unit_of_work(sessions, write=False) as session:
        assert session.scalar(sa.select(Image.version)) == 5


def test_a_list_that_is_known_is_not_sent_again(client: Client) -> None:
    client.add()
    tag = client.call("GET", "images/detail").headers["ETag"]
    again = client.call("GET", "images/detail", headers={"If-None-Match": tag})
    assert (again.status_code, again.body) == (304, b"")
    client.add()
    again = client.call("GET", "images/detail", headers={"If-None-Match": tag})
    assert again.status_code == 200
