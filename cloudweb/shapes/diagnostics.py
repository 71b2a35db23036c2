"""What was said of a server while it was built, on the wire: a plain JSON list."""

import datetime as dt

from cloudweb.shapes.base import Listing, Scalar, Shape

DIAGNOSTIC = Shape(
    "diagnostic",
    [
        Scalar("id", lambda d: d.id, int),
        Scalar("level", lambda d: d.level),
        Scalar("source", lambda d: d.source),
        Scalar("created", lambda d: d.created, dt.datetime),
        Scalar("source_date", lambda d: d.source_date, dt.datetime, optional=True),
        Scalar("message", lambda d: d.message),
        Scalar("details", lambda d: d.details or ""),
    ],
    listing=Listing.BARE,
)
