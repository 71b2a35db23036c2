"""The whole story: register, publish, promote, install, see a difference, mend, delete."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.backend.federation import Federation
from cloudweb.backend.openstack.errors import NotFound
from cloudweb.backend.openstack.nova import NovaRegion
from cloudweb.domain import differences, installs, promoted
from cloudweb.models import ResultState, Role, SessionFactory, unit_of_work
from cloudweb.settings import Settings
from tests.conftest import Person
from tests.openstack.conftest import ACCOUNTS, REGIONS, Subject

NAME = f"story.{os.getpid()}"
SIZES = {"name": NAME, "vcpus": 2, "ram": 128, "disk": 3, "swap": 256}


@pytest.fixture
def manager(make_user: Callable[..., Person]) -> Person:
    return make_user(role=Role.FLAVOR_MANAGER)


@pytest.fixture
def there(connect: Callable[..., NovaRegion]) -> Any:
    """Both regions, spoken to without the federation; the story's flavor is gone at its end."""
    clients = {name: connect(name) for name in REGIONS}
    yield clients
    for client in clients.values():
        for flavor in client.list_flavors():
            if flavor.name == NAME:
                client.delete(flavor.id)


def test_a_flavor_goes_from_one_region_to_all(
    app: webtest.TestApp,
    settings: Settings,
    sessions: SessionFactory,
    subject: Subject,
    manager: Person,
    there: dict[str, NovaRegion],
) -> None:
    real = dataclasses.replace(settings, region_read_timeout_s=20.0)
    federation = Federation(real, sessions)

    def call(method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = manager.headers | headers
        if body is None:
            return app.request(path, method=method, headers=sent)
        return getattr(app, f"{method.lower()}_json")(path, body, headers=sent)

    def refresh() -> list[str]:
        with unit_of_work(sessions, write=False) as session:
            rows = [column.region for column in differences.matrix(session)[1]]
        return [each.error for each in federation.refresh_all(manager.identity, rows)]

    def standing(region: str) -> differences.Cell:
        with unit_of_work(sessions, write=False) as session:
            _, columns = differences.matrix(session)
        [column] = [c for c in columns if c.region.name == region]
        return column.cells[flavor["id"]]

    for name in REGIONS:
        account = {"username": "admin", "password": ACCOUNTS["admin"], "tenant": "admin"}
        where = {"name": name, "keystone_url": subject.keystone_url}
        call("POST", "/v1/infrastructures", {"infrastructure": where | account})
    assert refresh() == ["", ""]
    listed = call("GET", "/v1/regions/Spain2/flavors")
    assert "m1.tiny" in {each["name"] for each in listed.json["flavors"]}

    token = {"X-Auth-Token-KeyStone": subject.token("admin")["text"]}
    order = {"flavor": SIZES | {"ephemeral": 1, "extra_specs": {"hw:cpu_policy": "shared"}}}
    flavor = call("POST", "/v1/regions/Spain2/flavors", order, **token).json["flavor"]
    path = f"/v1/flavors/{flavor['id']}"
    assert not call("GET", path).json["flavor"]["public"]
    assert call("PUT", path, {"flavor": {"public": True}}).json["flavor"]["public"]
    assert call("PUT", path, {"flavor": {"promoted": True}}).json["flavor"]["promoted"]
    assert standing("Trento").standing is differences.Standing.MISSING
    installed = call("PUT", path, {"flavor": {"nodes": ["Trento"]}}).json["flavor"]
    assert installed["nodes"] == ["Spain2", "Trento"]
    assert there["Trento"].get(flavor["id"]) == there["Spain2"].get(flavor["id"])

    # Behind our back somebody gives it other values.
    original = there["Trento"].get(flavor["id"])
    there["Trento"].delete(flavor["id"])
    there["Trento"].create(dataclasses.replace(original, vcpus=4, extra_specs={}))
    assert refresh() == ["", ""]
    seen = standing("Trento")
    assert seen.standing is differences.Standing.DIFFERENT
    assert {field for field, _, _ in seen.fields} == {"vcpus", "extra_specs"}

    with unit_of_work(sessions) as session:
        row = promoted.get(session, flavor["id"])
        mending = installs.start(session, manager.identity, row, mend=True)
    federation.work(manager.identity, mending.id)
    with unit_of_work(sessions, write=False) as session:
        found = {each.region: each.state for each in installs.results(session, mending.id)}
    assert found == {"Spain2": ResultState.UNCHANGED, "Trento": ResultState.DONE}
    assert there["Trento"].get(flavor["id"]) == original
    assert standing("Trento").standing is differences.Standing.SAME

    assert call("DELETE", path).status_code == 204
    for client in there.values():
        with pytest.raises(NotFound):
            client.get(flavor["id"])
    call("DELETE", f"/v1/promotedflavors/{flavor['id']}")
    for name in REGIONS:
        call("DELETE", f"/v1/infrastructures/{name}")
