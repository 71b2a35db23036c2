"""What a cluster shows has the keys that Ganeti 3.0 was recorded with, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.contract.subject import Driver, Subject, recorded


@pytest.fixture
def raw(subject: Subject, client: Any) -> Iterator[Any]:
    """Asks without our client and its reading: (method, path, ...) to an answer."""
    with requests.Session() as session:
        session.trust_env = False
        session.auth = (subject.user, subject.password)
        # The verified client's own adapter, so that this session is verified in the same way.
        session.mount("https://", client._session.get_adapter(subject.url))
        session.verify = False

        def ask(method: str, path: str, **body: Any) -> requests.Response:
            return session.request(method, subject.url + path, timeout=20, **body)

        yield ask


def test_the_cluster_shows_the_recorded_keys(raw: Any) -> None:
    assert set(raw("GET", "/2/info").json()) == set(recorded("info"))


def test_nodes_show_the_recorded_keys(raw: Any) -> None:
    assert set(raw("GET", "/2/nodes?bulk=1").json()[0]) == set(recorded("nodes_bulk")[0])


def test_instances_show_the_recorded_keys(raw: Any, cluster: Driver) -> None:
    name = cluster.create()
    row = raw("GET", f"/2/instances/{name}").json()
    rows = raw("GET", "/2/instances?bulk=1").json()
    assert set(row) == set(recorded("instance"))
    assert row in rows
    assert set(row["beparams"]) == set(recorded("instance")["beparams"])
    assert raw("GET", "/2/instances").json()[0].keys() == {"id", "uri"}


def test_jobs_show_the_recorded_keys(raw: Any, cluster: Driver) -> None:
    name = cluster.new_name()
    job_id = cluster.client.create_instance(cluster.body(name), f"keys:{name}")
    cluster.run(job_id)
    row = raw("GET", f"/2/jobs/{job_id}").json()
    bulk = next(r for r in raw("GET", "/2/jobs?bulk=1").json() if r["id"] == job_id)
    assert set(row) == set(recorded("job_success"))
    assert set(bulk) == set(row) - {"oplog", "opresult"}
    assert set(row["ops"][0]) == set(recorded("job_success")["ops"][0])
    assert row["summary"] == [f"INSTANCE_CREATE({name})"]
    assert {"id": job_id, "uri": f"/2/jobs/{job_id}"} in raw("GET", "/2/jobs").json()


def test_a_job_that_does_not_exist_is_a_200_with_nulls(raw: Any) -> None:
    answer = raw("GET", "/2/jobs/99999")
    assert answer.status_code == 200
    assert answer.json() == recorded("job_missing")


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/2/instances/nobody", 404, "Not Found"),
        ("GET", "/2/jobs/abc", 404, "Not Found"),
        ("GET", "/2/bogus", 404, "Not Found"),
        ("PUT", "/2/instances", 501, "Method PUT is unsupported for path /2/instances"),
        ("DELETE", "/2/info", 501, "Method DELETE is unsupported for path /2/info"),
    ],
)
def test_what_is_not_there_is_refused(
    raw: Any, method: str, path: str, status: int, message: str
) -> None:
    answer = raw(method, path)
    assert answer.status_code == status
    assert answer.json().keys() == {"code", "message", "explain"}
    assert (answer.json()["code"], answer.json()["message"]) == (status, message)


def test_text_in_a_refusal_is_escaped_for_html(raw: Any) -> None:
    body = {"__version__": 1, "instance_name": "x", "mode": "create", "a<b": 1}
    answer = raw("POST", "/2/instances", json=body)
    assert answer.status_code == 400
    assert "&#x27;a&lt;b&#x27;" in answer.json()["message"]


def test_a_body_must_say_that_it_is_json(raw: Any) -> None:
    headers = {"Content-Type": "text/plain"}
    assert raw("POST", "/2/instances", data="{}", headers=headers).status_code == 415


def test_broken_json_is_refused(raw: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = raw("POST", "/2/instances", data='{"a":', headers=headers)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Unable to parse JSON data"


def test_a_reboot_is_of_a_known_kind(raw: Any) -> None:
    answer = raw("POST", "/2/instances/nobody/reboot?type=bogus")
    assert answer.status_code == 400
    assert "OP_INSTANCE_REBOOT.reboot_type" in answer.json()["message"]
