"""The context of everybody's own pages."""

from typing import Any, ClassVar

from cloudweb.resources import Resource
from cloudweb.security import ACCOUNT_ACL


class AccountContext(Resource):
    """What the pages about one's own account hang on."""

    __acl__: ClassVar[list[Any]] = ACCOUNT_ACL
