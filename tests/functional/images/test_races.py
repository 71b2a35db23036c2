"""Several at once: nothing is lost, nothing is half done."""

import concurrent.futures
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import webtest

from cloudweb.domain import images
from cloudweb.models import Image, Quota, Resource, SessionFactory, unit_of_work
from tests.functional.images.conftest import Client, spelt


def at_once(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each task gave; they run at the same time."""
    barrier = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        barrier.wait(10)
        return task()

    with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def another(client: Client) -> Client:
    """The same user from another place."""
    return Client(webtest.TestApp(client.app.app), client.person)


def test_properties_set_at_the_same_time_are_all_there(client: Client) -> None:
    image_id = client.add()

    def setting(number: int) -> Callable[[], Any]:
        mine = another(client)
        return lambda: mine.update(image_id, **{f"property_k{number}": str(number)})

    at_once([setting(number) for number in range(8)])

    assert client.shown(image_id)["properties"] == {f"k{n}": str(n) for n in range(8)}


def test_a_member_added_many_times_at_once_is_one(
    client: Client, make_client: Callable[..., Client]
) -> None:
    image_id, member = client.add(), make_client().person.user.id
    path = f"images/{image_id}/members"

    def adding() -> Callable[[], Any]:
        mine = another(client)
        return lambda: mine.call("PUT", f"{path}/{member}").status_code

    assert at_once([adding() for _ in range(6)]) == [204] * 6
    assert len(client.get(path)["members"]) == 1


def test_of_many_deletes_at_once_one_is_the_one(client: Client) -> None:
    image_id = client.add()

    def deleting() -> Callable[[], Any]:
        mine = another(client)
        return lambda: mine.call("DELETE", f"images/{image_id}").status_code

    assert sorted(at_once([deleting() for _ in range(4)])) == [204, 404, 404, 404]


def test_a_race_that_is_lost_is_a_conflict(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    image_id = client.add()
    find = images.get

    def unlocked(session: Any, identity: Any, wanted: str) -> Image:
        """As if another had changed it between the reading and the writing."""
        image = find(session, identity, wanted)
        session.connection().execute(Image.__table__.update().values(version=Image.version + 1))
        return image

    monkeypatch.setattr(images, "lock_own", unlocked)
    answer = client.update(image_id, 409, name="lost")
    assert list(answer.json) == ["conflict"]
    monkeypatch.undo()
    assert client.shown(image_id)["name"] == "Debian 12"


def test_however_many_register_at_once_a_quota_holds(
    client: Client, sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        session.add(Quota(user_id=client.person.user.id, resource=Resource.IMAGES, limit=3))

    def registering() -> Callable[[], Any]:
        mine = another(client)
        given = spelt({"name": "x", "location": "debian-12"})
        return lambda: mine.call("POST", "images", headers=given).status_code

    assert sorted(at_once([registering() for _ in range(6)])) == [200] * 3 + [413] * 3
    found = client.get("images")
    assert len(found) == 3
    client.call("DELETE", f"images/{found[0]['id']}")
    client.add()
