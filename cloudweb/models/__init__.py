"""The tables; importing this package imports them all."""

from cloudweb.models.accounts import Role, SignInAttempt, Token, User, UserState, WebSession
from cloudweb.models.audit import AuditEntry
from cloudweb.models.backends import MAX_BACKENDS, Backend, EventSource
from cloudweb.models.flavors import Flavor
from cloudweb.models.images import Image
from cloudweb.models.lists import ListVersion, move_lists
from cloudweb.models.meta import (
    MAX_ID,
    Base,
    SessionFactory,
    make_engine,
    unit_of_work,
    utc_now,
)
from cloudweb.models.operations import OPEN_STATES, Operation, OperationState
from cloudweb.models.servers import Nic, OperState, Server, ServerMetadata

__all__ = [
    "MAX_BACKENDS",
    "MAX_ID",
    "OPEN_STATES",
    "AuditEntry",
    "Backend",
    "Base",
    "EventSource",
    "Flavor",
    "Image",
    "ListVersion",
    "Nic",
    "OperState",
    "Operation",
    "OperationState",
    "Role",
    "Server",
    "ServerMetadata",
    "SessionFactory",
    "SignInAttempt",
    "Token",
    "User",
    "UserState",
    "WebSession",
    "make_engine",
    "move_lists",
    "unit_of_work",
    "utc_now",
]
