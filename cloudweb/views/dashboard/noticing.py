"""Telling owners by mail what is done to their servers: shown first, sent only if ticked."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from pyramid.request import Request

from cloudweb import faults
from cloudweb.domain import notices
from cloudweb.domain.notices import Notice, Owner
from cloudweb.models import Server
from cloudweb.views.dashboard import acts, writing
from cloudweb.views.dashboard.acts import Field, Kind


def owners(request: Request, server_ids: Sequence[int]) -> Sequence[Owner]:
    """Whose these servers are, and who gets mail; one statement."""
    return notices.owners(request.db, Server.id.in_(server_ids) if server_ids else sa.false())


def shown(
    request: Request, notice: Notice, to: Sequence[Owner], *, reason: str = "optional"
) -> dict[str, Any]:
    """What a preview has for it: the tick, and under the form one of the mails.

    ``reason`` is the preview's own: until one is given, the mail shows where it will be.
    """
    if not to:
        return {}
    many = f"the {len(to)} owners" if len(to) != 1 else f"the owner, {to[0].email}"
    given = acts.text(request, "reason").strip()
    if not given and reason and (request.method != "POST" or reason == "required"):
        given = "(the reason you give, if any)" if reason == "optional" else "(the reason you give)"
    letter = notices.letter(notice, to[0], given if reason else "")
    return {
        "fields": (Field("mail", f"Mail {many}", Kind.TICK),),
        "below": "notice",
        "values": writing.sample(letter, to[0].email, mails=len(to), ticked=True),
        "also": (("mail", "Show the mail as filled in"),),
    }


def until(request: Request) -> dt.datetime | None:
    """Until when, as the form says so far."""
    try:
        return acts.time(request, "until")
    except faults.BadRequest:
        return None


def send(request: Request, notice: Notice, to: Sequence[Owner], reason: str) -> int:
    """Mail these owners, if that is ticked; how many."""
    if acts.text(request, "mail") != "yes":
        return 0
    sealer = request.account_rules.sealer
    return notices.send(request.db, request.identity, sealer, notice, to, reason=reason)
