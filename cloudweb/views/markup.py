"""Texts that people wrote, as HTML that can do nothing."""

import itertools
import re
from collections.abc import Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from cloudweb.models import TermsFormat

_TAGS = frozenset(
    (
        *("a", "abbr", "b", "blockquote", "br", "caption", "code", "dd", "del", "dl", "dt", "em"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "ins", "kbd", "li", "ol", "p", "pre"),
        *("q", "s", "small", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th"),
        *("thead", "tr", "u", "ul"),
    )
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
_SCHEMES = frozenset({"http", "https", "mailto"})
_HEADING = re.compile(r"<(/?)h([1-5])>")


def render(text: str, kind: TermsFormat, *, captions: bool = False) -> Markup:
    """A text as it is shown: no script, style, form, picture or frame comes through.

    Headings go down by one, as the page around it has the first. ``captions`` names each table of
    Markdown, which has no words for that, by the headings of its columns.
    """
    html = text
    if kind is TermsFormat.MARKDOWN:
        html = _markdown(captions=captions).render(text)
    clean = nh3.clean(
        html,
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
    )
    # What nh3 gives out is regular: its headings have no attribute, and < in texts is escaped.
    lowered = _HEADING.sub(lambda m: f"<{m[1]}h{int(m[2]) + 1}>", clean)
    return Markup(lowered)  # noqa: S704  (cleaned just now)


def _markdown(*, captions: bool) -> MarkdownIt:
    """CommonMark with tables."""
    made = MarkdownIt("commonmark").enable("table")
    if captions:
        made.add_render_rule("table_open", _open_table)
    made.add_render_rule("th_open", lambda *_: '<th scope="col">')
    return made


def _open_table(_renderer: RendererHTML, tokens: Sequence[Token], index: int, *_: object) -> str:
    head = itertools.takewhile(lambda token: token.type != "thead_close", tokens[index:])
    words = [made.content for made in head if made.type == "inline"]
    return f"<table><caption>{escape(', '.join(words))}</caption>"
