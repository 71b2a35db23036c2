"""Who a token belongs to, on the wire: a plain object, as clients of the identity service know."""

import datetime as dt

from cloudweb.shapes.base import Scalar, Shape, Texts

USER = Shape(
    "user",
    [
        Scalar("id", lambda owner: owner.user_id, int),
        Scalar("username", lambda owner: owner.email),
        Scalar("uniq", lambda owner: owner.email),
        Scalar("uuid", lambda owner: str(owner.user_id)),
        Scalar("name", lambda owner: owner.name),
        Texts("email", "email", lambda owner: [owner.email]),
        Texts("groups", "group", lambda owner: [owner.role.value]),
        Scalar("auth_token", lambda owner: owner.token),
        Scalar("auth_token_created", lambda owner: owner.created, dt.datetime),
        Scalar("auth_token_expires", lambda owner: owner.expires, dt.datetime, optional=True),
    ],
    enveloped=False,
)
