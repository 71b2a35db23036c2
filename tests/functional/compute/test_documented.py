"""The examples of the guide this API implements, as clients of that guide send and expect them."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import webtest

from cloudweb import wire
from cloudweb.domain.server_views import NicView, ServerView
from cloudweb.models import OperState, Server
from cloudweb.shapes.servers import SERVER
from cloudweb.shapes.stats import GRAPHS, STATS
from cloudweb.wire import Notation

LIST_SERVERS = """
{"servers": {"values": [
  {"addresses": {"values": [
      {"id": "public", "mac": "aa:00:00:49:2e:7e", "name": "public",
       "values": [{"addr": "192.168.32.6", "version": 4}]}]},
   "created": "2011-04-19T10:18:52.085737+00:00", "flavorRef": 1, "hostId": "", "id": 1,
   "imageRef": 3, "metadata": {"values": {"foo": "bar"}}, "name": "My Server",
   "status": "ACTIVE", "updated": "2011-05-29T14:07:07.037602+00:00"},
  {"addresses": {"values": [
      {"id": "public", "mac": "aa:00:00:91:2f:df", "name": "public",
       "values": [{"addr": "192.168.32.7", "version": 4}]},
      {"id": "2", "mac": "aa:00:00:c3:69:6f", "name": "private"}]},
   "created": "2011-05-02T20:51:08.527759+00:00", "flavorRef": 1, "hostId": "", "id": 2,
   "imageRef": 3, "name": "Other Server", "progress": 0, "status": "ACTIVE",
   "updated": "2011-05-29T14:59:11.267087+00:00"}]}}
"""

STATS_URL = "http://stats.okeanos.grnet.gr/b9a1c3ca7e3b9fce75112c43565fb9960b16048c/"
STATS_JSON = f"""
{{"stats": {{"serverRef": 1, "refresh": 60,
  "cpuBar": "{STATS_URL}cpu-bar.png", "cpuTimeSeries": "{STATS_URL}cpu-ts.png",
  "netBar": "{STATS_URL}net-bar.png", "netTimeSeries": "{STATS_URL}net-ts.png"}}}}
"""
STATS_XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<stats xmlns="http://docs.openstack.org/compute/api/v1.1"
    xmlns:atom="http://www.w3.org/2005/Atom" serverRef="1" refresh="60"
    cpuBar="{STATS_URL}cpu-bar.png" cpuTimeSeries="{STATS_URL}cpu-ts.png"
    netBar="{STATS_URL}net-bar.png" netTimeSeries="{STATS_URL}net-ts.png">
</stats>
"""


def _server(number: int, name: str, created: str, updated: str, **parts: Any) -> ServerView:
    return ServerView(
        id=number,
        version=1,
        name=name,
        state=OperState.STARTED,
        deleted=False,
        job_opcode="",
        job_status="",
        build_percentage=0,
        flavor_id=1,
        image_ref="3",
        created=dt.datetime.fromisoformat(created),
        updated=dt.datetime.fromisoformat(updated),
        **parts,
    )


SERVERS = [
    _server(
        1,
        "My Server",
        "2011-04-19T10:18:52.085737+00:00",
        "2011-05-29T14:07:07.037602+00:00",
        nics=[NicView(0, "public", "public", "aa:00:00:49:2e:7e", "192.168.32.6", None, None)],
        metadata={"foo": "bar"},
    ),
    _server(
        2,
        "Other Server",
        "2011-05-02T20:51:08.527759+00:00",
        "2011-05-29T14:59:11.267087+00:00",
        nics=[
            NicView(0, "public", "public", "aa:00:00:91:2f:df", "192.168.32.7", None, None),
            NicView(1, "2", "private", "aa:00:00:c3:69:6f", None, None, None),
        ],
    ),
]


def test_the_list_of_servers_is_the_documented_one() -> None:
    documented = json.loads(LIST_SERVERS)
    for server in documented["servers"]["values"]:
        # The guide's text says that progress is always there, and that of an ACTIVE server it is
        # 100; image ids have become texts.
        server |= {"progress": 100, "imageRef": "3"}
    assert json.loads(wire.render_rows(SERVER, SERVERS, Notation.JSON)) == documented


def test_the_list_of_servers_in_xml_holds_what_the_documented_one_holds() -> None:
    root = ElementTree.fromstring(wire.render_rows(SERVER, SERVERS, Notation.XML))
    for element, server in zip(root, json.loads(LIST_SERVERS)["servers"]["values"], strict=True):
        scalars = {k: str(v) for k, v in server.items() if not isinstance(v, dict)}
        assert element.attrib | scalars | {"progress": "100"} == element.attrib
        networks = element.findall("{*}addresses/{*}network")
        for network, documented in zip(networks, server["addresses"]["values"], strict=True):
            said = {k: v for k, v in documented.items() if k != "values"}
            assert network.attrib == said
            addresses = [{"version": "4", "addr": a["addr"]} for a in documented.get("values", [])]
            assert [ip.attrib for ip in network] == addresses


def test_statistics_are_the_documented_ones_in_both_notations() -> None:
    row = {"serverRef": 1, "refresh": 60}
    row |= {key: f"{STATS_URL}{graph}.png" for key, graph in GRAPHS.items()}
    assert json.loads(wire.render(STATS, row, Notation.JSON)) == json.loads(STATS_JSON)
    made, documented = (
        ElementTree.fromstring(text) for text in (wire.render(STATS, row, Notation.XML), STATS_XML)
    )
    assert (made.tag, made.attrib) == (documented.tag, documented.attrib)


ACTIONS = {
    "start": ('{"start": {}}', "<start/>"),
    "shutdown": ('{"shutdown": {}}', "<shutdown/>"),
    "reboot": ('{"reboot": {"type": "HARD"}}', '<reboot type="HARD"/>'),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_documented_action_is_202_without_a_body(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any, action: str
) -> None:
    path = f"/api/v1.1/servers/{make_server(owner=cloud.owner).id}/action"
    for body, media in zip(ACTIONS[action], ("application/json", "application/xml"), strict=True):
        answer = app.post(
            path, body, headers=cloud.owner.headers | {"Content-Type": media}, status=202
        )
        assert answer.body == b""
        assert "Content-Type" not in answer.headers


@pytest.mark.parametrize(
    "action", ["changePassword", "rebuild", "resize", "confirmResize", "revertResize"]
)
def test_what_the_guide_says_is_not_supported_is_said_so(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any, action: str
) -> None:
    path = f"/api/v1.1/servers/{make_server(owner=cloud.owner).id}/action"
    for suffix, body, media in (
        ("", f'{{"{action}": {{}}}}', "application/json"),
        (".xml", f"<{action}/>", "application/xml"),
    ):
        answer = app.post(
            path + suffix, body, headers=cloud.owner.headers | {"Content-Type": media}, status=501
        )
        assert b"notImplemented" in answer.body


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=1", "application/json;q=0", "", "a/"])
def test_an_accept_that_cannot_be_met_is_answered_in_json(
    app: webtest.TestApp, cloud: Any, accept: str
) -> None:
    answer = app.get("/api/v1.1/servers", headers=cloud.owner.headers | {"Accept": accept})
    assert answer.headers["Content-Type"] == "application/json"
