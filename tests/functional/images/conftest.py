"""A client of the image registry that says and hears everything in headers."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import pytest
import webtest

LOCATION = "pithos://okeanos/images/debian.img"


def spelt(fields: Mapping[str, str]) -> dict[str, str]:
    """The headers that say these fields; a property is ``property_NAME``."""
    return {
        f"X-Image-Meta-{quote(name.replace('_', '-'))}": quote(value, safe="/:")
        for name, value in fields.items()
    }


@dataclasses.dataclass(frozen=True)
class Client:
    """One user at ``/plankton``."""

    app: webtest.TestApp
    person: Any

    def call(self, method: str, path: str, **options: Any) -> Any:
        headers = self.person.headers | options.pop("headers", {})
        return self.app.request(
            f"/plankton/{path}", method=method, headers=headers, expect_errors=True, **options
        )

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        answer = self.call("GET", path, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json if answer.body else None

    def put_json(self, path: str, body: Any, status: int = 204) -> Any:
        answer = self.app.put_json(
            f"/plankton/{path}", body, headers=self.person.headers, expect_errors=True
        )
        assert answer.status_code == status, answer.text
        return answer

    def register(self, expected: int = 200, /, **fields: str) -> Any:
        """Registers an image; gives the answer."""
        given = {"name": "Debian 12", "location": LOCATION} | fields
        answer = self.call("POST", "images/", headers=spelt(given))
        assert answer.status_code == expected, answer.text
        return answer

    def add(self, **fields: str) -> str:
        """Registers an image; gives its id."""
        return str(self.register(**fields).headers["X-Image-Meta-Id"])

    def update(
        self, image_id: str, expected: int = 200, /, *, purge: bool = False, **fields: str
    ) -> Any:
        headers = spelt(fields)
        if purge:
            headers["X-Glance-Registry-Purge-Props"] = "True"
        answer = self.call("PUT", f"images/{image_id}", headers=headers)
        assert answer.status_code == expected, answer.text
        return answer

    def head(self, image_id: str, status: int = 200) -> Any:
        answer = self.call("HEAD", f"images/{image_id}")
        assert (answer.status_code, answer.body) == (status, b"")
        return answer.headers

    def shown(self, image_id: str) -> Any:
        """The image as the detailed list has it."""
        [found] = [each for each in self.get("images/detail") if each["id"] == image_id]
        return found


@pytest.fixture
def make_client(app: webtest.TestApp, make_user: Callable[..., Any]) -> Callable[..., Client]:
    """Makes a user with a client."""
    return lambda **values: Client(app, make_user(**values))


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    """A user with a client."""
    return make_client()
