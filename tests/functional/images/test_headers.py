"""What headers can say: any text, there and back; and what they cannot."""

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
import webtest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyramid.response import Response
from webtest.http import StopableWSGIServer

from cloudweb.domain import images
from cloudweb.domain.texts import readable
from cloudweb.models import Image, utc_now
from cloudweb.views.images import headers
from tests.functional.images.conftest import LOCATION, Client, spelt

texts = st.text(min_size=1, max_size=40).filter(readable)
keys = st.dictionaries(texts, st.text(max_size=40).filter(readable), max_size=5)


@pytest.mark.parametrize(
    "name",
    [
        "Ελλάδα",
        "猫 🐈",
        "100 % sure",
        "a%20b",
        " leading and trailing ",
        "a  b",
        '"quoted";=,',
        "é",
    ],
)
def test_any_name_survives_the_way_there_and_back(client: Client, name: str) -> None:
    image_id = client.add(name=name)
    assert client.shown(image_id)["name"] == name
    heard = client.head(image_id)["X-Image-Meta-Name"]
    assert heard.isascii()
    client.call("PUT", f"images/{image_id}", headers={"X-Image-Meta-Name": heard})
    assert client.shown(image_id)["name"] == name


def test_a_name_may_come_as_utf_8_that_is_not_encoded(client: Client) -> None:
    raw = "Ελλάδα".encode().decode("latin-1")
    image_id = client.add()
    client.call("PUT", f"images/{image_id}", headers={"X-Image-Meta-Name": raw})
    assert client.shown(image_id)["name"] == "Ελλάδα"


def test_plain_names_are_not_encoded(client: Client) -> None:
    heard = client.head(client.add(name="Debian (12) & more"))
    assert heard["X-Image-Meta-Name"] == "Debian (12) & more"


def test_names_of_properties_are_lower_case_with_underscores(client: Client) -> None:
    # WebTest takes a percent sign in a header's name for an error; RFC 9110 allows it.
    lenient = Client(webtest.TestApp(client.app.app, lint=False), client.person)
    image_id = lenient.call(
        "POST",
        "images/",
        headers={
            "X-Image-Meta-Name": "x",
            "X-Image-Meta-Location": LOCATION,
            "X-Image-Meta-Property-ROOT-Partition": "1",
            "X-Image-Meta-Property-a.b": "2",
            "X-Image-Meta-Property-Gr%C3%B6%C3%9Fe%20mm": "3",
            "X-Image-Meta-Property-empty": "",
        },
    ).headers["X-Image-Meta-Id"]
    properties = client.shown(image_id)["properties"]
    assert properties == {"root_partition": "1", "a_b": "2", "größe mm": "3", "empty": ""}


def test_a_property_keeps_the_spelling_it_has(client: Client, app: webtest.TestApp) -> None:
    image_id = client.add()
    app.post_json(
        f"/api/v1.1/images/{image_id}/meta",
        {"metadata": {"OSFamily": "linux", "root-partition": "1"}},
        headers=client.person.headers,
    )
    heard = client.head(image_id)
    same = {name: value for name, value in heard.items() if "-Property-" in name}
    assert len(same) == 2
    client.call("PUT", f"images/{image_id}", headers=same | {"X-Image-Meta-Property-new": "1"})
    properties = client.shown(image_id)["properties"]
    assert properties == {"OSFamily": "linux", "root-partition": "1", "new": "1"}


class _Asked:
    """What a view is handed of a request."""

    def __init__(self, response: Response) -> None:
        self.environ = {
            "HTTP_" + name.upper().replace("-", "_"): value.strip(" \t")
            for name, value in response.headers.items()
        }


@given(name=texts, properties=keys)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_an_image_is_called_its_headers_say_it(
    name: str, properties: dict[str, str]
) -> None:
    folded = {images.folded(key): (key, value) for key, value in properties.items()}
    properties = dict(folded.values())
    image = Image(
        id="1",
        name=name,
        location=LOCATION,
        disk_format="diskdump",
        container_format="bare",
        status="available",
        is_public=True,
        properties=properties,
        created=utc_now(),
        updated=utc_now(),
    )
    response = headers.write(Response(), image)
    for header, value in response.headers.items():
        assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header)
        assert re.fullmatch(r"[ -~]*", value)
    said = headers.read(_Asked(response))  # type: ignore[arg-type]
    assert said["name"] == name
    assert images.merged(properties, said.get("properties", {})) == properties


