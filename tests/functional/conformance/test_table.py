"""The table of the APIs: each URL, method, notation and kind of caller, and what they are answered.

It is made from the trees and the declarations; a row of ``rows.py`` says how to reach an endpoint.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import webtest

from cloudweb import openapi
from cloudweb.app import make_app
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.openapi.places import Place, endpoints_at
from cloudweb.settings import Secret, Settings
from cloudweb.views.endpoints import Endpoint
from cloudweb.wire import Notation
from tests.applications import application
from tests.conftest import SECRET_KEY
from tests.fake_region import FakeCloud
from tests.functional.conformance import dialects
from tests.functional.conformance.calls import NOTATIONS, body_of, call, url_of
from tests.functional.conformance.described import Described
from tests.functional.conformance.dialects import DIALECTS, Dialect
from tests.functional.conformance.reaching import Reached, Row
from tests.functional.conformance.rows import OTHERS, ROWS, row_of
from tests.functional.conformance.world import REGION, World
from tests.functional.consoles import Proxy, run_instance

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD")

_APP = make_app(Settings(database_url=Secret("sqlite:///:memory:"), secret_key=Secret(SECRET_KEY)))
_PLACES = {
    place: endpoints
    for dialect in DIALECTS
    for place, endpoints in endpoints_at(_APP.registry, dialect.name).items()
}
_DOCUMENT = openapi.describe(_APP.registry, server_url="http://localhost")
_FIRST = {
    (p.route, p.resource): p.path
    for dialect in DIALECTS
    for p, _, _ in openapi.described(_APP.registry, dialect.name)
}


@dataclasses.dataclass(frozen=True)
class Case:
    """An endpoint at one of its URLs."""

    place: Place
    endpoint: Endpoint

    @property
    def row(self) -> Row:
        return row_of(self.place.resource, self.endpoint.method)

    @property
    def described(self) -> Described:
        first = _FIRST[self.place.route, self.place.resource]
        return Described(_DOCUMENT, first, self.endpoint.method)

    @property
    def dialect(self) -> Dialect:
        return dialects.of(self.place)

    def call(self, app: webtest.TestApp, reached: Reached, token: str | None, n: Notation) -> Any:
        return call(
            app,
            self.endpoint.method,
            url_of(self.place, reached, n),
            token=token,
            notation=n,
            body=body_of(self.place, self.endpoint, reached, n),
            headers=self.dialect.headers(n) | dict(reached.headers),
        )


CASES = [Case(place, e) for place, endpoints in _PLACES.items() for e in endpoints]
HEADS = {case.place.resource for case in CASES if case.endpoint.method == "HEAD"}
READS = [c for c in CASES if c.endpoint.method == "GET" and c.place.resource not in HEADS]
every_case = pytest.mark.parametrize(
    "case", CASES, ids=[f"{c.endpoint.method} {c.place.path}" for c in CASES]
)
every_place = pytest.mark.parametrize("place", _PLACES, ids=[place.path for place in _PLACES])
every_notation = pytest.mark.parametrize("notation", NOTATIONS, ids=["json", "xml"])


@pytest.fixture(scope="module")
def cloud() -> Iterator[FakeCloud]:
    """The Keystone and the Nova of the table's region."""
    with FakeCloud(REGION) as cloud:
        yield cloud


@pytest.fixture
def world(sessions: Any, cloud: FakeCloud) -> World:
    return World(sessions, cloud=cloud)


@every_notation
@every_case
def test_whoever_may_is_answered_as_declared(
    app: webtest.TestApp, world: World, case: Case, notation: Notation
) -> None:
    answer = case.call(app, case.row.reach(world), world.owner_token, notation)
    assert answer.status_code == case.endpoint.status, answer.text
    if case.endpoint.gives is not None:
        assert answer.headers["Content-Type"] == case.dialect.media[notation]
    case.described.check(answer)


