"""Puts values back into the form of a page that is drawn already, whichever page it is."""

import dataclasses
import html
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from urllib.parse import urlsplit

from cloudweb.domain.held_forms import Held, is_secret

_KEPT_HIDDEN = ("seen", "was")
"""Hidden fields that say what somebody had before them: the form still speaks of that."""
_UNFILLED = ("password", "file", "submit", "button", "image", "reset")

Attributes = Sequence[tuple[str, str | None]]


@dataclasses.dataclass(slots=True)
class _Control:
    """Something of a form: where its tag is in the page, and for a textarea where its text is."""

    kind: str
    name: str
    attributes: Attributes
    start: int
    end: int
    text: str = ""
    close: int = 0


@dataclasses.dataclass(slots=True)
class _Form:
    action: str
    id: str
    controls: list[_Control] = dataclasses.field(default_factory=list)


class _Reader(HTMLParser):
    """Finds the forms that are sent by POST, and what is in them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self._lines = [0]
        for line in page.split("\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)
        self.forms: list[_Form] = []
        self._within: _Form | None = None
        self._open: _Control | None = None
        self._select = ""
        self._elsewhere: list[tuple[str, _Control]] = []
        self.feed(page)
        self.close()
        for form_id, control in self._elsewhere:
            for form in self.forms:
                if form.id == form_id:
                    form.controls.append(control)

    def _here(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._within = None
            if known.get("method", "").lower() == "post":
                self._within = _Form(known.get("action", ""), known.get("id", ""))
                self.forms.append(self._within)
        elif tag == "select":
            self._select = known.get("name", "")
        elif tag in ("input", "textarea", "option") and "disabled" not in known:
            kind = known.get("type", "text").lower() if tag == "input" else tag
            name = self._select if tag == "option" else known.get("name", "")
            start, raw = self._here(), self.get_starttag_text() or ""
            control = _Control(kind, name, attrs, start, start + len(raw))
            self._add(control, known.get("form", ""))
            self._open = control if tag != "input" else None

    def _add(self, control: _Control, form_id: str) -> None:
        if form_id:
            self._elsewhere.append((form_id, control))
        elif self._within is not None:
            self._within.controls.append(control)

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._within = None
        elif tag == "select":
            self._select = ""
        if self._open is not None and tag == self._open.kind:
            self._open.close, self._open = self._here(), None


def refill(page: str, held: Held) -> tuple[str, list[tuple[str, str]]]:
    """The page with the form as it was filled in, and the fields for which it has no place."""
    form = _form_of(page, held)
    if form is None:
        return page, list(held.fields)
    values = {name: [v for n, v in held.fields if n == name] for name, _ in held.fields}
    edits = filter(None, [_edit(control, values) for control in form.controls])
    for start, end, text in sorted(edits, reverse=True):
        page = page[:start] + text + page[end:]
    there = {control.name for control in form.controls}
    return page, [(name, value) for name, value in held.fields if name not in there]


def _form_of(page: str, held: Held) -> _Form | None:
    """The form that leads where this one did; of several the one with most of its fields."""
    wanted, names = urlsplit(held.action).path, {name for name, _ in held.fields}
    here = urlsplit(held.page).path
    found = [
        form
        for form in _Reader(page).forms
        if (urlsplit(form.action).path if form.action else here) == wanted
    ]
    return max(found, key=lambda f: len(names & {c.name for c in f.controls}), default=None)


def _edit(control: _Control, values: dict[str, list[str]]) -> tuple[int, int, str] | None:
    """What to put instead of what, for one control; takes the value it uses."""
    name, kind = control.name, control.kind
    if not name or is_secret(name) or kind in _UNFILLED:
        return None
    if kind == "hidden" and name not in _KEPT_HIDDEN:
        return None
    if kind in ("checkbox", "radio", "option"):
        return _choose(control, values)
    if not values.get(name):
        return None
    value = values[name].pop(0)
    if kind == "textarea":
        return control.end, control.close, "\n" + html.escape(value)
    return control.start, control.end, _tag("input", control.attributes, "value", value)


def _choose(control: _Control, values: dict[str, list[str]]) -> tuple[int, int, str] | None:
    if control.kind != "checkbox" and control.name not in values:
        return None
    own = dict(control.attributes).get("value")
    given = own if own is not None else "on"
    tag, word = "input", "checked"
    if control.kind == "option":
        tag, word = "option", "selected"
        given = own if own is not None else control.text.strip()
    chosen = given in values.get(control.name, [])
    return control.start, control.end, _tag(tag, control.attributes, word, None, keep=chosen)


def _tag(
    tag: str, attributes: Attributes, name: str, value: str | None, *, keep: bool = True
) -> str:
    """The start tag again with this attribute, or without it."""
    kept = [(n, v) for n, v in attributes if n != name]
    if keep:
        kept.append((name, value))
    words: Callable[[str, str | None], str] = lambda n, v: (  # noqa: E731
        n if v is None else f'{n}="{html.escape(v)}"'
    )
    return f"<{' '.join([tag, *(words(n, v) for n, v in kept)])}>"
