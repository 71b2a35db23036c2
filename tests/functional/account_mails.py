"""Reads the mails that wait."""

import re

import sqlalchemy as sa

from cloudweb.models import Mail, SessionFactory, unit_of_work
from cloudweb.sealing import Sealer


def mails(sessions: SessionFactory, sealer: Sealer) -> list[tuple[str, str, str]]:
    """Recipient, subject and text of each, in the order they were written."""
    with unit_of_work(sessions, write=False) as session:
        rows = session.scalars(sa.select(Mail).order_by(Mail.id)).all()
    return [(row.recipient, row.subject, str(sealer.open(row.text_sealed))) for row in rows]


def links(sessions: SessionFactory, sealer: Sealer, recipient: str) -> list[str]:
    """The mailed links to this address, as paths, oldest first."""
    texts = [text for to, _, text in mails(sessions, sealer) if to == recipient]
    return [found for text in texts for found in re.findall(r"(/account/link\?key=\S+)", text)]
