"""In which language somebody reads the terms of use, and the tabs to the others."""

import dataclasses
from collections.abc import Sequence

from markupsafe import Markup
from pyramid.request import Request

from cloudweb.domain import terms_languages
from cloudweb.models import Terms
from cloudweb.views.markup import render


@dataclasses.dataclass(frozen=True, slots=True)
class Tab:
    """A language, and the page in it."""

    language: str
    name: str
    url: str
    current: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """A version in one language; ``tabs`` are all it is in, and none when that is one."""

    language: str
    digest: str
    summary: str
    body: Markup
    tabs: Sequence[Tab]


def read(request: Request, found: Terms) -> Reading:
    """The version as it was asked for (?lang=), else in the language that who is signed in chose,
    else in one the browser asks for.
    """
    original = request.conf.terms_languages[0]
    there = terms_languages.list_of(request.db, found)
    languages = [original, *(each for each in there if each != original)]
    wanted = request.params.get("lang", "")
    if wanted not in languages and request.identity is not None:
        wanted = request.looks.language
    if wanted not in languages:
        wanted = request.accept_language.lookup(languages, default=original)
    translation = there.get(wanted) if wanted != original else None
    text = terms_languages.text_of(request.db, found, translation)
    return Reading(
        wanted,
        translation.text_digest if translation else found.text_digest,
        translation.summary if translation else found.summary,
        render(text, found.format),
        [_tab(request, each, wanted) for each in languages] if there else [],
    )


def _tab(request: Request, language: str, current: str) -> Tab:
    query = {k: v for k, v in request.GET.items() if k != "lang"} | {"lang": language}
    url = request.current_route_path(_query=query)
    return Tab(language, terms_languages.name(language), url, language == current)
