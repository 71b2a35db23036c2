"""What the dashboard's tests share: somebody who is signed in."""

import datetime as dt
import secrets
from collections.abc import Callable

import pytest
import webtest

from cloudweb.domain.accounts import digest
from cloudweb.models import Role, SessionFactory, WebSession, unit_of_work, utc_now


@pytest.fixture
def sign_in(app: webtest.TestApp, make_user: Callable, sessions: SessionFactory) -> Callable:
    """Signs somebody of this role in, without the form and its slow hash; who it is."""

    def go(role: Role = Role.OPERATOR) -> object:
        person, text, now = make_user(role=role), secrets.token_urlsafe(), utc_now()
        with unit_of_work(sessions) as session:
            session.add(
                WebSession(
                    user_id=person.user.id,
                    digest=digest(text),
                    last_seen=now,
                    expires=now + dt.timedelta(hours=1),
                )
            )
        app.set_cookie("cloudweb", text)
        return person

    return go
