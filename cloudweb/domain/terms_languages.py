"""Terms of use in more than one language: the original, and what it is translated to."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import audit, terms
from cloudweb.domain.identity import Identity
from cloudweb.models import Terms, TermsText, TermsTranslation

NAMES = {
    "bg": "Български",
    "ca": "Català",
    "cs": "Čeština",
    "da": "Dansk",
    "de": "Deutsch",
    "el": "Ελληνικά",
    "en": "English",
    "es": "Español",
    "et": "Eesti",
    "fi": "Suomi",
    "fr": "Français",
    "hr": "Hrvatski",
    "hu": "Magyar",
    "it": "Italiano",
    "lt": "Lietuvių",
    "lv": "Latviešu",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "ro": "Română",
    "sk": "Slovenčina",
    "sl": "Slovenščina",
    "sv": "Svenska",
    "tr": "Türkçe",
}
"""Languages, as they call themselves."""


def name(language: str) -> str:
    """A language as it calls itself; its code where that is not known."""
    return NAMES.get(language, language)


def list_of(session: Session, found: Terms) -> Mapping[str, TermsTranslation]:
    """The translations of a version, by language; one statement."""
    query = sa.select(TermsTranslation).where(TermsTranslation.terms_id == found.id)
    return {row.language: row for row in session.scalars(query.order_by(TermsTranslation.language))}


def digests(session: Session, found: Terms) -> set[str]:
    """The hashes of all texts of a version."""
    return {found.text_digest, *(row.text_digest for row in list_of(session, found).values())}


def text_of(session: Session, found: Terms, translation: TermsTranslation | None) -> str:
    """The text in that language; the original where there is none."""
    if translation is None:
        return terms.text_of(session, found)
    return session.get_one(TermsText, translation.text_digest).text


def translate(
    session: Session, identity: Identity, terms_id: int, language: str, *, text: str, summary: str
) -> Terms:
    """Keep what a draft is called and says in a language; with no text, that it has none.

    Raises ItemNotFound, BadRequest, and Conflict for what is published.
    """
    draft = terms.lock_draft(session, terms_id)
    known = session.get(TermsTranslation, (draft.id, language))
    before, after = known.text_digest if known is not None else "", ""
    if text.strip():
        text, summary = terms.checked(text, summary)
        after = terms.keep(session, text)
        if known is None:
            known = TermsTranslation(terms_id=draft.id, language=language)
            session.add(known)
        known.text_digest, known.summary = after, summary
    elif known is not None:
        session.delete(known)
    draft.version += 1
    audit.record(
        *(session, identity, "terms:translate", "terms", draft.id),
        language=language,
        before=before,
        after=after,
    )
    return draft


def copy(session: Session, origin: Terms, draft: Terms) -> None:
    """Give a draft the translations of another version."""
    session.add_all(
        TermsTranslation(
            terms_id=draft.id,
            language=row.language,
            text_digest=row.text_digest,
            summary=draft.summary,
        )
        for row in list_of(session, origin).values()
    )


def missing(session: Session, found: Terms, languages: Sequence[str]) -> list[str]:
    """Into which of these languages, of which the first is the original's, it is not translated."""
    there = list_of(session, found)
    return [language for language in languages[1:] if language not in there]
