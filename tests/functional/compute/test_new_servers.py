"""What a create says of passwords and files, in JSON and XML, and what it refuses of them."""

import base64
import dataclasses
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import handovers
from cloudweb.models import AuditEntry, Handover, Operation, Server, SessionFactory, unit_of_work
from cloudweb.sealing import Sealer
from cloudweb.settings import Secret, Settings
from tests.applications import application

NS = "http://docs.openstack.org/compute/api/v1.1"
SERVERS = "/api/v1.1/servers"
FILE = {
    "path": "/etc/banner.txt",
    "contents": "SGVsbG8=",
    "owner": "root",
    "group": "adm",
    "mode": 0o640,
}
GOOD_PASSWORD = re.compile("(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[a-zA-Z0-9]{10}")


def _told(sessions: SessionFactory, sealer: Sealer) -> tuple[str, dict[str, str]]:
    with unit_of_work(sessions) as session:
        [server_id] = session.scalars(sa.select(Handover.server_id))
        parcel = handovers.send(session, sealer, server_id, keep_s=60)
    assert parcel is not None
    return parcel.token, dict(parcel.parameters)


def test_a_create_answers_the_password_the_instance_is_told_and_nothing_else_does(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory, sealer: Sealer
) -> None:
    answer = app.post_json(SERVERS, cloud.order(), headers=cloud.owner.headers, status=202)
    password = answer.json["server"]["adminPass"]
    assert GOOD_PASSWORD.fullmatch(password)
    assert answer.headers["Cache-Control"] == "no-store"
    assert _told(sessions, sealer)[1]["img_passwd"] == password
    path = f"{SERVERS}/{answer.json['server']['id']}"
    shown = app.get(path, headers=cloud.owner.headers).json["server"]
    assert shown | {"adminPass": password} == answer.json["server"]
    assert password not in app.get(f"{SERVERS}/detail", headers=cloud.owner.headers)


def test_a_create_in_xml_has_the_password_as_an_attribute_and_its_files_as_elements(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory, sealer: Sealer
) -> None:
    body = (
        f'<server xmlns="{NS}" name="web" imageRef="{cloud.image.id}" '
        f'flavorRef="{cloud.flavor.id}"><metadata><meta key="a">b</meta></metadata>'
        '<personality><file path="/etc/banner.txt" owner="root" group="adm" mode="0640">\n'
        'SGVsbG8=\n</file><file path="/empty"/></personality></server>'
    )
    answer = app.post(
        SERVERS,
        body,
        headers=cloud.owner.headers | {"Accept": "application/xml"},
        content_type="application/xml",
        status=202,
    )
    told = _told(sessions, sealer)[1]
    assert ElementTree.fromstring(answer.body).get("adminPass") == told["img_passwd"]
    assert GOOD_PASSWORD.fullmatch(told["img_passwd"])
    files = orjson.loads(told["img_personality"])
    assert files == [FILE, {"path": "/empty", "contents": ""}]


@pytest.mark.parametrize("mode", [0o640, "0640", "640"])
def test_a_mode_is_a_number_or_octal_digits(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory, sealer: Sealer, mode: Any
) -> None:
    order = cloud.order(personality=[FILE | {"mode": mode}])
    app.post_json(SERVERS, order, headers=cloud.owner.headers, status=202)
    assert orjson.loads(_told(sessions, sealer)[1]["img_personality"]) == [FILE]


def test_five_files_of_the_largest_size_are_taken(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory, sealer: Sealer
) -> None:
    files = [{"path": f"/{n}", "contents": "A" * 10_240} for n in range(5)]
    app.post_json(SERVERS, cloud.order(personality=files), headers=cloud.owner.headers, status=202)
    assert orjson.loads(_told(sessions, sealer)[1]["img_personality"]) == files


