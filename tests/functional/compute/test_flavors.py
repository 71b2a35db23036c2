"""Flavors and versions through the compute API."""

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import webtest

from cloudweb.models import Flavor


def test_a_flavor_in_detail(app: webtest.TestApp, cloud: Any) -> None:
    flavor = cloud.flavor
    listed = app.get("/api/v1.1/flavors/detail", headers=cloud.owner.headers).json
    assert listed["flavors"]["values"] == [
        {
            "id": flavor.id,
            "name": f"C1R1024D{flavor.disk_gb}drbd",
            "ram": 1024,
            "cpu": 1,
            "disk": flavor.disk_gb,
            "SNF:disk_template": "drbd",
        }
    ]
    alone = app.get(f"/api/v1.1/flavors/{flavor.id}.json", headers=cloud.owner.headers).json
    assert alone == {"flavor": listed["flavors"]["values"][0]}


def test_a_deleted_flavor_is_shown_alone_and_not_listed(
    app: webtest.TestApp, cloud: Any, make_flavor: Callable[..., Flavor]
) -> None:
    gone = make_flavor(deleted=True)
    brief = app.get("/api/v1.1/flavors/", headers=cloud.owner.headers).json
    assert gone.id not in [flavor["id"] for flavor in brief["flavors"]["values"]]
    app.get(f"/api/v1.1/flavors/{gone.id}", headers=cloud.owner.headers, status=200)
    app.get("/api/v1.1/flavors/987654", headers=cloud.owner.headers, status=404)


def test_the_versions_are_told_in_three_notations(app: webtest.TestApp, cloud: Any) -> None:
    headers = cloud.owner.headers
    listed = app.get("/api/", headers=headers).json
    assert listed["versions"]["values"][0]["id"] == "v1.1"
    assert app.get("/api/v1.1/", headers=headers).json["version"]["status"] == "CURRENT"
    for path in ("/api/.xml", "/api/v1.1/.xml", "/api/.atom", "/api/v1.1/.atom"):
        answer = app.get(path, headers=headers)
        ElementTree.fromstring(answer.body)
        kind = "atom+xml" if path.endswith("atom") else "xml"
        assert answer.headers["Content-Type"] == f"application/{kind}"
