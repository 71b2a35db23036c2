"""Bodies that are not what they should be: the documented status and error, and nothing stored."""

import json
from typing import Any

import pytest

from cloudweb.models import CatalogueFlavor, Infrastructure, SessionFactory, unit_of_work
from tests.conftest import Person
from tests.functional.federation.conftest import NANO, Client
from tests.functional.federation.test_infrastructures import DOCUMENT, MORDOR

XML = "<flavor><name>a</name><vcpus>1</vcpus><ram>2</ram><disk>3</disk><swap>0</swap></flavor>"
MALFORMED = {"error": {"message": "The flavor request is not well formed"}}

BAD_FLAVORS: list[Any] = [
    *[
        {field: value}
        for field in ("vcpus", "ram", "disk", "swap")
        for value in (-1, 1.0, 1.5, "1", True, None, 2**31)
    ],
    {"vcpus": 0},
    {"vcpus": 32768},
    {"ram": 0},
    *[{"name": value} for value in ("", " ", "x" * 256, 7, None, "a\nb", "a\0b", " a", "a ")],
    {"id": "x" * 256},
    {"id": ["a"]},
    {"id": "a/b"},
    {"id": True},
    {"nodes": ["Spain2", "Spain2"]},
    {"nodes": "Spain2"},
    {"nodes": [7]},
    {"public": "true"},
    {"promoted": 1},
    {"extra_specs": {"a": 1}},
    {"rxtx_factor": 0},
]


def stored(sessions: SessionFactory) -> int:
    with unit_of_work(sessions) as session:
        return session.query(CatalogueFlavor).count() + session.query(Infrastructure).count()


@pytest.mark.parametrize("changes", BAD_FLAVORS, ids=str)
def test_a_flavor_out_of_range_or_of_the_wrong_kind(
    call: Client, manager: Person, sessions: SessionFactory, changes: Any
) -> None:
    answer = call("POST", "/v1/promotedflavors", {"flavor": NANO | changes}, by=manager)
    assert (answer.status_code, answer.json) == (400, MALFORMED)
    assert stored(sessions) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"flavor"',
        b"{}",
        b'{"flavor": null}',
        b'{"flavor": []}',
        b'{"flavor": {}}',
        b'{"flavors": {"name": "a"}}',
        b"\xff\xfe",
        b'{"flavor": {"name": "\xff"}}',
        b"[" * 100_000,
        json.dumps({"flavor": {k: v for k, v in NANO.items() if k != "swap"}}).encode(),
    ],
)
def test_json_that_is_no_flavor(
    call: Client, manager: Person, sessions: SessionFactory, body: bytes
) -> None:
    answer = call("POST", "/v1/promotedflavors", body, by=manager, Content_Type="application/json")
    assert (answer.status_code, answer.json) == (400, MALFORMED)
    assert stored(sessions) == 0


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<flavor>",
        "<flavor/>",
        "text",
        XML.replace("flavor", "server"),
        XML.replace("<flavor>", '<flavor xmlns="http://example.org/">'),
        XML.replace("<flavor>", '<flavor id="7">'),
        XML.replace("<flavor>", "<flavor>text"),
        XML.replace("<name>a</name>", "<name>a</name>text"),
        XML.replace("<name>a</name>", '<name lang="en">a</name>'),
        XML.replace("<name>a</name>", "<name><b>a</b></name>"),
        XML.replace("<name>a</name>", ""),
        XML.replace("<name>a</name>", "<name>a</name><name>b</name>"),
        XML.replace("<name>a</name><vcpus>1</vcpus>", "<vcpus>1</vcpus><name>a</name>"),
        XML.replace("</flavor>", "<promoted>true</promoted></flavor>"),
        XML.replace("</flavor>", "<node>a</node><node>a</node></flavor>"),
        *[
            XML.replace("<vcpus>1", f"<vcpus>{n}")
            for n in ("", "1.0", "x", "-1", "0", "32768", "1e3", "٣", "9" * 30)
        ],
        '<!DOCTYPE flavor [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        + XML.replace("<name>a", "<name>&e;"),
        '<!DOCTYPE flavor [<!ENTITY e "x">]>' + XML.replace("<name>a", "<name>&e;"),
        "<!DOCTYPE flavor>" + XML,
        '<!DOCTYPE lolz [<!ENTITY a "a"><!ENTITY b "&a;&a;&a;">]>' + XML,
        XML + XML,
    ],
)
def test_xml_that_is_no_flavor(
    call: Client, manager: Person, sessions: SessionFactory, body: str
) -> None:
    answer = call("POST", "/v1/promotedflavors", body, by=manager, xml=True)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.text.endswith(
        "<error><message>The flavor request is not well formed</message></error>"
    )
    assert stored(sessions) == 0


def test_names_in_xml_are_texts(call: Client, manager: Person) -> None:
    for name in ("007", "node", "public", "a &lt;b&gt; c"):
        body = XML.replace("<name>a", f"<name>{name}")
        answer = call("POST", "/v1/promotedflavors", body, by=manager, xml=True)
        assert answer.status_code == 201
        assert f"<name>{name}</name>" in answer.text