def _bad() -> dict[str, tuple[Any, int]]:
    def file(**changes: Any) -> list[Any]:
        return [FILE | changes]

    return {
        "six files": ([FILE] * 6, 413),
        "11 KB": (file(contents=base64.b64encode(b"x" * 11 * 1024).decode()), 413),
        "10,241 characters": (file(contents="A" * 10_241), 413),
        "an object": ({}, 400),
        "a text": ("x", 400),
        "null": (None, 400),
        "a list of texts": (["x"], 400),
        "an extra key": (file(evil=1), 400),
        "no path": ([{"contents": "SGVsbG8="}], 400),
        "no contents": ([{"path": "/x"}], 400),
        "not base64": (file(contents="a b!"), 400),
        "badly padded": (file(contents="SGVsbG8"), 400),
        "base64 with line breaks": (file(contents="SGVs\nbG8="), 400),
        "contents not ASCII": (file(contents="é" * 4), 400),
        "a number for contents": (file(contents=5), 400),
        "a number for path": (file(path=5), 400),
        "a relative path": (file(path="etc/x"), 400),
        "a path upwards": (file(path="/a/../../x"), 400),
        "a long path": (file(path="/" + "é" * 128), 400),
        "a control character": (file(path="/a\x00b"), 400),
        "half a character": (file(path="/\ud800"), 400),
        "an empty owner": (file(owner=""), 400),
        "a list for group": (file(group=[]), 400),
        "a mode too large": (file(mode=0o10000), 400),
        "a negative mode": (file(mode=-1), 400),
        "a mode that is not octal": (file(mode="0999"), 400),
        "a true mode": (file(mode=True), 400),
        "a fraction for mode": (file(mode=0.5), 400),
    }


@pytest.mark.parametrize("name", _bad())
def test_a_personality_that_makes_no_sense_is_refused_and_nothing_is_stored(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory, name: str
) -> None:
    value, code = _bad()[name]
    body = cloud.order(personality=value)
    for suffix in ("", ".xml"):
        answer = app.post_json(f"{SERVERS}{suffix}", body, headers=cloud.owner.headers, status=code)
        assert ("overLimit" if code == 413 else "badRequest") in answer.text
    with unit_of_work(sessions, write=False) as session:
        for kind in (Server, Operation, Handover):
            assert session.scalars(sa.select(kind)).all() == []


@pytest.mark.parametrize(
    ("personality", "code"),
    [
        ('<personality><file path="/x">a b</file></personality>', 400),
        ("<personality><file>SGVsbG8=</file></personality>", 400),
        ('<personality><file path="/x" evil="1"/></personality>', 400),
        ("<personality><meta key='a'>b</meta></personality>", 400),
        ('<personality><file path="/x"><file path="/y"/></file></personality>', 400),
        ("<personality>" + '<file path="/x"/>' * 6 + "</personality>", 413),
        (f'<personality><file path="/x">{"A" * 10_244}</file></personality>', 413),
    ],
)
def test_a_personality_in_xml_is_as_strict(
    app: webtest.TestApp, cloud: Any, personality: str, code: int
) -> None:
    app.post(
        f"{SERVERS}.xml",
        f'<server xmlns="{NS}" name="web" imageRef="{cloud.image.id}" '
        f'flavorRef="{cloud.flavor.id}">{personality}</server>',
        headers=cloud.owner.headers,
        content_type="application/xml",
        status=code,
    )


def test_an_empty_personality_is_none(app: webtest.TestApp, cloud: Any) -> None:
    order = cloud.order(personality=[])
    app.post_json(SERVERS, order, headers=cloud.owner.headers, status=202)
    app.post(
        SERVERS,
        f'<server xmlns="{NS}" name="web" imageRef="{cloud.image.id}" '
        f'flavorRef="{cloud.flavor.id}"><personality/></server>',
        headers=cloud.owner.headers,
        content_type="application/xml",
        status=202,
    )


