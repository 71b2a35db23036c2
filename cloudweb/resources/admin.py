"""The context of every dashboard page: which role may do what there."""

from typing import Any, ClassVar

from cloudweb.resources import Resource
from cloudweb.security import ADMIN_ACL


class AdminContext(Resource):
    """What all pages of the dashboard hang on."""

    __acl__: ClassVar[list[Any]] = ADMIN_ACL
