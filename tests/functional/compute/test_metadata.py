"""What hangs on servers, through the compute API: keys and values, in JSON and XML."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import (
    AuditEntry,
    OperState,
    Server,
    ServerMetadata,
    SessionFactory,
    unit_of_work,
)

NS = "{http://docs.openstack.org/compute/api/v1.1}"
XML = "application/xml"


class Meta:
    """The metadata of one server, asked for by its owner."""

    def __init__(self, app: webtest.TestApp, server: Server, headers: dict[str, str]) -> None:
        self.app, self.headers = app, headers
        self.server = f"/api/v1.1/servers/{server.id}"
        self.path = f"{self.server}/meta"

    def all(self) -> dict[str, str]:
        values: dict[str, str] = self.app.get(self.path, headers=self.headers).json["metadata"][
            "values"
        ]
        return values

    def post(self, values: Any, status: int = 201) -> Any:
        body = {"metadata": values}
        return self.app.post_json(self.path, body, headers=self.headers, status=status).json

    def url(self, key: str) -> str:
        return f"{self.path}/{quote(key, safe='')}"

    def put(self, key: str, body: Any, status: int = 201) -> Any:
        return self.app.put_json(self.url(key), body, headers=self.headers, status=status).json

    def get(self, key: str, status: int = 200) -> Any:
        return self.app.get(self.url(key), headers=self.headers, status=status).json

    def delete(self, key: str, status: int = 204) -> Any:
        return self.app.delete(self.url(key), headers=self.headers, status=status)

    def shown(self) -> Any:
        return self.app.get(self.server, headers=self.headers).json["server"]


@pytest.fixture
def meta(app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any) -> Meta:
    server = make_server(owner=cloud.owner, metadata={"a": "1", "b": "2"})
    return Meta(app, server, cloud.owner.headers)


def test_an_update_answers_with_the_updated_keys_only_and_keeps_the_others(meta: Meta) -> None:
    assert meta.post({"b": "3", "c": ""}) == {"metadata": {"b": "3", "c": ""}}
    assert meta.all() == {"a": "1", "b": "3", "c": ""}
    assert meta.shown()["metadata"] == {"values": {"a": "1", "b": "3", "c": ""}}


def test_one_key_is_read_put_and_deleted(meta: Meta) -> None:
    assert meta.get("a") == {"meta": {"a": "1"}}
    assert meta.put("a", {"meta": {"a": "9"}}) == {"meta": {"a": "9"}}
    assert meta.put("new", {"meta": {"new": "x"}}) == {"meta": {"new": "x"}}
    assert meta.delete("b").body == b""
    assert meta.all() == {"a": "9", "new": "x"}
    for again in (meta.get("b", 404), meta.delete("b", 404).json):
        assert again["itemNotFound"]["message"] == "Metadata key not found."


def test_the_last_key_goes_and_the_server_has_none(meta: Meta) -> None:
    meta.delete("a")
    meta.delete("b")
    assert meta.all() == {}
    assert "metadata" not in meta.shown()
    assert meta.post({}) == {"metadata": {}}


def test_all_of_it_is_the_same_in_xml(meta: Meta) -> None:
    headers = meta.headers | {"Content-Type": XML}
    xmlns = f'xmlns="{NS[1:-1]}"'
    posted = meta.app.post(
        f"{meta.path}.xml",
        f'<metadata {xmlns}><meta key="b">&lt;3&gt;</meta><meta key="é/ü"/></metadata>',
        headers=headers,
        status=201,
    )
    root = ElementTree.fromstring(posted.body)
    assert root.tag == f"{NS}metadata"
    assert {item.get("key"): item.text or "" for item in root} == {"b": "<3>", "é/ü": ""}
    put = meta.app.put(
        f"{meta.path}/c.xml", f'<meta {xmlns} key="c">4</meta>', headers=headers, status=201
    )
    root = ElementTree.fromstring(put.body)
    assert (root.tag, root.get("key"), root.text) == (f"{NS}meta", "c", "4")
    read = ElementTree.fromstring(meta.app.get(f"{meta.path}.xml", headers=headers).body)
    assert {item.get("key"): item.text or "" for item in read} == meta.all()
    assert meta.all() == {"a": "1", "b": "<3>", "c": "4", "é/ü": ""}


KEYS = [
    "with.dots.v1.2",
    "config.json",
    "config.xml",
    "feed.atom",
    ".json",
    "a/b/c",
    "a//b",
    "/a/",
    "meta/a/meta/b",
    "detail",
    "Ελλάδα ✓ \U0001f600",
    "a b+c&d=e?f#g%2F",
    "\\..\\",
    "..." + "x" * 252,
]


@pytest.mark.parametrize("key", KEYS)
def test_any_key_has_a_url(meta: Meta, key: str) -> None:
    # One suffix is always taken as the notation.
    named = f"{key}.json" if key.endswith((".json", ".xml")) else key
    assert meta.put(named, {"meta": {key: "x"}}) == {"meta": {key: "x"}}
    assert meta.get(named) == {"meta": {key: "x"}}
    found = meta.app.get(f"{meta.url(key)}.xml", headers=meta.headers)
    assert ElementTree.fromstring(found.body).get("key") == key
    meta.delete(named)
    assert meta.all() == {"a": "1", "b": "2"}


@pytest.mark.parametrize("key", ["..", ".", "a/..", "../../2", "./a", "...json"])
def test_a_key_that_would_be_a_way_up_reaches_nothing(
    meta: Meta, sessions: SessionFactory, key: str
) -> None:
    meta.delete(key, 400)
    meta.put(key, {"meta": {key: "x"}}, 400)
    with unit_of_work(sessions, write=False) as session:
        assert not session.scalars(sa.select(Server.id).where(Server.deleted)).all()
        assert len(session.scalars(sa.select(ServerMetadata.key)).all()) == 2


BAD: dict[str, Any] = {
    "list": ["a"],
    "text": "a",
    "null": None,
    "number": {"k": 1},
    "null value": {"k": None},
    "object": {"k": {"x": "y"}},
    "values": {"values": {"k": "v"}},
    "key 256": {"k" * 256: "v"},
    "value 256": {"k": "v" * 256},
    "key empty": {"": "v"},
    "key blank": {" ": "v"},
    "key spaces": {"k ": "v"},
    "key control": {"a\nb": "v"},
    "key nul": {"a\0b": "v"},
    "value nul": {"k": "a\0b"},
    "value escape": {"k": "\x1b[31m"},
    "key dots": {"..": "v"},
    "key up": {"a/../b": "v"},
    "surrogate": {"k": "\ufffe"},
}


@pytest.mark.parametrize("values", BAD.values(), ids=BAD)
def test_what_no_metadata_can_be_is_refused_and_nothing_changes(meta: Meta, values: Any) -> None:
    before = meta.shown()
    assert "badRequest" in meta.post(values, 400)
    assert meta.shown() == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"meta": {}},
        {"meta": {"a": "1", "b": "2"}},
        {"meta": {"b": "1"}},
        {"meta": "1"},
        {"meta": {"a": 1}},
        {"metadata": {"a": "1"}},
        {"meta": {"a": "1"}, "more": 1},
    ],
)
def test_a_put_takes_exactly_the_key_of_its_url(meta: Meta, body: Any) -> None:
    assert "badRequest" in meta.put("a", body, 400)
    assert meta.all() == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "body",
    [
        b"<metadata><meta key='a'>1</meta><meta key='a'>2</meta></metadata>",
        b"<metadata><meta key='a'><b/></meta></metadata>",
        b"<metadata><meta>1</meta></metadata>",
        b"<metadata><other/></metadata>",
        b"<meta key='a'>1</meta>",
        b"<!DOCTYPE m [<!ENTITY e 'x'>]><metadata><meta key='a'>&e;</meta></metadata>",
        b"<metadata>" * 40 + b"</metadata>" * 40,
    ],
)
def test_xml_that_is_no_metadata_is_refused(meta: Meta, body: bytes) -> None:
    headers = meta.headers | {"Content-Type": XML}
    meta.app.post(meta.path, body, headers=headers, status=400)
    assert meta.all() == {"a": "1", "b": "2"}


def test_the_longest_key_and_value_are_kept_whole(meta: Meta) -> None:
    values = {"κ" * 255: "\U0001f600" * 255}
    assert meta.post(values) == {"metadata": values}
    assert meta.all() == {"a": "1", "b": "2"} | values


def test_there_are_no_more_keys_than_the_setting_says(
    meta: Meta, app: webtest.TestApp, cloud: Any
) -> None:
    many = {f"k{n}": "v" for n in range(1000)}
    assert "overLimit" in meta.post(many, 413)
    full = {f"k{n}": "v" for n in range(126)}
    meta.post(full)
    assert "overLimit" in meta.post({"one more": "v"}, 413)
    assert "overLimit" in meta.put("one more", {"meta": {"one more": "v"}}, 413)
    meta.post({"k0": "another"})
    assert len(meta.all()) == 128
    order = cloud.order(metadata=many)
    app.post_json("/api/v1.1/servers", order, headers=cloud.owner.headers, status=413)


def test_every_change_is_a_change_of_the_server_and_in_the_audit(
    meta: Meta, sessions: SessionFactory
) -> None:
    def version() -> tuple[int, Any]:
        with unit_of_work(sessions, write=False) as session:
            row = session.execute(sa.select(Server.version, Server.updated)).one()
            return row[0], row[1]

    seen = [version()]
    for change in (
        lambda: meta.post({"c": "1"}),
        lambda: meta.put("c", {"meta": {"c": "2"}}),
        lambda: meta.delete("c"),
    ):
        change()
        seen.append(version())
    assert seen == sorted(seen)
    assert len({number for number, _ in seen}) == len({time for _, time in seen}) == 4
    with unit_of_work(sessions, write=False) as session:
        entries = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()
    noted = [(e.action.rpartition("-")[2], e.details) for e in entries if "metadata" in e.action]
    assert noted == [
        ("update", {"before": {}, "after": {"c": "1"}}),
        ("update", {"before": {"c": "1"}, "after": {"c": "2"}}),
        ("delete", {"before": {"c": "2"}, "after": {}}),
    ]


def test_of_a_deleted_server_it_is_shown_and_not_changed(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    gone = make_server(
        owner=cloud.owner, metadata={"a": "1"}, state=OperState.DESTROYED, deleted=True
    )
    meta = Meta(app, gone, cloud.owner.headers)
    assert meta.all() == {"a": "1"}
    for refused in (
        meta.post({"b": "2"}, 400),
        meta.put("a", {"meta": {"a": "2"}}, 400),
        meta.delete("a", 400).json,
    ):
        assert refused["badRequest"]["message"] == "Server has been deleted."


def test_another_users_is_not_found(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    meta = Meta(app, make_server(metadata={"a": "1"}), cloud.owner.headers)
    app.get(meta.path, headers=meta.headers, status=404)
    meta.post({"a": "2"}, 404)
    meta.get("a", 404)
    meta.put("a", {"meta": {"a": "2"}}, 404)
    meta.delete("a", 404)


@pytest.mark.parametrize("server_id", ["0", "9999999999999999999", "9" * 300])
def test_the_metadata_and_statistics_of_no_server_are_not_found(
    app: webtest.TestApp, cloud: Any, server_id: str
) -> None:
    for place in ("meta", "meta/a", "stats"):
        for suffix in ("", ".xml"):
            path = f"/api/v1.1/servers/{server_id}/{place}{suffix}"
            app.get(path, headers=cloud.owner.headers, status=404)


@pytest.mark.parametrize("server_id", ["-1", "1e3", "x"])
def test_the_metadata_and_statistics_of_no_id_are_a_bad_request(
    app: webtest.TestApp, cloud: Any, server_id: str
) -> None:
    for place in ("meta", "meta/a", "stats"):
        path = f"/api/v1.1/servers/{server_id}/{place}"
        app.get(path, headers=cloud.owner.headers, status=400)