@every_notation
@every_case
def test_without_a_good_token_nobody_is_answered(
    app: webtest.TestApp, world: World, case: Case, notation: Notation
) -> None:
    reached = case.row.reach(world)
    for token in (None, "", "wrong", "x" * 43):
        answer = case.call(app, reached, token, notation)
        if case.endpoint.needs_token:
            case.dialect.no_token.check(answer, notation)
        case.described.check(answer)


@every_notation
@every_case
def test_another_user_finds_nothing_there(
    app: webtest.TestApp, world: World, case: Case, notation: Notation
) -> None:
    answer = case.call(app, case.row.reach(world), world.stranger_token, notation)
    own = case.endpoint.status
    expected = case.row.stranger or (404 if case.place.parameters else own)
    assert answer.status_code == expected, answer.text
    case.described.check(answer)


@every_notation
@every_place
def test_a_method_that_is_not_declared_is_refused(
    app: webtest.TestApp, world: World, place: Place, notation: Notation
) -> None:
    declared = {endpoint.method for endpoint in _PLACES[place]}
    declared |= {"HEAD"} if "GET" in declared else set()
    dialect = dialects.of(place)
    keys = {part.name: _any_key(part.schema) for part in place.parameters}
    for method in METHODS:
        if method in declared:
            continue
        url = url_of(place, Reached(keys), notation)
        for token, refusal in (
            (world.owner_token, dialect.wrong_method),
            (None, dialect.no_token),
        ):
            headers = dialect.headers(notation)
            answer = call(app, method, url, token=token, notation=notation, headers=headers)
            refusal.check(answer, notation)


def _any_key(schema: dict[str, Any]) -> str:
    [schema, *_] = schema.get("anyOf", [schema])
    return "1" if schema.get("type") == "integer" else "x"


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    """What lends the screens of servers."""
    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    """A cluster on which the server of the table runs, with a screen."""
    with Simulator(["alpha"], port=0, time_factor=0.01) as simulator:
        cluster = run_instance(simulator, "snf-1")
        assert cluster.set_screen("snf-1", host="192.0.2.11", port=11_000)
        yield simulator.url("alpha")


@every_case
def test_every_further_status_comes_about(
    settings: Settings, sessions: Any, proxy: Proxy, cluster_url: str, case: Case
) -> None:
    app = webtest.TestApp(
        application(dataclasses.replace(settings, vncproxy_url=proxy.url), sessions=sessions)
    )
    for status in set(case.endpoint.other) - {304}:
        row = OTHERS[case.place.resource, case.endpoint.method, status]
        for notation in NOTATIONS:
            world = World(sessions, cluster_url)
            answer = case.call(app, row.reach(world), world.owner_token, notation)
            assert answer.status_code == status, answer.text
            case.described.check(answer)


@every_notation
@every_case
def test_whoever_holds_the_answer_is_not_sent_it_again(
    app: webtest.TestApp, world: World, case: Case, notation: Notation
) -> None:
    reached = case.row.reach(world)
    answer = case.call(app, reached, world.owner_token, notation)
    assert ("ETag" in answer.headers) is (304 in case.endpoint.other)
    if 304 in case.endpoint.other:
        held = dict(reached.headers) | {"If-None-Match": answer.headers["ETag"]}
        again = dataclasses.replace(reached, headers=held)
        answer = case.call(app, again, world.owner_token, notation)
        assert answer.status_code == 304
        case.described.check(answer)


@pytest.mark.parametrize("case", READS, ids=[c.place.path for c in READS])
def test_a_head_is_a_get_without_its_body(app: webtest.TestApp, world: World, case: Case) -> None:
    url = url_of(case.place, case.row.reach(world), Notation.JSON)
    answer = call(app, "HEAD", url, token=world.owner_token, notation=Notation.JSON)
    assert (answer.status_code, answer.body) == (case.endpoint.status, b"")


def test_every_row_is_of_an_endpoint() -> None:
    declared = {(case.place.resource, case.endpoint.method) for case in CASES}
    assert set(ROWS) <= declared
    further = {(c.place.resource, c.endpoint.method, s) for c in CASES for s in c.endpoint.other}
    assert set(OTHERS) == {key for key in further if key[2] != 304}
