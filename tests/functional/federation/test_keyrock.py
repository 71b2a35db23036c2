"""With KeyRock as the identity manager: whose a token is, with which role, and for how long."""

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import webtest

from cloudweb.models import SessionFactory
from cloudweb.settings import Settings
from tests.applications import application
from tests.functional.federation.conftest import NANO, Client
from tests.functional.federation.test_promoted import DOCUMENTED_401

MANAGER = {"id": "mara", "roles": [{"name": "InfrastructureManager", "id": "9a1"}]}
ELSEWHERE = {
    "id": "olaf",
    "roles": [{"name": "Member"}],
    "organizations": [{"roles": [{"name": "InfrastructureManager"}]}],
}


class FakeKeyRock(ThreadingHTTPServer):
    """Tells who a token is of, as KeyRock does: ``GET /user?access_token=…``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.users: dict[str, Any] = {"manager": MANAGER, "reader": {"id": "rita"}}
        self.status, self.asked = 200, 0


class _Handler(BaseHTTPRequestHandler):
    server: FakeKeyRock

    def do_GET(self) -> None:
        self.server.asked += 1
        token = parse_qs(urlsplit(self.path).query).get("access_token", [""])[0]
        known = self.server.users.get(token)
        body = known if isinstance(known, bytes) else json.dumps(known or {}).encode()
        self.send_response(self.server.status if known is not None else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def keyrock() -> Iterator[FakeKeyRock]:
    with FakeKeyRock() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def connect(
    settings: Settings, sessions: SessionFactory, keyrock: FakeKeyRock
) -> Callable[..., Client]:
    def make(**changes: Any) -> Client:
        url = f"http://127.0.0.1:{keyrock.server_port}/user?access_token="
        values = {"idm": "keyrock", "keyrock_url": url} | changes
        conf = dataclasses.replace(settings, **values)
        return Client(webtest.TestApp(application(conf, sessions=sessions)))

    return make


def test_its_users_read_and_its_managers_manage(connect: Callable[..., Client]) -> None:
    call = connect()
    assert call("GET", "/v1/promotedflavors", X_Auth_Token="reader").status_code == 200
    body = {"flavor": NANO}
    assert call("POST", "/v1/promotedflavors", body, X_Auth_Token="reader").status_code == 405
    assert call("POST", "/v1/promotedflavors", body, X_Auth_Token="manager").status_code == 201


def test_roles_in_an_organization_do_not_count(
    connect: Callable[..., Client], keyrock: FakeKeyRock
) -> None:
    keyrock.users["olaf"] = ELSEWHERE
    answer = connect()("POST", "/v1/promotedflavors", {"flavor": NANO}, X_Auth_Token="olaf")
    assert answer.status_code == 405


@pytest.mark.parametrize(
    "token", ["wrong", "manager&x=1", "manager#", "%6Danager", "../manager", "ü", " "]
)
def test_a_token_is_quoted_and_an_unknown_one_refused(
    connect: Callable[..., Client], token: str
) -> None:
    answer = connect()("GET", "/v1/promotedflavors", X_Auth_Token=token)
    assert (answer.status_code, answer.text) == (401, DOCUMENTED_401)


@pytest.mark.parametrize(
    ("status", "told"),
    [(500, MANAGER), (302, MANAGER), (200, b"nonsense"), (200, b"[]"), (201, MANAGER)],
)
def test_any_other_answer_is_a_refusal(
    connect: Callable[..., Client], keyrock: FakeKeyRock, status: int, told: Any
) -> None:
    keyrock.status, keyrock.users["manager"] = status, told
    assert connect()("GET", "/v1/regions", X_Auth_Token="manager").status_code == 401


def test_its_word_is_kept_for_a_while_and_no_longer(
    connect: Callable[..., Client], keyrock: FakeKeyRock
) -> None:
    kept, asking = connect(), connect(keyrock_cache_s=0.0)
    for call in (kept, kept, kept):
        assert call("GET", "/v1/regions", X_Auth_Token="reader").status_code == 200
    assert keyrock.asked == 1
    assert asking("GET", "/v1/regions", X_Auth_Token="reader").status_code == 200
    del keyrock.users["reader"]
    assert asking("GET", "/v1/regions", X_Auth_Token="reader").status_code == 401


def test_when_it_is_down_that_is_a_bad_gateway(connect: Callable[..., Client]) -> None:
    call = connect(keyrock_url="http://127.0.0.1:1/user?access_token=")
    answer = call("GET", "/v1/regions", X_Auth_Token="secret-token")
    assert (answer.status_code, answer.json) == (
        502,
        {"error": {"message": "The identity manager does not answer."}},
    )


def test_our_own_tokens_are_not_asked_for(connect: Callable[..., Client], reader: Any) -> None:
    assert connect()("GET", "/v1/regions", by=reader).status_code == 401
