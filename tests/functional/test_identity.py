"""GET /im/authenticate: who the caller is, or why nobody is known."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import accounts, identity
from cloudweb.models import Image, SessionFactory, Token, User, UserState, unit_of_work, utc_now

PATH = "/im/authenticate"


@pytest.fixture
def person(make_user: Callable[..., Any]) -> Any:
    return make_user(email="alice@example.org")


def _refusal(app: webtest.TestApp, headers: dict[str, str]) -> str:
    answer = app.get(PATH, headers=headers, status=401)
    assert answer.headers["Content-Type"] == "application/json"
    [(name, fault)] = answer.json.items()
    assert (name, fault["code"]) == ("unauthorized", 401)
    return str(fault["message"])


def test_a_token_is_answered_with_whose_it_is(app: webtest.TestApp, person: Any) -> None:
    answer = app.get(PATH, headers=person.headers, status=200)
    shown = answer.json
    assert dt.datetime.fromisoformat(shown.pop("auth_token_created")).tzinfo is not None
    assert shown == {
        "id": person.user.id,
        "username": "alice@example.org",
        "uniq": "alice@example.org",
        "uuid": str(person.user.id),
        "name": "alice",
        "email": ["alice@example.org"],
        "groups": ["user"],
        "auth_token": person.token,
    }
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_same_in_xml(app: webtest.TestApp, person: Any) -> None:
    answer = app.get(f"{PATH}.xml", headers=person.headers, status=200)
    user = ElementTree.fromstring(answer.body)
    assert user.tag.endswith("}user")
    assert (user.get("username"), user.get("uuid")) == ("alice@example.org", str(person.user.id))
    assert [child.text for child in user] == ["alice@example.org", "user"]


def test_a_token_that_expires_says_when(
    app: webtest.TestApp, person: Any, sessions: SessionFactory
) -> None:
    until = utc_now() + dt.timedelta(days=1)
    with unit_of_work(sessions) as session:
        user = session.get_one(User, person.user.id)
        cli = identity.system("cli")
        token = accounts.add_token(session, cli, user, name="short", expires=until)
    answer = app.get(PATH, headers={"X-Auth-Token": token}, status=200)
    assert dt.datetime.fromisoformat(answer.json["auth_token_expires"]) == until


def test_it_is_the_number_by_which_the_registry_knows_owners(
    app: webtest.TestApp, person: Any, make_image: Callable[..., Image], sessions: SessionFactory
) -> None:
    image = make_image()
    with unit_of_work(sessions) as session:
        session.get_one(Image, image.id).owner_id = person.user.id
    shown = app.head(f"/plankton/images/{image.id}", headers=person.headers)
    uuid = app.get(PATH, headers=person.headers).json["uuid"]
    assert shown.headers["X-Image-Meta-Owner"] == uuid


def test_who_is_not_known_is_told_why(
    app: webtest.TestApp, person: Any, sessions: SessionFactory
) -> None:
    assert _refusal(app, {}) == "No user found."
    for wrong in ("nothing", "x" * 300, "\xe9"):
        assert _refusal(app, {"X-Auth-Token": wrong}) == "No user found."
    with unit_of_work(sessions) as session:
        session.execute(sa.update(User).values(state=UserState.DEACTIVATED))
    assert _refusal(app, person.headers) == "User inactive"
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Token).values(expires=utc_now()))
    assert _refusal(app, person.headers) == "Authentication expired"
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Token).values(revoked=utc_now()))
    assert _refusal(app, person.headers) == "No user found."


def test_nothing_else_is_there(app: webtest.TestApp, person: Any) -> None:
    for path in ("/im", "/im/", "/im/nothing", f"{PATH}/x"):
        answer = app.get(path, headers=person.headers, status=400)
        assert "badRequest" in answer.json
    app.post(PATH, headers=person.headers, status=400)


def test_a_refusal_comes_in_the_callers_notation(app: webtest.TestApp) -> None:
    answer = app.get(f"{PATH}.xml", status=401)
    assert ElementTree.fromstring(answer.body).tag.endswith("}unauthorized")
