"""Bad input: a fault of the right code in the caller's notation, and nothing stored."""

import io
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
import webob
import webtest

from cloudweb.models import Operation, Role, Server, SessionFactory, unit_of_work

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;">]><server name="&c;" imageRef="1" flavorRef="1"/>'
)
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    '<server name="&a;" imageRef="1" flavorRef="1"/>'
)


def _nothing_was_stored(sessions: SessionFactory) -> bool:
    with unit_of_work(sessions, write=False) as session:
        servers = session.scalar(sa.select(sa.func.count()).select_from(Server))
        return servers == 0 and not session.scalars(sa.select(Operation)).all()


def _orders(cloud: Any) -> dict[str, tuple[Any, int, str]]:
    order = cloud.order
    return {
        "unknown flavor": (order(flavorRef=999_999), 404, "itemNotFound"),
        "flavor 0": (order(flavorRef=0), 404, "itemNotFound"),
        "flavor -1": (order(flavorRef=-1), 404, "itemNotFound"),
        "flavor 1e3": (order(flavorRef="1e3"), 404, "itemNotFound"),
        "flavor too large": (order(flavorRef=9999999999999999999), 404, "itemNotFound"),
        "flavor larger": (order(flavorRef="9" * 400), 404, "itemNotFound"),
        "flavor true": (order(flavorRef=True), 400, "badRequest"),
        "flavor float": (order(flavorRef=1.5), 400, "badRequest"),
        "unknown image": (order(imageRef="nothing"), 404, "itemNotFound"),
        "image nul": (order(imageRef="a\0b"), 404, "itemNotFound"),
        "key control": (order() | {"\1": 1}, 400, "badRequest"),
        "image list": (order(imageRef=[]), 400, "badRequest"),
        "name empty": (order(name=""), 400, "badRequest"),
        "name blank": (order(name="   "), 400, "badRequest"),
        "name 256": (order(name="x" * 256), 400, "badRequest"),
        "name control": (order(name="a\x00b"), 400, "badRequest"),
        "name line": (order(name="a\nb"), 400, "badRequest"),
        "name number": (order(name=5), 400, "badRequest"),
        "name null": (order(name=None), 400, "badRequest"),
        "extra key": (order(evil=1), 400, "badRequest"),
        "extra outer key": (order() | {"more": 1}, 400, "badRequest"),
        "metadata list": (order(metadata=["a"]), 400, "badRequest"),
        "metadata text": (order(metadata="a"), 400, "badRequest"),
        "metadata number": (order(metadata={"a": 1}), 400, "badRequest"),
        "metadata key long": (order(metadata={"a" * 256: "b"}), 400, "badRequest"),
        "metadata value long": (order(metadata={"a": "b" * 256}), 400, "badRequest"),
        "metadata key empty": (order(metadata={"": "b"}), 400, "badRequest"),
        "no server": ({}, 400, "badRequest"),
        "a list": ([], 400, "badRequest"),
        "a string": ("server", 400, "badRequest"),
        "server null": ({"server": None}, 400, "badRequest"),
        "server text": ({"server": "x"}, 400, "badRequest"),
    }


def test_each_bad_order_is_refused_in_both_notations(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory
) -> None:
    app.get("/api/v1.1/servers", headers=cloud.owner.headers)
    for case, (body, code, name) in _orders(cloud).items():
        for suffix in ("", ".xml"):
            answer = app.post_json(
                f"/api/v1.1/servers{suffix}",
                body,
                headers=cloud.owner.headers,
                expect_errors=True,
            )
            assert answer.status_code == code, case
            assert _fault_name(answer) == name, case
    assert _nothing_was_stored(sessions)


def test_a_refusal_names_what_is_unknown_and_not_what_came_under_it(
    app: webtest.TestApp, cloud: Any
) -> None:
    order = cloud.order(adminPass="s3cret-one")
    answer = app.post_json("/api/v1.1/servers", order, headers=cloud.owner.headers, status=400)
    assert answer.json["badRequest"]["details"] == "server: Unknown: adminPass"
    answer = app.post_json("/api/v1.1/servers", [], headers=cloud.owner.headers, status=400)
    assert answer.json["badRequest"]["details"] == "This must be an object."