BAD: dict[str, dict[str, str]] = {
    "no encoding": {"X-Image-Meta-Name": "100% sure"},
    "half a sign": {"X-Image-Meta-Name": "a%2"},
    "no hexadecimal": {"X-Image-Meta-Name": "%zz"},
    "no UTF-8": {"X-Image-Meta-Name": "%ff%fe"},
    "no UTF-8, raw": {"X-Image-Meta-Name": "\xff"},
    "half a surrogate": {"X-Image-Meta-Name": "%ED%A0%80"},
    "NUL": {"X-Image-Meta-Name": "a%00b"},
    "a line end": {"X-Image-Meta-Name": "a%0D%0ASet-Cookie:%20x=y"},
    "a control character in a property": {"X-Image-Meta-Property-x": "%1b[2J"},
    "a control character in a key": {"X-Image-Meta-Property-a%0D%0Ab": "1"},
    "no UTF-8 in a key": {"X-Image-Meta-Property-%FF": "1"},
    "an empty key": {"X-Image-Meta-Property-": "1"},
    "an empty name": {"X-Image-Meta-Name": ""},
    "a blank name": {"X-Image-Meta-Name": "%20%20"},
    "a long name": {"X-Image-Meta-Name": "x" * 256},
    "a long location": {"X-Image-Meta-Location": "pithos://a/b/" + "x" * 1012},
    "a long key": {"X-Image-Meta-Property-" + "k" * 256: "1"},
    "a long value": {"X-Image-Meta-Property-k": "v" * 1001},
    "many properties": {f"X-Image-Meta-Property-k{n}": "1" for n in range(65)},
    "a key twice": {"X-Image-Meta-Property-a.b": "1", "X-Image-Meta-Property-a~b": "1"},
    "a field twice": {"X-Image-Meta-Disk.format": "dump", "X-Image-Meta-Disk-format": "dump"},
    "a negative size": {"X-Image-Meta-Size": "-1"},
    "a size in words": {"X-Image-Meta-Size": "many"},
    "a size with a fraction": {"X-Image-Meta-Size": "1.5"},
    "a size in other digits": {"X-Image-Meta-Size": quote("١٢")},
    "a size too large": {"X-Image-Meta-Size": str(2**63)},
    "a size far too large": {"X-Image-Meta-Size": "9" * 5000},
    "is_public in words": {"X-Image-Meta-Is-Public": "maybe"},
    "is_public as a number": {"X-Image-Meta-Is-Public": "1"},
    "an unknown disk format": {"X-Image-Meta-Disk-Format": "vhd"},
    "an unknown container format": {"X-Image-Meta-Container-Format": "docker"},
    "an unknown field": {"X-Image-Meta-Colour": "red"},
    "all properties at once": {"X-Image-Meta-Properties": "{}"},
}
ONLY_NEW: dict[str, dict[str, str]] = {
    "an id": {"X-Image-Meta-Id": "5b1abcec-640d-48ca-9ab8-47b057961382"},
    "another store": {"X-Image-Meta-Store": "swift"},
    "a status": {"X-Image-Meta-Status": "available"},
    "a bad checksum": {"X-Image-Meta-Checksum": "not one"},
    "a long checksum": {"X-Image-Meta-Checksum": "a" * 65},
}
ONLY_OLD: dict[str, dict[str, str]] = {
    "an unknown status": {"X-Image-Meta-Status": "deleted"},
    "a purge in words": {"X-Glance-Registry-Purge-Props": "perhaps"},
}


@pytest.mark.parametrize("case", [*BAD, *ONLY_NEW])
def test_a_new_image_is_refused_for(case: str, client: Client) -> None:
    given = spelt({"name": "x", "location": LOCATION}) | (BAD | ONLY_NEW)[case]
    for suffix in ("", ".xml"):
        answer = client.call("POST", f"images{suffix}", headers=given)
        assert answer.status_code in ((400, 413) if case == "many properties" else (400,))
        assert b"badRequest" in answer.body
    assert client.get("images") == []


@pytest.mark.parametrize("case", [*BAD, *ONLY_OLD])
def test_a_change_is_refused_for(case: str, client: Client) -> None:
    image_id = client.add(property_os="debian")
    before = client.shown(image_id)
    answer = client.call("PUT", f"images/{image_id}", headers=(BAD | ONLY_OLD)[case])
    assert (answer.status_code, list(answer.json)) == (400, ["badRequest"])
    assert client.shown(image_id) == before


def test_the_largest_that_is_allowed_is_taken(client: Client) -> None:
    properties = {f"property_{'k' * 250}{n}": "v" * 1000 for n in range(images.MAX_PROPERTIES)}
    location = "pithos://a/b/" + "x" * 1011
    image_id = client.add(name="ø" * 255, location=location, size=str(2**63 - 1), **properties)
    assert len(client.shown(image_id)["properties"]) == images.MAX_PROPERTIES
    answer = client.update(image_id, 413, property_more="1")
    assert list(answer.json) == ["overLimit"]


@contextmanager
def served(app: Any) -> Iterator[int]:
    """The application behind the real web server; its port."""
    server: Any = StopableWSGIServer.create(app, host="127.0.0.1", threads=2)
    try:
        yield server.effective_port
    finally:
        server.shutdown()


def test_over_the_wire_nothing_is_lost_or_slipped_in(client: Client, app: webtest.TestApp) -> None:
    with served(app.app) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        sent = client.person.headers | {
            "X-Image-Meta-Name": quote(" Ελλάδα: 100%"),
            "X-Image-Meta-Location": LOCATION,
            "X-Image-Meta-Property-Gr%C3%B6%C3%9Fe": quote("one\ntwo"),
        }
        connection.request("POST", "/plankton/images/", headers=sent)
        made = connection.getresponse()
        assert (made.status, made.read()) == (200, b"")
        image_id = made.headers["X-Image-Meta-Id"]
        connection.request("HEAD", f"/plankton/images/{image_id}", headers=client.person.headers)
        heard = connection.getresponse()
        heard.read()
        assert heard.headers["X-Image-Meta-Name"] == "%20" + quote("Ελλάδα") + ": 100%25"
        assert heard.headers["X-Image-Meta-Property-gr%C3%B6%C3%9Fe"] == "one%0Atwo"
        connection.close()
    assert client.shown(image_id)["properties"] == {"größe": "one\ntwo"}
