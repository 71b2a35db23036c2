"""Telling owners by mail what is done to their servers: shown first, sent only if ticked."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from pyramid.request import Request

from cloudweb.domain import notices
from cloudweb.domain.notices import Notice, Owner
from cloudweb.models import Server
from cloudweb.views.dashboard import acts
from cloudweb.views.dashboard.acts import Field, Kind


def owners(request: Request, server_ids: Sequence[int]) -> Sequence[Owner]:
    """Whose these servers are, and who gets mail; one statement."""
    return notices.owners(request.db, Server.id.in_(server_ids) if server_ids else sa.false())


def shown(notice: Notice, to: Sequence[Owner]) -> dict[str, Any]:
    """What a preview has for it: the tick, and under the form one of the mails."""
    if not to:
        return {}
    many = f"the {len(to)} owners" if len(to) != 1 else f"the owner, {to[0].email}"
    return {
        "fields": (Field("mail", f"Mail {many}", Kind.TICK),),
        "below": "notice",
        "values": example(notice, to, "(the reason you give, if any)") | {"ticked": True},
    }


def example(notice: Notice, to: Sequence[Owner], reason: str) -> dict[str, Any]:
    """One of the mails, to whom, and how many there will be."""
    letter = notices.letter(notice, to[0], reason)
    return {"example": letter, "to": to[0].email, "mails": len(to), "ticked": False}


def send(request: Request, notice: Notice, to: Sequence[Owner], reason: str) -> int:
    """Mail these owners, if that is ticked; how many."""
    if acts.text(request, "mail") != "yes":
        return 0
    sealer = request.account_rules.sealer
    return notices.send(request.db, request.identity, sealer, notice, to, reason=reason)
