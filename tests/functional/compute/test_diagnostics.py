"""What was said of a server while it was built, through the compute API."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import webtest

from cloudweb.models import Diagnostic, Server, SessionFactory, unit_of_work, utc_now


def _say(sessions: SessionFactory, server: Server, *messages: str) -> list[int]:
    with unit_of_work(sessions) as session:
        said = [
            Diagnostic(server_id=server.id, level="INFO", source="image-info", message=message)
            for message in messages
        ]
        said[0].source_date, said[0].details = utc_now(), "at length"
        session.add_all(said)
    return [each.id for each in said]


def test_the_newest_comes_first_in_a_plain_list(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    sessions: SessionFactory,
) -> None:
    server = make_server(owner=cloud.owner)
    ids = _say(sessions, server, "first", "second")
    path = f"/api/v1.1/servers/{server.id}/diagnostics"
    second, first = app.get(path, headers=cloud.owner.headers).json
    assert (first["message"], first["details"]) == ("first", "at length")
    assert first["level"] == "INFO"
    assert first["source"] == "image-info"
    assert {"created", "source_date"} <= set(first)
    assert (second["id"], second["details"]) == (ids[1], "")
    assert "source_date" not in second
    root = ElementTree.fromstring(app.get(f"{path}.xml", headers=cloud.owner.headers).body)
    assert root.tag == "{http://docs.openstack.org/compute/api/v1.1}diagnostics"
    assert [item.get("message") for item in root] == ["second", "first"]


def test_they_come_in_pages(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    sessions: SessionFactory,
    count_statements: Callable[[], Any],
) -> None:
    server = make_server(owner=cloud.owner)
    ids = _say(sessions, server, "1", "2", "3")
    path = f"/api/v1.1/servers/{server.id}/diagnostics?limit=2"
    with count_statements() as counter:
        found = app.get(path, headers=cloud.owner.headers).json
    assert ([item["id"] for item in found], len(counter)) == ([ids[2], ids[1]], 3)
    rest = app.get(f"{path}&marker={ids[1]}", headers=cloud.owner.headers).json
    assert [item["id"] for item in rest] == [ids[0]]
    app.get(f"{path}&marker=x", headers=cloud.owner.headers, status=400)


def test_a_server_nothing_was_said_of_has_an_empty_list_and_anothers_none(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    mine, other = make_server(owner=cloud.owner, backend=cloud.backend), make_server()
    path = "/api/v1.1/servers/{}/diagnostics"
    assert app.get(path.format(mine.id), headers=cloud.owner.headers).json == []
    for server_id in (other.id, 0, "9" * 19, "9" * 300):
        app.get(path.format(server_id), headers=cloud.owner.headers, status=404)
