"""Who calls the federation's API: by a token of ours or of KeyRock, or by name and password.

Everything here is done in units of work of its own, that have ended when a region is asked.
"""

import base64
import binascii

from pyramid.request import Request

from cloudweb import faults
from cloudweb.backend.openstack.errors import Unreachable
from cloudweb.backend.openstack.keyrock import KeyRock
from cloudweb.domain import acceptances, accounts
from cloudweb.domain.identity import Identity
from cloudweb.domain.second_factor import is_required
from cloudweb.models import Role, unit_of_work
from cloudweb.passwords import LONGEST, user_of

MANAGER = "InfrastructureManager"
"""What KeyRock calls a flavor manager."""

_BY_PASSWORD = ("/v1/infrastructures", "/v1/flavors")


def identify(request: Request) -> Identity | None:
    """Who it is, or None. Raises TooManyRequests, BadGateway."""
    token = request.headers.get("X-Auth-Token", "")
    if token:
        return _by_token(request, token) if len(token) <= LONGEST else None
    if not request.path_info.startswith(_BY_PASSWORD):
        return None
    given = _basic(request.headers.get("Authorization", "")) or _literal(request)
    return _by_password(request, *given) if given else None


def _by_token(request: Request, token: str) -> Identity | None:
    if request.conf.idm == "keyrock":
        return _by_keyrock(request, token)
    with unit_of_work(request.sessions, write=False) as session:
        return accounts.by_token(
            session, token, address=request.remote, request_id=request.request_id
        )


def _by_keyrock(request: Request, token: str) -> Identity | None:
    keyrock: KeyRock = request.registry["cloudweb.keyrock"]
    try:
        person = keyrock.find(token)
    except Unreachable:
        raise faults.BadGateway("The identity manager does not answer.") from None
    if person is None:
        return None
    role = Role.FLAVOR_MANAGER if MANAGER in person.roles else Role.USER
    name = f"keyrock:{person.id}"
    return Identity(None, name, role, "api", request.remote, request.request_id)


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    user, colon, password = decoded.partition(":")
    return (user, password) if colon else None


def _literal(request: Request) -> tuple[str, str] | None:
    """The headers that the guide has: ``user:`` and ``password:``."""
    user, password = request.headers.get("user", ""), request.headers.get("password", "")
    return (user, password) if user and password else None


def _by_password(request: Request, email: str, password: str) -> Identity | None:
    if "\0" in email or len(email) > 254:
        return None
    found = user_of(request, email, password)
    if found is None:
        return None
    user, attempt = found
    conf = request.conf
    if user.totp_sealed is not None or is_required(user.role, conf.totp_required_roles):
        return None  # a password alone is not enough for them; their tokens are
    with unit_of_work(request.sessions) as session:
        accounts.forget_attempt(session, attempt)
    with unit_of_work(request.sessions, write=False) as session:
        owes_terms = acceptances.owes(session, user)
    return Identity(
        *(user.id, user.email, user.role, "api", request.remote, request.request_id),
        owes_terms=owes_terms,
    )
