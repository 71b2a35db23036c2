"""Trying a password, at whichever door: counted, limited, and no transaction open meanwhile."""

from pyramid.request import Request

from cloudweb import faults
from cloudweb.domain import accounts
from cloudweb.models import User, unit_of_work

LONGEST = 1000
"""Characters that are looked at; nobody has a longer password."""


def user_of(request: Request, email: str, password: str) -> tuple[User, list[int]] | None:
    """Whose e-mail address and password these are, and the attempt; None for a wrong pair.

    The attempt counts before it is made, though the request be refused, until the caller lets
    ``accounts.forget_attempt`` take it back. Raises TooManyRequests.
    """
    conf = request.conf
    who = {"email": email, "address": request.remote, "window_s": conf.sign_in_window_s}
    with unit_of_work(request.sessions) as session:
        attempt = accounts.count_attempt(session, **who)
    try:
        with unit_of_work(request.sessions, write=False) as session:
            accounts.check_sign_in_rate(session, limit=conf.sign_in_attempts, **who)
            user, password_hash = accounts.find_credentials(session, email, staff_only=False)
    except faults.TooManyRequests:
        with unit_of_work(request.sessions) as session:
            accounts.forget_attempt(session, attempt)
        raise
    # Hashed first, whoever it is: how long an answer takes says nothing.
    right = accounts.matches(password_hash, password[:LONGEST])
    return (user, attempt) if right and user is not None and len(password) <= LONGEST else None
