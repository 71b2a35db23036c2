"""Tells everybody who owes their acceptance of new terms of use, once, by mail."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import audit, letters, mail, terms, terms_languages
from cloudweb.domain.identity import Identity
from cloudweb.domain.mail import Letter
from cloudweb.domain.registration import Rules
from cloudweb.models import Terms, TermsTranslation, User, UserState, utc_now

_GOOD_FOR_S = 14 * 86_400


def letter_about(
    rules: Rules,
    version: Terms,
    number: int,
    language: str,
    translations: Mapping[str, TermsTranslation],
) -> Letter:
    """What those who owe their acceptance are told of a version that has, or gets, this number.

    Who has chosen a ``language`` it is in is told in that what is new, and led to that text.
    """
    known = translations.get(language)
    query = (
        {"lang": language} if known or (translations and language == rules.terms_language) else {}
    )
    read, accept = rules.page(f"/terms/{number}", **query), rules.page("/account/terms")
    return letters.terms(number, known.summary if known else version.summary, read, accept)


def _untold() -> sa.Select[Terms]:
    """The version that has to be accepted, while somebody may not have been told."""
    number = terms.number_in_force(utc_now(), demanding=True)
    return sa.select(Terms).where(Terms.number == number, Terms.told.is_(None))


def is_anybody_untold(session: Session) -> bool:
    """Whether there is somebody to look at."""
    return session.scalar(_untold()) is not None


def tell_some(session: Session, identity: Identity, rules: Rules, *, at_most: int) -> int:
    """Write mails to the next users who owe their acceptance; how many users were looked at.

    One worker at a time goes through them, in the order of their ids: nobody is told twice.
    """
    version = session.scalar(
        _untold().with_for_update(skip_locked=True).execution_options(populate_existing=True)
    )
    if version is None or version.number is None:
        return 0
    rows = session.execute(
        sa.select(User.id, User.email, User.terms_number, User.language)
        .where(User.state == UserState.ACTIVE, User.id > version.told_up_to)
        .order_by(User.id)
        .limit(at_most)
    ).all()
    owing = [row for row in rows if row.terms_number < version.number]
    translations = terms_languages.list_of(session, version)
    for row in owing:
        about = letter_about(rules, version, version.number, row.language, translations)
        mail.enqueue(session, rules.sealer, row.email, about, good_for_s=_GOOD_FOR_S)
    if rows:
        version.told_up_to = rows[-1].id
    if len(rows) < at_most:
        version.told = utc_now()
    if owing:
        audit.record(
            *(session, identity, "terms:tell", "terms", version.id),
            number=version.number,
            mails=len(owing),
        )
    return len(rows)
