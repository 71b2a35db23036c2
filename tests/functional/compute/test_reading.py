"""What every list and GET shares: changes-since, limit and marker, ETags, compression."""

import datetime as dt
import gzip
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
import webob
import webtest

from cloudweb.domain import hearing
from cloudweb.domain.states import StatusEvent
from cloudweb.models import (
    Backend,
    Flavor,
    ListVersion,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.views.delivery import takes_gzip

SERVERS = "/api/v1.1/servers"
DETAIL = "/api/v1.1/servers/detail"


def _ids(answer: Any) -> list[int]:
    return [item["id"] for item in answer.json["servers"]["values"]]


def _time(**back: float) -> str:
    return quote((utc_now() - dt.timedelta(**back)).isoformat())


def _age(sessions: SessionFactory, server: Server, **back: float) -> None:
    """Let the server, and the list it is in, have changed that long ago."""
    then = utc_now() - dt.timedelta(**back)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Server).where(Server.id == server.id).values(updated=then))
        session.execute(sa.update(ListVersion).values(changed=then))


def _destroy(sessions: SessionFactory, backend: Backend, server: Server) -> None:
    with unit_of_work(sessions) as session:
        event = StatusEvent(
            cluster=backend.name,
            instance=server.instance_name or "",
            opcode="OP_INSTANCE_REMOVE",
            status="success",
            job_id=7,
            time=utc_now(),
        )
        hearing.apply_statuses(session, [event])


# --- changes-since ------------------------------------------------------------------------------


def test_changes_since_shows_what_changed_and_what_was_deleted(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    sessions: SessionFactory,
) -> None:
    mine = {"owner": cloud.owner, "backend": cloud.backend}
    old, renamed, gone = (make_server(**mine) for _ in range(3))
    make_server(backend=cloud.backend)
    for server in (old, renamed, gone):
        _age(sessions, server, minutes=30)
    since = _time(minutes=1)
    headers = cloud.owner.headers
    app.get(f"{DETAIL}?changes-since={since}", headers=headers, status=304)
    app.put_json(f"{SERVERS}/{renamed.id}", {"server": {"name": "new"}}, headers=headers)
    _destroy(sessions, cloud.backend, gone)
    answer = app.get(f"{DETAIL}?changes-since={since}", headers=headers)
    shown = {item["id"]: item["status"] for item in answer.json["servers"]["values"]}
    assert shown == {renamed.id: "ACTIVE", gone.id: "DELETED"}
    brief = app.get(f"{SERVERS}?changes-since={since}", headers=headers)
    assert _ids(brief) == [renamed.id, gone.id]
    assert _ids(app.get(SERVERS, headers=headers)) == [old.id, renamed.id]
    xml = app.get(f"{DETAIL}.xml?changes-since={since}", headers=headers)
    assert xml.body.count(b"<server ") == 2


def test_a_change_at_the_very_time_asked_for_is_shown(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    server = make_server(owner=cloud.owner)
    shown = app.get(f"{SERVERS}/{server.id}", headers=cloud.owner.headers).json["server"]
    answer = app.get(
        f"{SERVERS}?changes-since={quote(shown['updated'])}", headers=cloud.owner.headers
    )
    assert _ids(answer) == [server.id]


def test_nothing_changed_is_304_without_a_body_and_costs_only_the_token(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    sessions: SessionFactory,
    count_statements: Callable[[], Any],
) -> None:
    _age(sessions, make_server(owner=cloud.owner), minutes=2)
    with count_statements() as counter:
        answer = app.get(
            f"{DETAIL}?changes-since={_time(minutes=1)}", headers=cloud.owner.headers, status=304
        )
    assert (answer.body, len(counter)) == (b"", 1)
    assert "Content-Type" not in answer.headers


def test_deleting_moves_the_number_of_the_list(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    sessions: SessionFactory,
) -> None:
    def number() -> int:
        with unit_of_work(sessions, write=False) as session:
            return session.get_one(ListVersion, cloud.owner.user.id).version

    heard = make_server(owner=cloud.owner, backend=cloud.backend)
    before = number()
    _destroy(sessions, cloud.backend, heard)
    assert number() > before
    made = app.post_json(SERVERS, cloud.order(), headers=cloud.owner.headers).json["server"]
    before = number()
    app.delete(f"{SERVERS}/{made['id']}", headers=cloud.owner.headers)
    assert number() > before


def test_the_time_of_a_list_never_goes_back(
    make_user: Callable[..., Any], sessions: SessionFactory
) -> None:
    from cloudweb.models import move_lists

    owner = make_user()
    ahead = utc_now() + dt.timedelta(minutes=5)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(ListVersion).values(changed=ahead))
        move_lists(session.connection(), [owner.user.id])
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(ListVersion, owner.user.id).changed == ahead


