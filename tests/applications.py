"""Applications for tests: made once and given to one test after the other, without a memory."""

from typing import Any

from cloudweb.app import furnish, make_app
from cloudweb.models import SessionFactory
from cloudweb.settings import Settings

_made: list[Any] = []
_given = 0


def application(settings: Settings, *, sessions: SessionFactory) -> Any:
    """A WSGI application that this test has not got yet. Making one takes longer than most tests.

    Settings are read when a request comes, but for ``session_cookie_secure``.
    """
    global _given
    if _given == len(_made):
        _made.append(make_app(settings, sessions=sessions))
    furnish(_made[_given].registry, settings, sessions)
    _given += 1
    return _made[_given - 1]


def take_back() -> None:
    """The next test may have them."""
    global _given
    _given = 0
