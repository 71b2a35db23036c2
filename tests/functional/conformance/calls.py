"""Calls one endpoint of the real application, in either notation, as its row says."""

import json
from collections.abc import Mapping
from typing import Any

import webtest

from cloudweb.openapi.places import Place
from cloudweb.views.endpoints import Endpoint
from cloudweb.wire import Notation
from tests.functional.conformance import dialects
from tests.functional.conformance.reaching import Reached

NOTATIONS = (Notation.JSON, Notation.XML)


def url_of(place: Place, reached: Reached, notation: Notation) -> str:
    """The URL; in the dialect of some places a suffix asks for the notation."""
    path = place.path.format(**reached.keys)
    return f"{path}{dialects.of(place).suffix(notation)}" + (
        f"?{reached.query}" if reached.query else ""
    )


def body_of(place: Place, endpoint: Endpoint, reached: Reached, notation: Notation) -> bytes:
    """The body in a notation; nothing where the endpoint takes nothing."""
    if endpoint.takes is None or reached.body is None:
        return b""
    if notation is Notation.JSON:
        return json.dumps(reached.body).encode()
    return dialects.of(place).write_xml(endpoint.takes, reached.body).encode()


def call(
    app: webtest.TestApp,
    method: str,
    url: str,
    *,
    token: str | None,
    notation: Notation,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Any:
    """The answer, whatever its status."""
    sent = dict(headers or {})
    if token is not None:
        sent["X-Auth-Token"] = token
    if body:
        sent["Content-Type"] = notation.value
    return app.request(url, method=method, body=body, headers=sent, expect_errors=True)
