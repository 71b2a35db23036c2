"""The tree of the identity service: ``/im``."""

from typing import ClassVar

from pyramid.request import Request

from cloudweb.resources import Branch, Resource
from cloudweb.resources.compute import ApiResource


class AuthenticateResource(ApiResource):
    """``/im/authenticate``."""


class IdentityRoot(ApiResource, Branch):
    """``/im``."""

    children: ClassVar[dict[str, type[Resource]]] = {"authenticate": AuthenticateResource}


def root(request: Request) -> IdentityRoot:
    """The root of the identity service."""
    return IdentityRoot(request)
