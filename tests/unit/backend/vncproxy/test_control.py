"""Requests on the control connection: what is understood, what is refused, and that it ends."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudweb.backend.vncproxy import control
from cloudweb.backend.vncproxy.users import Users

GOOD: dict[str, Any] = {
    "source_port": 0,
    "destination_address": "node-1.example.org",
    "destination_port": 11_007,
    "password": "Sesame}2",
    "auth_user": "web",
    "auth_password": "between us only",
    "type": "vnc",
}


def read(*pieces: bytes) -> control.Request:
    async def run() -> control.Request:
        reader = asyncio.StreamReader()
        reading = asyncio.ensure_future(control.read_request(reader))
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        if not reading.done():
            reader.feed_eof()
        async with asyncio.timeout(2):
            return await reading

    return asyncio.run(run())


def test_a_request_is_understood_whole_and_in_pieces_though_nothing_marks_its_end() -> None:
    text = json.dumps(GOOD).encode()
    request = read(text)
    assert (request.address, request.port, request.source_port) == ("node-1.example.org", 11_007, 0)
    assert (request.password, request.user) == ("Sesame}2", "web")
    assert read(*(text[i : i + 1] for i in range(len(text)))) == request
    assert read(text + b"\n") == request


def test_older_clients_name_no_user_and_no_type() -> None:
    old = {key: GOOD[key] for key in GOOD if not key.startswith("auth") and key != "type"}
    request = read(json.dumps(old).encode())
    assert (request.user, request.user_password) == ("", "")


def test_a_request_shows_no_password() -> None:
    assert "Sesame" not in repr(control.parse(GOOD))
    assert "between us" not in repr(control.parse(GOOD))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"type": "vnc-wss"}, "type must be vnc"),
        ({"source_port": -1}, "source_port"),
        ({"source_port": 65_536}, "source_port"),
        ({"source_port": True}, "source_port"),
        ({"destination_port": 0}, "destination_port"),
        ({"destination_port": None}, "destination_port"),
        ({"destination_port": 1.5}, "destination_port"),
        ({"destination_address": ""}, "destination_address"),
        ({"destination_address": "a" * 256}, "destination_address"),
        ({"password": ""}, "password"),
        ({"password": "a" * 65}, "password"),
        ({"password": "nul\0"}, "password"),
        ({"password": "schlüssel"}, "password"),
        ({"auth_user": 7}, "auth_user"),
    ],
)
def test_a_field_that_cannot_be_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(control.Refused, match=says):
        control.parse(GOOD | change)


@pytest.mark.parametrize(
    "text", [b"", b"GET / HTTP/1.0\r\n\r\n", b"[]", b"{", b"{}}", b"\xff" * 10, b"[" * 4000]
)
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(control.Refused):
        read(text)


def test_a_request_that_does_not_end_is_not_read_for_ever() -> None:
    with pytest.raises(control.Refused, match="too long"):
        read(b'{"password": "', *[b"a" * 1000 for _ in range(10)])


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(asked=_values | st.dictionaries(st.sampled_from(sorted(GOOD)), _values))
def test_any_json_is_a_request_or_refused_in_one_sentence(asked: Any) -> None:
    refusal = ""
    try:
        request = control.parse(GOOD | asked if isinstance(asked, dict) else asked)
    except control.Refused as refused:
        refusal = str(refused)
    assert refusal.isprintable()
    assert refusal or 0 < request.port < 65_536


def test_answers_are_as_snf_vncauthproxy_gives_them() -> None:
    assert json.loads(control.succeeded(25_001)) == {"source_port": 25_001, "status": "OK"}
    refused = json.loads(control.failed("why"))
    assert refused == {"source_port": 0, "status": "FAILED", "reason": "why"}


# --- users


def test_users_are_kept_as_hashes_and_known_by_their_password(tmp_path: Path) -> None:
    users = Users(tmp_path / "users")
    users.put("web", "a long password")
    users.put("other", "another password")
    text = (tmp_path / "users").read_text()
    assert "password" not in text.replace("$argon2id$", "")
    assert (tmp_path / "users").stat().st_mode & 0o077 == 0
    assert users.accept("web", "a long password")
    assert not users.accept("web", "another password")
    assert not users.accept("nobody", "a long password")
    assert not users.accept("", "")
    users.put("web", "changed password")
    assert not users.accept("web", "a long password")
    assert users.remove("web")
    assert not users.remove("web")
    assert not users.accept("web", "changed password")
    assert users.accept("other", "another password")


@pytest.mark.parametrize("line", ["web", "web:cleartext", "we b:$argon2id$x", ":$argon2id$x"])
def test_a_file_of_users_that_makes_no_sense_is_refused_by_its_line(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / "users").write_text(f"# who may ask\n\n{line}\n")
    with pytest.raises(ValueError, match="line 3"):
        Users(tmp_path / "users").load()


@pytest.mark.parametrize(("name", "password"), [("a:b", "long enough"), ("web", "short")])
def test_names_and_passwords_that_will_not_do_are_refused(
    tmp_path: Path, name: str, password: str
) -> None:
    with pytest.raises(ValueError, match=r"A (name|password)"):
        Users(tmp_path / "users").put(name, password)
    assert not (tmp_path / "users").exists()