BAD_TIMES = {
    "yesterday": "Invalid changes-since parameter.",
    "2011-04-19": "Invalid changes-since parameter.",
    "2011-04-19T10:18:52": "Invalid changes-since parameter.",
    "2011-04-19T10:18:52 00:00": "Invalid changes-since parameter.",
    "2011-04-19T10:18:52+00:00": "Invalid changes-since parameter.",  # the + is not written %2B
    "2011-04-19%2010:18:52%2B00:00": "Invalid changes-since parameter.",
    "2011-13-19T10:18:52Z": "Invalid changes-since parameter.",
    "1303208332": "Invalid changes-since parameter.",
    "%00": "Invalid changes-since parameter.",
    "0001-01-01T00:00:00%2B14:00": "Invalid changes-since parameter.",
    "9999-12-31T23:59:59-14:00": "Invalid changes-since parameter.",
    "9999-12-31T23:59:59Z": "changes-since value set in the future.",
    "2011-04-19T10:18:52.085737%2B00:00": "Too old changes-since value.",
    "2011-01-24T17:08Z": "Too old changes-since value.",
}


@pytest.mark.parametrize(("text", "message"), BAD_TIMES.items())
def test_a_time_that_cannot_be_meant_is_refused(
    app: webtest.TestApp, cloud: Any, text: str, message: str
) -> None:
    for path in (SERVERS, DETAIL):
        answer = app.get(f"{path}?changes-since={text}", headers=cloud.owner.headers, status=400)
        assert answer.json == {"badRequest": {"code": 400, "message": message, "details": ""}}


def test_the_edges_of_the_time_that_may_be_asked_for(app: webtest.TestApp, cloud: Any) -> None:
    for back, status in ((3590, (200, 304)), (3610, (400,)), (-30, (400,)), (1, (200, 304))):
        answer = app.get(
            f"{SERVERS}?changes-since={_time(seconds=back)}",
            headers=cloud.owner.headers,
            expect_errors=True,
        )
        assert answer.status_code in status, back


