"""Promoted flavors: everybody reads them, flavor managers make them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Person
from tests.functional.federation.conftest import NANO, Client

DOCUMENTED_401 = (
    "Could not verify your access level for that URL.\nYou have to login with proper token"
)
DOCUMENTED_405 = (
    "The method specified in the Request-Line is not allowed for the resource identified by "
    "the Request-URI."
)


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
def test_a_promoted_flavor_is_made_read_and_forgotten(
    call: Client, manager: Person, reader: Person, prefix: str
) -> None:
    made = call("POST", f"{prefix}/promotedflavors", {"flavor": NANO}, by=manager)
    flavor = made.json["flavor"]
    assert made.status_code == 201
    assert made.headers["Content-Type"] == "application/json"
    assert flavor == NANO | {"id": flavor["id"], "nodes": [], "promoted": True, "public": True}
    assert call("GET", f"{prefix}/promotedflavors", by=reader).json == {"flavors": [flavor]}
    path = f"{prefix}/promotedflavors/{flavor['id']}"
    assert call("GET", path, by=reader).json == {"flavor": flavor}
    gone = call("DELETE", path, by=manager)
    assert (gone.status_code, gone.body) == (204, b"")
    assert call("GET", path, by=reader).status_code == 404


def test_xml_goes_in_and_out(call: Client, manager: Person) -> None:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<flavor>\n  <name>insane</name>\n'
        "  <vcpus>640</vcpus>\n  <ram>1232896</ram>\n  <disk>1262485504</disk>\n"
        "  <swap>0</swap>\n</flavor>"
    )
    made = call("POST", "/v1/promotedflavors", body, by=manager, xml=True)
    assert made.status_code == 201
    id_ = made.text.partition('id="')[2].partition('"')[0]
    assert made.text == (
        f'<?xml version="1.0" encoding="UTF-8"?><flavor id="{id_}"><name>insane</name>'
        "<vcpus>640</vcpus><ram>1232896</ram><disk>1262485504</disk><swap>0</swap>"
        "<promoted>true</promoted><public>true</public></flavor>"
    )


def test_empty_lists(call: Client, reader: Person) -> None:
    assert call("GET", "/v1/promotedflavors", by=reader).json == {"flavors": []}
    answer = call("GET", "/v1/promotedflavors", by=reader, xml=True)
    assert answer.text.endswith("<flavors></flavors>")


def test_the_id_and_the_nodes_of_the_body_are_taken(
    call: Client, regions: None, promote: Callable[..., Any]
) -> None:
    flavor = promote(id="withnode", nodes=["Spain2"], public=False, promoted=False, links=[1])
    assert (flavor["id"], flavor["nodes"]) == ("withnode", ["Spain2"])
    assert flavor["promoted"]
    assert promote(name="Numbered", id=7)["id"] == "7"


def test_a_name_and_an_id_are_there_once(
    call: Client, manager: Person, promote: Callable[..., Any]
) -> None:
    promote(id="a")
    answer = call("POST", "/v1/promotedflavors", {"flavor": NANO}, by=manager)
    assert (answer.status_code, answer.json) == (
        409,
        {"error": {"message": "The there is already a flavor named TestNano"}},
    )
    twice = call(
        "POST", "/v1/promotedflavors", {"flavor": NANO | {"name": "b", "id": "a"}}, by=manager
    )
    assert twice.status_code == 409


@pytest.mark.parametrize("token", [None, "", "wrong", "x" * 3000])
def test_without_a_good_token_nobody_is_answered(call: Client, token: str | None) -> None:
    headers = {} if token is None else {"X_Auth_Token": token}
    for method in ("GET", "POST"):
        answer = call(method, "/v1/promotedflavors", **headers)
        assert (answer.status_code, answer.text) == (401, DOCUMENTED_401)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Auth-Token"] == 'Auth2 realm="Token Required"'


def test_the_role_is_asked_before_the_body_is_read(call: Client, reader: Person) -> None:
    for method, path in (
        ("POST", "/v1/promotedflavors"),
        ("PUT", "/v1/promotedflavors/x"),
        ("DELETE", "/v1/promotedflavors/x"),
    ):
        answer = call(method, path, b"nonsense", by=reader, Content_Type="image/png")
        assert (answer.status_code, answer.text) == (405, DOCUMENTED_405)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_promoted_flavor_with_nodes_stays(
    call: Client, manager: Person, regions: None, promote: Callable[..., Any]
) -> None:
    promote(id="withnode", nodes=["Spain2"])
    answer = call("DELETE", "/v1/promotedflavors/withnode", by=manager)
    assert (answer.status_code, answer.text) == (
        405,
        (
            "The method specified in the Request-Line is not allowed, since the flavor is not "
            "promoted or there are nodes associated to the flavor"
        ),
    )


def test_what_is_not_there_is_not_found(call: Client, manager: Person) -> None:
    for method in ("GET", "DELETE"):
        answer = call(method, "/v1/promotedflavors/nope", by=manager)
        assert (answer.status_code, answer.text) == (404, "Not Found Flavor")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_promoted_flavor_cannot_be_taken_back_nor_given_nodes(
    call: Client, manager: Person, promote: Callable[..., Any]
) -> None:
    path = f"/v1/promotedflavors/{promote()['id']}"
    for body, code, message in (
        ({"public": False}, 409, "A flavor cannot be unpublished or unpromoted"),
        ({"promoted": False}, 409, "A flavor cannot be unpublished or unpromoted"),
        ({"promoted": True, "public": False}, 400, "A flavor cannot be promoted and private"),
    ):
        answer = call("PUT", path, {"flavor": body}, by=manager)
        assert (answer.status_code, answer.json["error"]["message"]) == (code, message)
    answer = call("PUT", path, {"flavor": {"nodes": ["Spain2"]}}, by=manager)
    assert (answer.status_code, answer.text) == (
        405,
        (
            "The method specified in the Request-Line is not allowed for the node list of"
            " infrastructures."
        ),
    )
    for body in ({}, {"public": True}, {"promoted": True}):
        assert call("PUT", path, {"flavor": body}, by=manager).status_code == 200


def test_lists_take_three_statements_whatever_their_length(
    call: Client, reader: Person, promote: Callable[..., Any], count_statements: Any
) -> None:
    counts = []
    for number in range(12):
        promote(name=f"flavor {number}")
        if number in (1, 11):
            with count_statements() as counter:
                call("GET", "/v1/promotedflavors", by=reader)
            counts.append(len(counter))
    assert counts == [3, 3]
