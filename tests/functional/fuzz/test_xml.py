"""XML bodies, almost right or not at all: answered in XML, as declared, never with a failure."""

import copy
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import hypothesis
import pytest
import webtest
from hypothesis import strategies as st

from cloudweb.models import SessionFactory
from cloudweb.wire import Notation
from tests.fake_region import FakeCloud
from tests.functional.conformance.calls import body_of, url_of
from tests.functional.conformance.test_table import CASES, Case
from tests.functional.conformance.world import REGION, World

SECONDS = int(os.environ.get("CLOUDWEB_FUZZ_SECONDS", "10"))
TAKING = [case for case in CASES if case.endpoint.takes is not None]
SPECIAL = [
    "",
    "\0",
    "<",
    "&",
    "&#0;",
    "&#xD800;",
    "]]>",
    "<!--",
    "\ufffe",
    "\U0001f600",
    "٣",
    "-1",
    "1e9",
]
SPECIAL += [
    "<!DOCTYPE a [<!ENTITY e 'x'>]>&e;",
    "<?pi x?>",
    "<![CDATA[x]]>",
    " xmlns:a='b'",
    " a='1'",
]
SPECIAL += ["9" * 400, "x" * 70_000, "<a>" * 40, "true", "null", "\r\n", "\xa0"]

texts = st.one_of(st.sampled_from(SPECIAL), st.text(max_size=20))


def _cut(body: str, draw: Any) -> str:
    start = draw(st.integers(0, len(body)))
    return body[:start] + body[start + draw(st.integers(0, 30)) :]


def _put_in(body: str, draw: Any) -> str:
    start = draw(st.integers(0, len(body)))
    return body[:start] + draw(texts) + body[start:]


def _repeat(body: str, draw: Any) -> str:
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, len(body)))
    return body[:end] + body[start:end] * draw(st.integers(1, 3)) + body[end:]


def _change_tree(body: str, draw: Any) -> str:
    """Other values, names, children: the document stays one."""
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError):
        return body
    elements = list(root.iter())
    element = draw(st.sampled_from(elements))
    kind = draw(st.integers(0, 4))
    if kind == 0 and element.attrib:
        element.set(draw(st.sampled_from(sorted(element.attrib))), draw(texts))
    elif kind == 1 and element.attrib:
        del element.attrib[draw(st.sampled_from(sorted(element.attrib)))]
    elif kind == 2:
        element.text = draw(texts)
    elif kind == 3:
        element.append(copy.deepcopy(draw(st.sampled_from(elements[:10]))))
    else:
        element.tag = draw(st.sampled_from(["meta", "server", "a", "file", "name"]))
    try:
        return ElementTree.tostring(root, encoding="unicode")
    except (RecursionError, ValueError):
        return body


CHANGES: list[Callable[[str, Any], str]] = [_cut, _put_in, _repeat, _change_tree, _change_tree]


@st.composite
def bodies(draw: Any, valid: str) -> bytes:
    """A valid document with some changes; now and then any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        return bytes(draw(st.binary(max_size=200)))
    body = valid
    for _ in range(draw(st.integers(1, 4))):
        body = draw(st.sampled_from(CHANGES))(body, draw)
    return body.encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def cloud() -> Iterator[FakeCloud]:
    """The Keystone and the Nova of the region."""
    with FakeCloud(REGION) as cloud:
        yield cloud


def _check(
    app: webtest.TestApp, case: Case, url: str, headers: dict[str, str], body: bytes
) -> None:
    answer = app.request(
        url,
        method=case.endpoint.method,
        body=body,
        headers=headers | {"Content-Type": Notation.XML.value, "Accept": Notation.XML.value},
        expect_errors=True,
    )
    assert answer.status_code not in (500, 502), body
    if answer.body:
        media = answer.headers["Content-Type"].partition(";")[0]
        assert media in (Notation.XML.value, "text/plain")
    case.described.check(answer)


@pytest.mark.timeout(2 * SECONDS + 120)
@pytest.mark.parametrize(
    "case", TAKING, ids=[f"{c.endpoint.method} {c.place.path}" for c in TAKING]
)
def test_no_xml_breaks_an_endpoint(
    app: webtest.TestApp, sessions: SessionFactory, cloud: FakeCloud, case: Case
) -> None:
    world = World(sessions, cloud=cloud)
    reached = case.row.reach(world)
    url = url_of(case.place, reached, Notation.XML)
    valid = body_of(case.place, case.endpoint, reached, Notation.XML).decode()
    headers = {"X-Auth-Token": world.owner_token, **reached.headers}
    end = time.monotonic() + SECONDS / len(TAKING)
    while time.monotonic() < end:

        @hypothesis.seed(random.getrandbits(64))
        @hypothesis.settings(
            max_examples=25,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(bodies(valid))
        def try_some(body: bytes) -> None:
            _check(app, case, url, headers, body)

        try_some()
