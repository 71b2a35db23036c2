"""Infrastructures: registered by their owners, forgotten by them, and never in use meanwhile."""

import base64
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.models import AuditEntry, Infrastructure, Role, SessionFactory, unit_of_work
from cloudweb.settings import Settings
from tests.applications import application
from tests.conftest import Person
from tests.functional.federation.conftest import Client

MORDOR = {
    "name": "Mordor",
    "nova_url": "http://11.22.33.44:8776/",
    "keystone_url": "http://55.66.77.88:35357/",
    "username": "myUsername",
    "password": "myPassword",
    "tenant": "myTenant",
}
DOCUMENT = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<infrastructure>
    <name>Mordor</name>
    <nova_url>http://11.22.33.44:8776/</nova_url>
    <keystone_url>http://55.66.77.88:35357/</keystone_url>
    <username>myUsername</username>
    <password>myPassword</password>
    <tenant>myTenant</tenant>
</infrastructure>"""


def test_an_infrastructure_is_registered_listed_and_forgotten(
    call: Client, operator: Person
) -> None:
    made = call("POST", "/v1/infrastructures", {"infrastructure": MORDOR}, by=operator)
    assert (made.status_code, made.json) == (201, {"infrastructure": {"name": "Mordor"}})
    assert call("GET", "/v1/infrastructures", by=operator).json == {
        "infrastructures": [{"name": "Mordor"}]
    }
    again = call("POST", "/v1/infrastructures", {"infrastructure": MORDOR}, by=operator)
    assert (again.status_code, again.json["error"]["message"]) == (
        409,
        "The infrastructure Mordor already exists",
    )
    gone = call("DELETE", "/v1/infrastructures/Mordor", by=operator)
    assert (gone.status_code, gone.body) == (204, b"")
    missing = call("DELETE", "/v1/infrastructures/Mordor", by=operator)
    assert (missing.status_code, missing.json["error"]["message"]) == (
        404,
        "The infrastructure Mordor does not exist",
    )


REFUSED = {"error": {"message": "Infrastructures are registered by flavor managers and operators"}}


@pytest.mark.parametrize("role", list(Role))
def test_managers_and_operators_register(
    call: Client, make_user: Callable[..., Person], sessions: SessionFactory, role: Role
) -> None:
    person = make_user(role=role)
    answer = call("POST", "/v1/infrastructures", {"infrastructure": MORDOR}, by=person)
    if role in (Role.FLAVOR_MANAGER, Role.OPERATOR, Role.ADMIN):
        assert answer.status_code == 201
        assert call("DELETE", "/v1/infrastructures/Mordor", by=person).status_code == 204
        return
    assert (answer.status_code, answer.json) == (403, REFUSED)
    # A body that cannot be says nothing else to whoever may not.
    assert call("POST", "/v1/infrastructures", {}, by=person).status_code == 403
    with unit_of_work(sessions) as session:
        assert session.query(Infrastructure).count() == 0
        assert session.query(AuditEntry).filter_by(action="infrastructure:register").count() == 0


def test_where_registration_is_open_any_user_registers_and_owns_it(
    settings: Settings, sessions: SessionFactory, owner: Person, reader: Person
) -> None:
    opened = dataclasses.replace(settings, federation_registration="open")
    call = Client(webtest.TestApp(application(opened, sessions=sessions)))
    made = call("POST", "/v1/infrastructures", {"infrastructure": MORDOR}, by=owner)
    assert (made.status_code, made.json) == (201, {"infrastructure": {"name": "Mordor"}})
    assert call("DELETE", "/v1/infrastructures/Mordor", by=reader).status_code == 403
    assert call("DELETE", "/v1/infrastructures/Mordor", by=owner).status_code == 204


def test_closing_registration_leaves_owners_what_is_theirs(
    call: Client, regions: None, owner: Person
) -> None:
    body = {"infrastructure": MORDOR}
    assert call("POST", "/v1/infrastructures", body, by=owner).status_code == 403
    assert call("DELETE", "/v1/infrastructures/Spain2", by=owner).status_code == 204


@pytest.mark.parametrize(
    "document",
    [DOCUMENT, DOCUMENT.replace("    <nova_url>http://11.22.33.44:8776/</nova_url>\n", "")],
)
def test_xml_goes_in_and_out(call: Client, operator: Person, document: str) -> None:
    made = call("POST", "/v1/infrastructures", document, by=operator, xml=True)
    assert made.status_code == 201
    assert made.text.endswith("<infrastructure><name>Mordor</name></infrastructure>")


def test_the_password_is_sealed_and_never_shown(
    call: Client, operator: Person, sessions: SessionFactory
) -> None:
    call("POST", "/v1/infrastructures", {"infrastructure": MORDOR}, by=operator)
    with unit_of_work(sessions) as session:
        row = session.query(Infrastructure).one()
        entries = session.query(AuditEntry).all()
    assert "myPassword" not in repr(vars(row))
    assert "myPassword" not in repr([vars(entry) for entry in entries])
    assert row.owner == operator.user.email


def test_only_its_owner_and_managers_forget_it(
    call: Client, regions: None, reader: Person, manager: Person
) -> None:
    assert call("DELETE", "/v1/infrastructures/Spain2", by=reader).status_code == 403
    assert call("DELETE", "/v1/infrastructures/Spain2", by=manager).status_code == 204


def test_one_in_use_is_not_forgotten(
    call: Client, regions: None, owner: Person, promote: Callable[..., Any]
) -> None:
    promote(nodes=["Spain2"])
    answer = call("DELETE", "/v1/infrastructures/Spain2", by=owner)
    assert (answer.status_code, answer.json["error"]["message"]) == (
        409,
        "The infrastructure Spain2 is still being used",
    )


def basic(email: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{email}:{password}".encode()).decode()}


def test_basic_and_literal_headers_are_as_good_as_a_token(
    call: Client, owner: Person, regions: None
) -> None:
    email = owner.user.email
    for headers in (
        basic(email, "owners-password"),
        {"user": email, "password": "owners-password"},
    ):
        assert call("GET", "/v1/infrastructures", **headers).status_code == 200
        assert call("GET", "/v1/flavors?public", **headers).status_code == 200
        # Elsewhere only tokens count.
        assert call("GET", "/v1/promotedflavors", **headers).status_code == 401


def test_wrong_passwords_are_refused_and_counted(
    call: Client, owner: Person, settings: Settings
) -> None:
    for headers in (
        {},
        {"user": owner.user.email},
        basic(owner.user.email, "wrong"),
        basic("nobody@example.org", "wrong"),
        {"Authorization": "Basic nonsense"},
        {"Authorization": "Bearer x"},
        {"user": "a\x7f", "password": "x" * 2000},
    ):
        assert call("GET", "/v1/infrastructures", **headers).status_code == 401
    for _ in range(settings.sign_in_attempts):
        last = call("GET", "/v1/infrastructures", **basic(owner.user.email, "wrong"))
    assert last.status_code == 429
    assert int(last.headers["Retry-After"]) > 0


def test_the_list_of_published_flavors_can_be_opened_to_all(
    settings: Settings, sessions: SessionFactory, regions: None, promote: Callable[..., Any]
) -> None:
    promote()
    opened = dataclasses.replace(settings, flavors_public_read=True)
    call = Client(webtest.TestApp(application(opened, sessions=sessions)))
    for query in ("", "?public=true", "?promoted=true"):
        flavors = call("GET", f"/v1/flavors{query}").json["flavors"]
        assert [flavor["name"] for flavor in flavors] == ["TestNano"]
    assert call("GET", "/v1/flavors?public=false").status_code == 401
    assert call("POST", "/v1/flavors", {}).status_code == 401
