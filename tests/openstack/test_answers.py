"""Raw answers have the status and the keys of recordings made from a real Keystone and Nova."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.openstack.conftest import Subject

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return found


def keys(value: Any) -> Any:
    """The keys of an answer, at every depth that both sides must have alike."""
    if isinstance(value, dict):
        return {key: keys(item) for key, item in value.items() if key not in _FREE}
    if isinstance(value, list):
        return [keys(value[0])] if value else []
    return None


_FREE = {"links", "extra_specs", "catalog", "roles", "audit_ids", "user", "project", "methods"}

GOOD = {
    "nova_flavors_detail_all": ("GET", "/flavors/detail?is_public=None", "2.1"),
    "nova_flavors_detail_v261": ("GET", "/flavors/detail", "2.61"),
    "nova_flavor_show": ("GET", "/flavors/2", "2.1"),
    "nova_flavor_show_v261": ("GET", "/flavors/2", "2.61"),
    "nova_flavor_show_404": ("GET", "/flavors/nope", "2.1"),
    "nova_flavor_delete_404": ("DELETE", "/flavors/fx-42", "2.1"),
    "nova_flavor_access_list_404_public": ("GET", "/flavors/1/os-flavor-access", "2.1"),
    "nova_406_microversion_too_high": ("GET", "/flavors/detail", "2.999"),
    "nova_404_unknown_path": ("GET", "/nope", "2.1"),
}


@pytest.mark.parametrize("name", sorted(GOOD))
def test_nova_reads_as_recorded(subject: Subject, name: str) -> None:
    method, path, version = GOOD[name]
    headers = {
        "Accept": "application/json",
        "X-Auth-Token": subject.token()["text"],
        "OpenStack-API-Version": f"compute {version}",
    }
    answer = requests.request(method, subject.compute_url() + path, headers=headers, timeout=20)
    expected = recorded(name)["answer"]
    assert answer.status_code == expected["status"]
    assert keys(answer.json()) == keys(expected["body"])


def test_nova_refuses_as_recorded(subject: Subject) -> None:
    url = subject.compute_url() + "/flavors"
    admin = {"X-Auth-Token": subject.token()["text"]}
    member = {"X-Auth-Token": subject.token("demo")["text"]}
    order = {"flavor": {"name": "refused", "ram": 1, "vcpus": 1, "disk": 1}}
    cases = {
        "nova_flavor_create_400_negative": (admin, {"ram": -1}),
        "nova_flavor_create_403_member": (member, {}),
        "nova_flavor_create_409_name": (admin, {"name": "m1.tiny"}),
        "nova_flavor_create_409_id": (admin, {"id": "1"}),
        "nova_flavors_401_bad_token": ({"X-Auth-Token": "bogus"}, {}),
    }
    for name, (headers, changes) in cases.items():
        body = {"flavor": order["flavor"] | changes}
        answer = requests.post(url, json=body, headers=headers, timeout=20)
        expected = recorded(name)["answer"]
        assert answer.status_code == expected["status"], name
        assert keys(answer.json()) == keys(expected["body"]), name


def test_keystone_answers_as_recorded(subject: Subject) -> None:
    url, token = f"{subject.keystone_url}/auth/tokens", subject.token()["text"]
    cases = {
        "keystone_token_get_validate": (token, token),
        "keystone_token_get_404_bad_subject": (token, "bogus"),
        "keystone_token_get_401_bad_auth": ("bogus", token),
    }
    for name, (caller, inspected) in cases.items():
        headers = {"X-Auth-Token": caller, "X-Subject-Token": inspected}
        answer = requests.get(url, headers=headers, timeout=20)
        expected = recorded(name)["answer"]
        assert answer.status_code == expected["status"], name
        assert keys(answer.json()) == keys(expected["body"]), name


def test_a_token_without_a_project_has_no_catalog(subject: Subject) -> None:
    told = subject.token("admin", scoped=False)
    assert set(told) - {"text"} == set(
        recorded("keystone_token_post_unscoped")["answer"]["body"]["token"]
    )