def test_an_empty_time_is_none(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    server = make_server(owner=cloud.owner)
    answer = app.get(f"{SERVERS}?changes-since=", headers=cloud.owner.headers)
    assert _ids(answer) == [server.id]


# --- limit and marker ---------------------------------------------------------------------------


def test_pages_of_a_list_are_the_list(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    mine = {"owner": cloud.owner, "backend": cloud.backend}
    made = [make_server(**mine).id for _ in range(5)]
    for path in (SERVERS, DETAIL):
        seen: list[int] = []
        while True:
            after = f"&marker={seen[-1]}" if seen else ""
            page = _ids(app.get(f"{path}?limit=2{after}", headers=cloud.owner.headers))
            if not page:
                break
            assert len(page) <= 2
            seen += page
        assert seen == made
        assert _ids(app.get(path, headers=cloud.owner.headers)) == made
        assert _ids(app.get(f"{path}?marker={made[2]}", headers=cloud.owner.headers)) == made[3:]


def test_flavors_come_in_pages_too(
    app: webtest.TestApp, make_flavor: Callable[..., Flavor], cloud: Any
) -> None:
    made = [make_flavor().id for _ in range(3)]
    for path in ("/api/v1.1/flavors", "/api/v1.1/flavors/detail"):
        answer = app.get(f"{path}?limit=2&marker={made[0]}", headers=cloud.owner.headers)
        assert [item["id"] for item in answer.json["flavors"]["values"]] == made[1:]
        app.get(f"{path}?limit=0", headers=cloud.owner.headers, status=400)


def test_pages_of_changes_are_the_changes(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    mine = {"owner": cloud.owner, "backend": cloud.backend}
    made = [make_server(**mine).id for _ in range(3)]
    path = f"{SERVERS}?changes-since={_time(minutes=1)}&limit=2"
    assert _ids(app.get(path, headers=cloud.owner.headers)) == made[:2]
    assert _ids(app.get(f"{path}&marker={made[1]}", headers=cloud.owner.headers)) == made[2:]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=1e3",
        "limit=",
        "limit=%D9%A1",
        f"limit={'0' * 29}19999",
        "limit=9999999999999999999",
        "marker=",
        "marker=-1",
        "marker=x",
        "marker=1.5",
        "marker=9999999999999999999",
        f"marker={'0' * 40}{'9' * 400}",
        "limit=2&marker=%ff",
        "%ff=1",
    ],
)
def test_a_page_that_cannot_be_is_refused(app: webtest.TestApp, cloud: Any, query: str) -> None:
    for path in (SERVERS, DETAIL):
        app.get(f"{path}?{query}", headers=cloud.owner.headers, status=400)


# --- ETags --------------------------------------------------------------------------------------


def test_an_unchanged_list_is_304_and_costs_only_the_token(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    count_statements: Callable[[], Any],
) -> None:
    server = make_server(owner=cloud.owner, backend=cloud.backend)
    headers = cloud.owner.headers
    first = app.get(DETAIL, headers=headers)
    again = headers | {"If-None-Match": f'"other", {first.headers["ETag"]}'}
    with count_statements() as counter:
        answer = app.get(DETAIL, headers=again, status=304)
    assert (answer.body, len(counter)) == (b"", 1)
    assert answer.headers["ETag"] == first.headers["ETag"]
    assert not {"Content-Type", "Content-Length"} & set(answer.headers)
    app.put_json(f"{SERVERS}/{server.id}", {"server": {"name": "new"}}, headers=headers)
    assert app.get(DETAIL, headers=again, status=200).headers["ETag"] != first.headers["ETag"]


def test_each_notation_query_and_owner_has_a_tag_of_its_own(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any, make_user: Any
) -> None:
    make_server(owner=cloud.owner)
    paths = (SERVERS, f"{SERVERS}.xml", DETAIL, f"{DETAIL}.xml", f"{SERVERS}?limit=1")
    tags = [app.get(path, headers=cloud.owner.headers).headers["ETag"] for path in paths]
    tags.append(app.get(SERVERS, headers=make_user().headers).headers["ETag"])
    tags.append(app.get(DETAIL, headers=make_user().headers).headers["ETag"])
    assert len(set(tags)) == len(tags)


def test_an_unchanged_server_is_304_until_anything_of_it_changes(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    count_statements: Callable[[], Any],
) -> None:
    server = make_server(owner=cloud.owner, backend=cloud.backend)
    path, headers = f"{SERVERS}/{server.id}", cloud.owner.headers
    first = app.get(path, headers=headers).headers["ETag"]
    with count_statements() as counter:
        app.get(path, headers=headers | {"If-None-Match": first}, status=304)
    assert len(counter) == 2
    app.put_json(path, {"server": {"name": "new"}}, headers=headers)
    answer = app.get(path, headers=headers | {"If-None-Match": first}, status=200)
    assert answer.headers["ETag"] != first


@pytest.mark.parametrize("path", ["/api/", "/api/v1.1/", "/api/v1.1/flavors", "/api/v1.1/servers"])
def test_every_get_has_a_tag_that_serves(app: webtest.TestApp, cloud: Any, path: str) -> None:
    for suffix in (".json", ".xml"):
        first = app.get(path + suffix, headers=cloud.owner.headers)
        assert first.headers["ETag"].startswith('W/"')
        assert first.headers["Cache-Control"] == "private, max-age=0, must-revalidate"
        assert first.headers["Vary"] == "X-Auth-Token, Accept, Accept-Encoding"
        for wanted in (first.headers["ETag"], first.headers["ETag"].removeprefix("W/"), "*"):
            headers = cloud.owner.headers | {"If-None-Match": wanted}
            assert app.get(path + suffix, headers=headers, status=304).body == b""
        head = app.head(path + suffix, headers=cloud.owner.headers)
        assert head.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("wanted", ["", "nonsense", '"', "W/", '"x', "\xff", ", ,"])
def test_a_tag_that_is_none_is_nothing(app: webtest.TestApp, cloud: Any, wanted: str) -> None:
    app.get(SERVERS, headers=cloud.owner.headers | {"If-None-Match": wanted}, status=200)


def test_what_is_written_or_refused_is_kept_by_nobody(app: webtest.TestApp, cloud: Any) -> None:
    made = app.post_json(SERVERS, cloud.order(), headers=cloud.owner.headers)
    missing = app.get(f"{SERVERS}/999999", headers=cloud.owner.headers, status=404)
    for answer in (made, missing):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers


# --- compression --------------------------------------------------------------------------------


def test_a_large_answer_is_compressed_for_whoever_asks(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    for _ in range(5):
        make_server(owner=cloud.owner, backend=cloud.backend)
    plain = app.get(DETAIL, headers=cloud.owner.headers)
    assert "Content-Encoding" not in plain.headers
    asked = cloud.owner.headers | {"Accept-Encoding": "br;q=1.0, gzip;q=0.8, *;q=0.1"}
    # WebTest would unpack it.
    packed = webob.Request.blank(DETAIL, headers=asked).get_response(app.app)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Length"] == str(len(packed.body))
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["ETag"] == plain.headers["ETag"]
    app.get(DETAIL, headers=asked | {"If-None-Match": packed.headers["ETag"]}, status=304)
    assert "Content-Encoding" not in app.get(SERVERS, headers=asked).headers


def test_no_page_is_compressed(app: webtest.TestApp) -> None:
    page = app.get("/admin/login", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in page.headers


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, *", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("gzip;q=nonsense", False),
        ("identity;q=0, *;q=0.5", True),
        (",;,=", False),
    ],
)
def test_accept_encoding_is_read_with_its_weights(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes
