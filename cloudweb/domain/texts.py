"""What a text may hold to be shown on one line, in a terminal, a page or XML."""

import unicodedata

from cloudweb import faults

_NOT_IN_XML = frozenset("\ufffe\uffff")


def readable(text: str) -> bool:
    """Whether a text can be shown on one line and written in XML: no control characters."""
    return not any(unicodedata.category(c) in ("Cc", "Cs") or c in _NOT_IN_XML for c in text)


def reason(text: str) -> str:
    """A reason as it is kept. Raises BadRequest when there is none, or no line of at most 255."""
    text = text.strip()
    if not text or len(text) > 255 or not readable(text):
        raise faults.BadRequest(
            "A reason is required.", details={"reason": "Say why, in a line of at most 255."}
        )
    return text


def shown(text: str, instead: str = "\N{REPLACEMENT CHARACTER}") -> str:
    """A text of many lines as it is kept and shown: another for what ``readable`` refuses."""
    return "".join(c if readable(c) or c in "\n\t" else instead for c in text)
