"""The OpenAPI document: valid, whole, and there for anybody."""

import json
from typing import Any

import openapi_spec_validator
import pytest
import webtest

from cloudweb.openapi.places import endpoints_at, places_of


@pytest.fixture
def document(app: webtest.TestApp) -> Any:
    return app.get("/api/openapi.json").json


def test_the_document_is_valid_openapi(document: Any) -> None:
    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1")


def test_anybody_may_read_it_and_keep_it(app: webtest.TestApp) -> None:
    answer = app.get("/api/openapi.json", headers={"Accept": "application/xml"})
    assert answer.headers["Content-Type"] == "application/json"
    again = app.get("/api/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.body) == (304, b"")
    for method, path in (("GET", "/api/openapi.xml"), ("POST", "/api/openapi.json")):
        refused = app.request(path, method=method, expect_errors=True)
        assert refused.status_code == 400


def test_every_url_and_method_that_is_declared_is_in_it(
    app: webtest.TestApp, document: Any
) -> None:
    text = json.dumps(document)
    registry = app.app.registry
    found = endpoints_at(registry) | endpoints_at(registry, "federation")
    assert "/v1/regions/{region_id}/flavors/{regional_flavor_id}" in document["paths"]
    for place, endpoints in found.items():
        if endpoints:
            assert f'"{place.path}"' in text or f"`{place.path}`" in text
        for endpoint in endpoints:
            assert json.dumps(endpoint.summary) in text
            assert endpoint.summary.endswith("."), endpoint.view


def test_names_of_operations_and_urls_come_once(app: webtest.TestApp, document: Any) -> None:
    ids = [
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in ("get", "post", "put", "delete", "head", "patch")
    ]
    assert len(ids) == len(set(ids))
    registry = app.app.registry
    paths = [p.path for p in places_of(registry) + places_of(registry, "federation")]
    assert len(paths) == len(set(paths))