@pytest.mark.parametrize(
    "media", ["application/whatever; a=b", "text/xml", "text/plain", "", "multipart/form-data"]
)
def test_an_unknown_content_type(call: Client, manager: Person, media: str) -> None:
    answer = call("POST", "/v1/promotedflavors", b"{}", by=manager, Content_Type=media)
    kind = media.partition(";")[0]
    assert (answer.status_code, answer.json["error"]["message"]) == (
        415,
        f"Unrecognized content type '{kind}'. Mustbe 'application/xml or 'application/json'",
    )


def test_a_charset_is_fine(call: Client, manager: Person) -> None:
    raw = json.dumps({"flavor": NANO}).encode()
    media = "application/json; charset=utf-8"
    answer = call("POST", "/v1/promotedflavors", raw, by=manager, Content_Type=media)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("application/xml, application/json", "application/json"),
        ("application/xml", "application/xml; charset=utf-8"),
        ("application/xml;q=0.5", "application/xml; charset=utf-8"),
        ("application/json;q=0, application/xml", "application/xml; charset=utf-8"),
        ("text/xml", "application/xml; charset=utf-8"),
        ("text/html", "application/json"),
        ("nonsense;;;q=x,,", "application/json"),
    ],
)
def test_what_the_caller_accepts(
    call: Client, reader: Person, accept: str | None, media: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = call("GET", "/v1/regions", by=reader, **headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media)


@pytest.mark.parametrize(
    "changes",
    [
        *[
            {field: value}
            for field in ("username", "password", "tenant")
            for value in ("", 7, None, "x" * 256, "a\nb")
        ],
        *[{"name": value} for value in ("", "x" * 256, 7, "a\0")],
        *[
            {"keystone_url": value}
            for value in (
                "",
                "55.66.77.88",
                "ftp://a/",
                "http://a b/",
                "file:///etc/passwd",
                7,
                "http://" + "a" * 2000,
                "http://",
                "http:///v3",
                "http://:5000/v3",
                "http://user:password@a.example/v3",
                "http://@a.example/v3",
                "http://a.example\\@b.example/",
                "http://a.example:0/v3",
                "http://a.example/v3?x=y",
                "http://a.example/v3#x",
                "gopher://a.example/",
                "//a.example/v3",
            )
        ],
        *[{"nova_url": value} for value in (7, "file:///etc/passwd", "http://u:p@a.example/")],
    ],
    ids=str,
)
def test_an_infrastructure_that_cannot_be(
    call: Client, operator: Person, sessions: SessionFactory, changes: Any
) -> None:
    body = {"infrastructure": MORDOR | changes}
    answer = call("POST", "/v1/infrastructures", body, by=operator)
    assert (answer.status_code, answer.json) == (
        400,
        {"error": {"message": "The infrastructure is not well formed"}},
    )
    assert stored(sessions) == 0


@pytest.mark.parametrize(
    "document",
    [
        DOCUMENT.replace("<tenant>myTenant</tenant>", ""),
        DOCUMENT.replace("tenant", "project"),
        DOCUMENT.replace("<infrastructure>", "<infrastructure a='b'>"),
    ],
)
def test_an_infrastructure_in_xml_that_cannot_be(
    call: Client, operator: Person, document: str
) -> None:
    answer = call("POST", "/v1/infrastructures", document, by=operator, xml=True)
    assert answer.status_code == 400
    assert "<message>The infrastructure is not well formed</message>" in answer.text


def test_a_body_that_is_too_large(call: Client, manager: Person) -> None:
    body = {"flavor": NANO | {"comment": "x" * 300_000}}
    answer = call("POST", "/v1/promotedflavors", body, by=manager)
    assert (answer.status_code, answer.json) == (
        413,
        {"error": {"message": "The request is too large."}},
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/regions", "GET, HEAD, OPTIONS"),
        ("PATCH", "/v1/promotedflavors", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/api/v1/infrastructures/a", "DELETE, OPTIONS"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    call: Client, reader: Person, method: str, path: str, allowed: str
) -> None:
    answer = call(method, path, by=reader)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    asked = call("OPTIONS", path)
    assert (asked.status_code, asked.headers["Allow"], asked.body) == (200, allowed, b"")
    head = call("HEAD", "/v1/regions", by=reader)
    assert (head.status_code, head.body) == (200, b"")


@pytest.mark.parametrize(
    "path", ["/v1/nope", "/api/v1/regions/", "/v1/flavors/a/b", "/v1/promotedflavors/"]
)
def test_an_unknown_url_is_not_found(call: Client, reader: Person, path: str) -> None:
    answer = call("GET", path, by=reader)
    if answer.status_code == 200:
        assert path.endswith("/")
        return
    assert (answer.status_code, answer.text) == (404, "The requested resource does not exist")


def test_the_compute_api_is_beside_it(call: Client, reader: Person) -> None:
    assert call("GET", "/api/v1.1/flavors", by=reader).json == {"flavors": {"values": []}}
    assert call("GET", "/api/v1.1", by=reader).status_code == 200


@pytest.mark.parametrize("flavor_id", ["@@", "@@x"])
def test_an_id_may_be_spelt_in_any_way(call: Client, manager: Person, flavor_id: str) -> None:
    for path in ("/v1/flavors", "/v1/promotedflavors"):
        assert call("GET", f"{path}/{flavor_id}", by=manager).status_code == 404
        assert call("DELETE", f"{path}/{flavor_id}", by=manager).status_code == 404