def test_what_waits_for_an_instance_is_read_once_and_only_by_get(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory, sealer: Sealer
) -> None:
    made = app.post_json(SERVERS, cloud.order(), headers=cloud.owner.headers, status=202)
    token, told = _told(sessions, sealer)
    url = f"/vmapi/server-params/{token}"
    for method in ("HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        app.request(url, method=method, status=404)
    for wrong in (token[:-1], token + "A", "A" * 43, "%C3%A9", "A" * 500):
        app.get(f"/vmapi/server-params/{wrong}", status=404)
    answer = app.get(url, status=200)
    assert answer.json == told
    assert answer.json["img_passwd"] == made.json["server"]["adminPass"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    app.get(url, status=404)


def test_neither_logs_nor_rows_know_the_password_or_the_token(
    app: webtest.TestApp,
    cloud: Any,
    sessions: SessionFactory,
    sealer: Sealer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    made = app.post_json(SERVERS, cloud.order(personality=[FILE]), headers=cloud.owner.headers)
    token, told = _told(sessions, sealer)
    for path in (f"/vmapi/server-params/{token}", f"//vmapi/server-params/{token}/x"):
        app.get(path, expect_errors=True)
    lines = [f"{record.__dict__}" for record in caplog.records]
    assert sum("/vmapi/…" in line for line in lines) == 2
    with unit_of_work(sessions, write=False) as session:
        lines += [str(row) for row in session.execute(sa.select(AuditEntry.__table__))]
        lines += [str(row) for row in session.execute(sa.select(Operation.__table__))]
    for secret in (token, made.json["server"]["adminPass"], FILE["contents"]):
        assert not [line for line in lines if str(secret) in line]
    assert told["img_passwd"] == made.json["server"]["adminPass"]


def test_with_another_key_it_is_not_given_and_not_lost(
    settings: Settings,
    sessions: SessionFactory,
    cloud: Any,
    app: webtest.TestApp,
    sealer: Sealer,
) -> None:
    app.post_json(SERVERS, cloud.order(), headers=cloud.owner.headers)
    token, _ = _told(sessions, sealer)
    key = Secret("b3RoZXItdGVzdHMtMzItYnl0ZXMta2V5LTAwMDAwMDA=")
    changed = dataclasses.replace(settings, secret_key=key)
    other = webtest.TestApp(application(changed, sessions=sessions))
    other.get(f"/vmapi/server-params/{token}", status=500)
    app.get(f"/vmapi/server-params/{token}", status=200)


def test_a_create_beyond_a_quota_is_refused_in_both_notations_and_stores_nothing(
    settings: Settings, sessions: SessionFactory, cloud: Any
) -> None:
    limited = dataclasses.replace(settings, quota_servers=1)
    app = webtest.TestApp(application(limited, sessions=sessions))
    app.post_json(SERVERS, cloud.order(), headers=cloud.owner.headers, status=202)
    answer = app.post_json(SERVERS, cloud.order(), headers=cloud.owner.headers, status=413)
    assert answer.json["overLimit"] == {
        "code": 413,
        "message": "Resource Limit Exceeded for your account.",
        "details": "Limit for resource 'servers' exceeded for your account. "
        "Current value: 1, Limit: 1, Requested: 1",
    }
    answer = app.post_json(f"{SERVERS}.xml", cloud.order(), headers=cloud.owner.headers, status=413)
    assert ElementTree.fromstring(answer.body).tag == f"{{{NS}}}overLimit"
    with unit_of_work(sessions, write=False) as session:
        for kind in (Server, Operation, Handover):
            assert len(session.scalars(sa.select(kind)).all()) == 1


def test_a_create_takes_as_many_statements_whatever_the_user_has(
    app: webtest.TestApp, cloud: Any, count_statements: Callable[[], Any]
) -> None:
    def create() -> int:
        with count_statements() as counted:
            app.post_json(SERVERS, cloud.order(), headers=cloud.owner.headers, status=202)
        return len(counted)

    first = create()
    for _ in range(10):
        create()
    assert create() == first <= 20
