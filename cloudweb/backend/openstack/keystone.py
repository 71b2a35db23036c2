"""Keystone v3: a token for a password, what the caller's own token opens, and keeping both."""

import dataclasses
import datetime as dt
import hashlib
import threading
from collections.abc import Callable
from typing import Any

from cloudweb.addresses import normal_url
from cloudweb.backend.openstack.errors import (
    BadAnswer,
    Conflict,
    NoEndpoint,
    NotFound,
    Refused,
    Unauthorized,
)
from cloudweb.backend.openstack.transport import Answer, Conversation

# A token is renewed so long before it ends: more than any one call takes.
_EARLY = dt.timedelta(seconds=60)
# What the caller's own token opens is asked again after so long.
_CALLERS_KEPT = dt.timedelta(seconds=60)
_MAX_KEPT = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Pass:
    """A token, where Nova answers with it, and until when it is used."""

    token: str = dataclasses.field(repr=False)
    compute_url: str
    until: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Login:
    """How an infrastructure's own account gets in. ``region`` is what the catalog calls it."""

    keystone_url: str
    username: str
    password: str = dataclasses.field(repr=False)
    tenant: str
    region: str


def by_password(talk: Conversation, login: Login) -> Pass:
    """A new token of the account. Raises RegionError."""
    default = {"id": "default"}
    user = {"name": login.username, "password": login.password, "domain": default}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": login.tenant, "domain": default}},
    }
    answer = _ask(talk, "POST", login.keystone_url, login.password, body={"auth": auth})
    token = _subject(answer.headers.get("X-Subject-Token"))
    return _pass(token, answer.body, login.region, dt.timedelta.max)


def by_token(talk: Conversation, keystone_url: str, token: str, region: str) -> Pass:
    """What the caller's own token opens. Raises RegionError.

    A token without a project is exchanged for one of its owner's default project.
    """
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Unauthorized("The token is not one.")
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    answer = _ask(talk, "GET", keystone_url, token, headers=headers)
    if not _token_of(answer.body).get("catalog"):
        identity = {"methods": ["token"], "token": {"id": token}}
        answer = _ask(talk, "POST", keystone_url, token, body={"auth": {"identity": identity}})
        token = _subject(answer.headers.get("X-Subject-Token"))
    return _pass(token, answer.body, region, _CALLERS_KEPT)


def _ask(
    talk: Conversation,
    method: str,
    keystone_url: str,
    secret: str,
    *,
    headers: dict[str, str] | None = None,
    body: Any = None,
) -> Answer:
    try:
        url = _tokens_url(keystone_url)
        return talk.call(method, url, headers=headers or {}, body=body, secrets=(secret,))
    except NotFound as error:
        # Keystone says so of a token it cannot read.
        raise Unauthorized(error.message) from None
    except (Refused, Conflict) as error:
        raise BadAnswer(error.message) from None


def _tokens_url(keystone_url: str) -> str:
    try:
        base = normal_url(keystone_url)
    except ValueError as error:
        raise BadAnswer(str(error)) from None
    return f"{base}/auth/tokens" if base.endswith("/v3") else f"{base}/v3/auth/tokens"


def _subject(text: str | None) -> str:
    if not text:
        raise BadAnswer("Keystone gave no token.")
    return text


def _token_of(body: dict[str, Any]) -> dict[str, Any]:
    token = body.get("token")
    if not isinstance(token, dict):
        raise BadAnswer("Keystone's answer has no token.")
    return token


def _pass(token: str, body: dict[str, Any], region: str, at_most: dt.timedelta) -> Pass:
    described = _token_of(body)
    now = dt.datetime.now(dt.UTC)
    until = _time(described.get("expires_at")) - _EARLY
    if at_most < until - now:
        until = now + at_most
    return Pass(token, _compute_url(described.get("catalog"), region), until)


def _time(text: Any) -> dt.datetime:
    try:
        stamp = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise BadAnswer("Keystone's answer does not say when the token ends.") from None
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=dt.UTC)


def _compute_url(catalog: Any, region: str) -> str:
    for service in catalog if isinstance(catalog, list) else ():
        if not isinstance(service, dict) or service.get("type") != "compute":
            continue
        for endpoint in service.get("endpoints") or ():
            if not isinstance(endpoint, dict) or endpoint.get("interface") != "public":
                continue
            if region in (endpoint.get("region"), endpoint.get("region_id")):
                return _endpoint_url(endpoint.get("url"))
    raise NoEndpoint(f"publicURL endpoint for compute service in {region} region not found")


def _endpoint_url(url: Any) -> str:
    try:
        return normal_url(url if isinstance(url, str) else "")
    except ValueError:
        raise BadAnswer("The catalog has a compute endpoint that is no URL.") from None


class PassBook:
    """Keeps passes until shortly before they end, for all threads of a process."""

    def __init__(self) -> None:
        self._kept: dict[str, Pass] = {}
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], Pass]) -> Pass:
        """The kept pass of this key, or a new one. No lock is held while one is made."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept.until > dt.datetime.now(dt.UTC):
            return kept
        made = make()
        with self._lock:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[key] = made
        return made

    def drop(self, key: str) -> None:
        """Forget the pass: it opens nothing any more."""
        with self._lock:
            self._kept.pop(key, None)


def key_of(*parts: str) -> str:
    """What a pass is kept under: nobody can read a token or a password from it."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
