"""Servers through the compute API, in JSON and XML."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import (
    AuditEntry,
    Operation,
    OperationState,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
)

NS = "{http://docs.openstack.org/compute/api/v1.1}"


def _rows(sessions: SessionFactory, kind: Any) -> list[Any]:
    with unit_of_work(sessions, write=False) as session:
        return list(session.scalars(sa.select(kind)))


def test_a_created_server_is_in_build_and_its_operation_waits(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory
) -> None:
    answer = app.post_json(
        "/api/v1.1/servers",
        cloud.order(metadata={"role": "web"}),
        headers=cloud.owner.headers,
        status=202,
    )
    server = answer.json["server"]
    assert answer.headers["Content-Type"] == "application/json"
    assert (server["status"], server["progress"]) == ("BUILD", 0)
    assert server["metadata"] == {"values": {"role": "web"}}
    [operation] = _rows(sessions, Operation)
    assert operation.opcode == "OP_INSTANCE_CREATE"
    assert operation.state is OperationState.PENDING
    assert operation.target == f"snf-{server['id']}"
    assert operation.request_id == answer.headers["X-Request-Id"]
    assert "server:create" in {entry.action for entry in _rows(sessions, AuditEntry)}


def test_a_create_in_xml_is_the_same_create(app: webtest.TestApp, cloud: Any) -> None:
    body = (
        f'<server xmlns="{NS[1:-1]}" name="web-2" imageRef="{cloud.image.id}" '
        f'flavorRef="{cloud.flavor.id}"><metadata><meta key="a">b</meta></metadata></server>'
    )
    answer = app.post(
        "/api/v1.1/servers.xml",
        body,
        headers=cloud.owner.headers,
        content_type="application/xml",
        status=202,
    )
    assert answer.headers["Content-Type"] == "application/xml"
    root = ElementTree.fromstring(answer.body)
    assert root.tag == f"{NS}server"
    assert (root.get("name"), root.get("status")) == ("web-2", "BUILD")
    assert root.findtext(f"{NS}metadata/{NS}meta") == "b"


def test_a_list_is_the_same_in_detail_and_alone(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    first = make_server(owner=cloud.owner, backend=cloud.backend, metadata={"k": "v"})
    make_server(backend=cloud.backend)
    listed = app.get("/api/v1.1/servers/detail", headers=cloud.owner.headers).json
    alone = app.get(f"/api/v1.1/servers/{first.id}", headers=cloud.owner.headers).json
    assert listed["servers"]["values"] == [alone["server"]]
    brief = app.get("/api/v1.1/servers", headers=cloud.owner.headers).json
    assert brief == {"servers": {"values": [{"id": first.id, "name": "My Server"}]}}
    assert alone["server"]["addresses"] == {
        "values": [
            {
                "id": "public",
                "name": "public",
                "mac": "aa:00:00:49:2e:7e",
                "firewallProfile": "DISABLED",
                "values": [{"version": 4, "addr": "192.168.32.6"}],
            }
        ]
    }


def test_a_list_in_xml_holds_what_the_json_holds(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    make_server(owner=cloud.owner, name='<&"', metadata={"k": "<v>"})
    answer = app.get(
        "/api/v1.1/servers/detail", headers=cloud.owner.headers | {"Accept": "application/xml"}
    )
    root = ElementTree.fromstring(answer.body)
    assert root.tag == f"{NS}servers"
    [server] = root
    assert server.get("name") == '<&"'
    assert server.findtext(f"{NS}metadata/{NS}meta") == "<v>"
    network = server.find(f"{NS}addresses/{NS}network")
    assert network is not None
    assert network.get("mac") == "aa:00:00:49:2e:7e"
    assert network.find(f"{NS}ip").attrib == {"version": "4", "addr": "192.168.32.6"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("action", "opcode", "arguments"),
    [
        ({"shutdown": {}}, "OP_INSTANCE_SHUTDOWN", {}),
        ({"start": {}}, "OP_INSTANCE_STARTUP", {}),
        ({"reboot": {"type": "SOFT"}}, "OP_INSTANCE_REBOOT", {"type": "SOFT"}),
        ({"reboot": {"type": "HARD"}}, "OP_INSTANCE_REBOOT", {"type": "HARD"}),
    ],
)
def test_an_action_is_accepted_with_an_empty_body_and_waits(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    sessions: SessionFactory,
    action: dict[str, Any],
    opcode: str,
    arguments: dict[str, Any],
) -> None:
    server = make_server(owner=cloud.owner)
    answer = app.post_json(
        f"/api/v1.1/servers/{server.id}/action", action, headers=cloud.owner.headers, status=202
    )
    assert answer.body == b""
    [operation] = _rows(sessions, Operation)
    assert (operation.opcode, operation.arguments) == (opcode, arguments)


def test_an_action_in_xml_is_the_same_action(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    sessions: SessionFactory,
) -> None:
    server = make_server(owner=cloud.owner)
    for body in (f'<reboot xmlns="{NS[1:-1]}" type="HARD"/>', f'<shutdown xmlns="{NS[1:-1]}"/>'):
        app.post(
            f"/api/v1.1/servers/{server.id}/action",
            body,
            headers=cloud.owner.headers,
            content_type="application/xml",
            status=202,
        )
    made = {(op.opcode, op.arguments.get("type")) for op in _rows(sessions, Operation)}
    assert made == {("OP_INSTANCE_REBOOT", "HARD"), ("OP_INSTANCE_SHUTDOWN", None)}


def test_deleting_twice_is_deleting_once(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    sessions: SessionFactory,
) -> None:
    server = make_server(owner=cloud.owner)
    for _ in range(2):
        answer = app.delete(
            f"/api/v1.1/servers/{server.id}", headers=cloud.owner.headers, status=204
        )
        assert answer.body == b""
    assert [op.opcode for op in _rows(sessions, Operation)] == ["OP_INSTANCE_REMOVE"]


def test_deleting_a_server_that_was_never_asked_for_leaves_nothing_to_do(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory
) -> None:
    made = app.post_json("/api/v1.1/servers", cloud.order(), headers=cloud.owner.headers)
    path = f"/api/v1.1/servers/{made.json['server']['id']}"
    app.delete(path, headers=cloud.owner.headers, status=204)
    assert app.get(path, headers=cloud.owner.headers).json["server"]["status"] == "DELETED"
    assert [op.state for op in _rows(sessions, Operation)] == [OperationState.CANCELED]
    assert app.get("/api/v1.1/servers", headers=cloud.owner.headers).json == {
        "servers": {"values": []}
    }


def test_deleting_a_building_server_waits_behind_its_create(
    app: webtest.TestApp, cloud: Any, sessions: SessionFactory
) -> None:
    made = app.post_json("/api/v1.1/servers", cloud.order(), headers=cloud.owner.headers)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Operation).values(state=OperationState.SUBMITTED, job_id=7))
    app.delete(
        f"/api/v1.1/servers/{made.json['server']['id']}", headers=cloud.owner.headers, status=204
    )
    states = {op.opcode: op.state for op in _rows(sessions, Operation)}
    assert states["OP_INSTANCE_REMOVE"] is OperationState.PENDING


def test_what_cannot_be_done_now_is_refused_with_its_code(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    def act(server: Server, status: int) -> str:
        answer = app.post_json(
            f"/api/v1.1/servers/{server.id}/action",
            {"reboot": {"type": "SOFT"}},
            headers=cloud.owner.headers,
            status=status,
        )
        return next(iter(answer.json))

    mine = {"owner": cloud.owner, "backend": cloud.backend}
    assert act(make_server(**mine, state=OperState.BUILD), 409) == "buildInProgress"
    assert act(make_server(**mine, state=OperState.STOPPED), 400) == "badRequest"
    assert act(make_server(**mine, state=OperState.DESTROYED, deleted=True), 400) == "badRequest"


def test_renaming_changes_the_list_at_once(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    server = make_server(owner=cloud.owner)
    path = "/api/v1.1/servers"
    assert "My Server" in app.get(path, headers=cloud.owner.headers)
    app.put_json(
        f"{path}/{server.id}",
        {"server": {"name": "Ελλάδα"}},
        headers=cloud.owner.headers,
        status=204,
    )
    assert app.get(path, headers=cloud.owner.headers).json["servers"]["values"][0]["name"] == (
        "Ελλάδα"
    )


def test_a_list_takes_as_many_statements_for_many_as_for_few(
    app: webtest.TestApp,
    make_server: Callable[..., Server],
    cloud: Any,
    count_statements: Callable[[], Any],
) -> None:
    def cold_and_warm() -> tuple[int, int]:
        app.app.registry["cloudweb.fragments"]._pieces.clear()
        with count_statements() as cold:
            app.get("/api/v1.1/servers/detail", headers=cloud.owner.headers)
        with count_statements() as warm:
            app.get("/api/v1.1/servers/detail", headers=cloud.owner.headers)
        return len(cold), len(warm)

    make_server(owner=cloud.owner, backend=cloud.backend)
    few = cold_and_warm()
    for _ in range(20):
        make_server(owner=cloud.owner, backend=cloud.backend)
    assert cold_and_warm() == few
    assert few[0] <= 6
    assert few[1] <= 3


def test_every_action_that_is_known_is_done() -> None:
    from cloudweb.shapes.servers import ACTIONS
    from cloudweb.views.compute.servers import _ACTS

    assert set(ACTIONS) == set(_ACTS)