def _fault_name(answer: Any) -> str:
    if answer.headers["Content-Type"] == "application/json":
        [(name, fault)] = answer.json.items()
        assert set(fault) == {"code", "message", "details"}
        assert fault["code"] == answer.status_code
        return str(name)
    root = ElementTree.fromstring(answer.body)
    assert root.get("code") == str(answer.status_code)
    return root.tag.rpartition("}")[2]


@pytest.mark.parametrize(
    ("body", "media", "code"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"server": {"name": "\xc3\x28"}}', "application/json", 400),
        (b'{"server": "\\ud800"}', "application/json", 400),
        (b"[" * 5000 + b"]" * 5000, "application/json", 400),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "application/json", 400),
        (b"NaN", "application/json", 400),
        (b"{}", "text/plain", 400),
        (b"{}", "", 400),
        (b"<server", "application/xml", 400),
        (b"<a>" * 5000 + b"</a>" * 5000, "application/xml", 400),
        (b"<server/>", "application/xml", 400),
        (b"<server>" + b"<a/>" * 50_000 + b"</server>", "application/xml", 400),
        (
            b"<server" + b"".join(b" a%d='b'" % n for n in range(20_000)) + b"/>",
            "application/xml",
            400,
        ),
        (b"<x name='a'/>", "application/xml", 400),
        (BOMB.encode(), "application/xml", 400),
        (OUTSIDE.encode(), "application/xml", 400),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(
    app: webtest.TestApp,
    cloud: Any,
    sessions: SessionFactory,
    body: bytes,
    media: str,
    code: int,
) -> None:
    answer = app.post(
        "/api/v1.1/servers",
        body,
        headers=cloud.owner.headers | {"Content-Type": media},
        expect_errors=True,
    )
    assert answer.status_code == code
    assert _fault_name(answer) in ("badRequest", "overLimit")
    assert _nothing_was_stored(sessions)


def test_ten_megabytes_are_refused_without_being_read(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory
) -> None:
    class Untouched(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, _buffer: Any) -> int:
            raise AssertionError("the body was read")

    for path, kind in (("servers", "application/json"), ("servers.xml", "application/xml")):
        request = webob.Request.blank(
            f"/api/v1.1/{path}", method="POST", headers=cloud.owner.headers
        )
        request.body_file = Untouched()
        request.content_length = 10_000_000
        answer = request.get_response(app.app)
        assert (answer.status_code, answer.headers["Content-Type"]) == (413, kind)
        assert b"overLimit" in answer.body
    assert _nothing_was_stored(sessions)


@pytest.mark.parametrize(
    ("path", "code", "name"),
    [
        ("0", 404, "itemNotFound"),
        ("9999999999999999999", 404, "itemNotFound"),
        ("9" * 300, 404, "itemNotFound"),
        ("-1", 400, "badRequest"),
        ("1e3", 400, "badRequest"),
        ("%D9%A1", 400, "badRequest"),
        ("%ff", 400, "badRequest"),
        ("1/nothing", 400, "badRequest"),
    ],
)
def test_an_id_that_is_none_is_refused(
    app: webtest.TestApp, cloud: Any, path: str, code: int, name: str
) -> None:
    for suffix in ("", ".xml"):
        answer = app.get(
            f"/api/v1.1/servers/{path}{suffix}", headers=cloud.owner.headers, expect_errors=True
        )
        assert (answer.status_code, _fault_name(answer)) == (code, name)


def test_another_users_server_does_not_exist(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    path = f"/api/v1.1/servers/{make_server().id}"
    headers = cloud.owner.headers
    app.get(path, headers=headers, status=404)
    app.put_json(path, {"server": {"name": "mine"}}, headers=headers, status=404)
    app.delete(path, headers=headers, status=404)
    app.post_json(f"{path}/action", {"start": {}}, headers=headers, status=404)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 400),
        ([], 400),
        ({"start": {}, "shutdown": {}}, 400),
        ({"explode": {}}, 400),
        ({"start": None}, 400),
        ({"start": {"now": True}}, 400),
        ({"reboot": {}}, 400),
        ({"reboot": {"type": "soft"}}, 400),
        ({"reboot": {"type": ["SOFT"]}}, 400),
        ({"reboot": {"type": "SOFT", "more": 1}}, 400),
        ({"reboot": {"type": "\1"}}, 400),
        ({"resize": {"flavorRef": 1}}, 501),
        ({"rebuild": {}}, 501),
        ({"changePassword": {"adminPass": "x"}}, 501),
        ({"confirmResize": None}, 501),
        ({"revertResize": None}, 501),
    ],
)
def test_an_action_that_is_none_is_refused(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    sessions: SessionFactory,
    body: Any,
    code: int,
) -> None:
    server = make_server(owner=cloud.owner)
    for suffix in ("", ".xml"):
        answer = app.post_json(
            f"/api/v1.1/servers/{server.id}/action{suffix}",
            body,
            headers=cloud.owner.headers,
            status=code,
        )
        assert _fault_name(answer) in ("badRequest", "notImplemented")
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(Operation)).all() == []


