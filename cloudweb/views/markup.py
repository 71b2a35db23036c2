"""Texts that people wrote, as HTML that can do nothing."""

import re

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

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


def render(text: str, kind: TermsFormat) -> Markup:
    """A text as it is shown: no script, style, form, picture or frame comes through.

    Headings go down by one, as the page around it has the first.
    """
    html = text
    if kind is TermsFormat.MARKDOWN:
        html = MarkdownIt("commonmark").enable("table").render(text)
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
