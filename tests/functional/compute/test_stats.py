"""Where a server's graphs are, through the compute API."""

import dataclasses
import hashlib
import hmac
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import webtest

from cloudweb.models import Server, SessionFactory
from cloudweb.settings import Settings, SettingsError
from tests.applications import application

GRAPHS = {
    "cpuBar": "cpu-bar",
    "cpuTimeSeries": "cpu-ts",
    "netBar": "net-bar",
    "netTimeSeries": "net-ts",
}


def test_the_urls_name_the_server_by_what_only_who_knows_the_secret_can_make(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    server = make_server(owner=cloud.owner, backend=cloud.backend)
    path = f"/api/v1.1/servers/{server.id}/stats"
    answer = app.get(path, headers=cloud.owner.headers)
    said = f"{cloud.backend.name}/{server.instance_name}".encode()
    name = hmac.new(b"tests", said, hashlib.sha256).hexdigest()[:40]
    urls = {key: f"https://stats.example.org/{name}/{g}.png" for key, g in GRAPHS.items()}
    assert answer.json == {"stats": {"serverRef": server.id, "refresh": 60} | urls}
    assert str(server.instance_name) not in answer.text
    root = ElementTree.fromstring(app.get(f"{path}.xml", headers=cloud.owner.headers).body)
    assert root.tag == "{http://docs.openstack.org/compute/api/v1.1}stats"
    assert root.attrib == {"serverRef": str(server.id), "refresh": "60"} | urls


def test_another_users_graphs_are_not_found(
    app: webtest.TestApp, make_server: Callable[..., Server], cloud: Any
) -> None:
    path = f"/api/v1.1/servers/{make_server().id}/stats"
    assert "itemNotFound" in app.get(path, headers=cloud.owner.headers, status=404)


def test_where_there_are_no_statistics_that_is_said(
    settings: Settings,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
    cloud: Any,
) -> None:
    without = dataclasses.replace(settings, stats_url="")
    app = webtest.TestApp(application(without, sessions=sessions))
    path = f"/api/v1.1/servers/{make_server(owner=cloud.owner).id}/stats"
    answer = app.get(path, headers=cloud.owner.headers, status=503)
    assert answer.json["serviceUnavailable"]["message"] == "There are no statistics here."


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://stats.example.org/{server}/{graph}", ""),
        ("https://stats.example.org/{server}", "s"),
        ("https://stats.example.org/{graph}", "s"),
        ("https://stats.example.org/{server}/{graph}/{more}", "s"),
        ("https://stats.example.org/{server.x}/{graph}", "s"),
        ("https://stats.example.org/{server/{graph}", "s"),
        ("ftp://stats.example.org/{server}/{graph}", "s"),
    ],
)
def test_a_template_that_cannot_work_stops_the_boot(url: str, secret: str) -> None:
    ini = {
        "cloudweb.database_url": "sqlite://",
        "cloudweb.secret_key": "Y2xvdWR3ZWItdGVzdHMtMzItYnl0ZXMta2V5LTAwMDA=",
        "cloudweb.stats_url": url,
        "cloudweb.stats_secret": secret,
    }
    with pytest.raises(SettingsError, match="stats_"):
        Settings.load(ini, {})