@pytest.mark.parametrize("token", ["", "wrong", "x" * 5000, "\xe9"])
def test_without_a_good_token_nothing_is_answered(app: webtest.TestApp, token: str) -> None:
    for path in ("/api/", "/api/v1.1/", "/api/v1.1/servers", "/api/v1.1/flavors/1"):
        answer = app.get(path, headers={"X-Auth-Token": token}, status=401)
        assert answer.json == {
            "unauthorized": {"code": 401, "message": "No user found.", "details": ""}
        }
    answer = app.get("/api/v1.1/servers.xml", headers={"X-Auth-Token": token}, status=401)
    assert _fault_name(answer) == "unauthorized"


def test_an_anonymous_probe_costs_no_statement(
    app: webtest.TestApp, count_statements: Callable[[], Any]
) -> None:
    with count_statements() as counter:
        app.get("/api/v1.1/servers/1", status=401)
    assert len(counter) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1.1/nothing"),
        ("GET", "/api/v2"),
        ("DELETE", "/api/v1.1/servers"),
        ("PATCH", "/api/v1.1/servers/1"),
        ("POST", "/api/v1.1/flavors"),
        ("GET", "/api/v1.1/servers/@@detail"),
        ("GET", "/api/v1.1/servers/1/action"),
    ],
)
def test_an_unknown_url_and_a_wrong_method_are_bad_requests(
    app: webtest.TestApp, cloud: Any, method: str, path: str
) -> None:
    for accept, suffix in (("*/*", ""), ("application/xml", ""), ("*/*", ".xml")):
        answer = app.request(
            path + suffix,
            method=method,
            headers=cloud.owner.headers | {"Accept": accept},
            expect_errors=True,
        )
        assert (answer.status_code, _fault_name(answer)) == (400, "badRequest")


def test_our_own_failure_is_a_fault_without_a_traceback(
    app: webtest.TestApp, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudweb.domain import flavors

    def broken(_session: Any, **_part: Any) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(flavors, "list_active", broken)
    for suffix in ("", ".xml"):
        answer = app.get(
            f"/api/v1.1/flavors{suffix}", headers=cloud.owner.headers, expect_errors=True
        )
        assert (answer.status_code, _fault_name(answer)) == (500, "computeFault")
        assert b"secret" not in answer.body
        assert answer.headers["X-Request-Id"].encode() in answer.body


@pytest.mark.parametrize("path", ["/apiv1.1/servers", "/apiX/v1.1/servers"])
def test_nothing_but_api_is_the_api(app: webtest.TestApp, cloud: Any, path: str) -> None:
    app.get(path, headers=cloud.owner.headers, status=404)


def test_a_dashboard_cookie_opens_no_api(
    app: webtest.TestApp,
    make_user: Callable[..., Any],
    make_server: Callable[..., Server],
    sessions: SessionFactory,
) -> None:
    admin = make_user(role=Role.ADMIN, password="correct horse battery")
    server = make_server()
    page = app.get("/admin/login")
    page.form["email"], page.form["password"] = admin.user.email, "correct horse battery"
    page.form.submit(status=303)
    app.get("/admin/", status=200)
    for path in (f"/api/v1.1/servers/{server.id}", f"/apiv1.1/servers/{server.id}"):
        app.get(path, expect_errors=True)
        assert app.delete(path, expect_errors=True).status_code in (400, 401, 404)
    app.get(f"/api/v1.1/servers/{server.id}", headers=admin.headers, status=404)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(Operation)).all() == []


def test_methods_nobody_has_are_counted_as_one(app: webtest.TestApp) -> None:
    for number in range(5):
        webob.Request.blank("/healthz", method=f"X{number}").get_response(app.app)
    text = app.get("/metrics", extra_environ={"REMOTE_ADDR": "127.0.0.1"}).text
    assert 'method="other"' in text
    assert 'method="X1"' not in text
