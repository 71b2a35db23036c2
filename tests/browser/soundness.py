"""What HTML asks of a page that no browser complains of: nesting, names, tables, references."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
DRAWN = {"circle", "line", "path", "polygon", "polyline", "rect", "stop", "use"}
"""Parts of a picture, which may end themselves."""
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BLOCKS = {"p", "div", "ul", "ol", "dl", "table", "form", "section", "fieldset", "pre"}
LINES = {"p", *HEADINGS, "button", "label", "a", "span", "code", "pre", "summary", "caption"}
NOT_IN = {
    **dict.fromkeys(LINES, BLOCKS | set(HEADINGS)),
    "summary": BLOCKS,
    "a": BLOCKS | {"a", "button", "input", "select"},
    "button": BLOCKS | {"a", "button", "input", "select"},
    "label": BLOCKS | {"label"},
    "form": {"form"},
}
"""What is never inside of what."""
ONLY_IN = {
    "caption": {"table"},
    "dd": {"dl", "div"},
    "dt": {"dl", "div"},
    "legend": {"fieldset"},
    "li": {"ul", "ol"},
    "option": {"select", "optgroup", "datalist"},
    "summary": {"details"},
    "td": {"tr"},
    "th": {"tr"},
    "tr": {"thead", "tbody"},
}
ONLY_HAS = {"ul": {"li"}, "ol": {"li"}, "tr": {"td", "th"}, "dl": {"dt", "dd", "div"}}
NAMES = ("for", "form", "list", "headers", "popovertarget", "aria-labelledby")
NAMES += ("aria-describedby", "aria-controls", "aria-owns", "aria-details")
"""Attributes that name others by their ids."""
TOLD = {"a", "button", "summary", "legend", "option", "label", "caption", "title", "h1", "th"}
FIELDS = {"input", "select", "textarea"}
TONES = {"ok", "warn", "crit", "idle", "busy"}


@dataclasses.dataclass(eq=False)
class Part:
    """An element: what it is, what it is in, and what is in it."""

    tag: str
    own: dict[str, str]
    above: "Part | None"
    inside: list["Part | str"] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        own = " ".join(f"{name}={value!r}" for name, value in self.own.items())
        return f"<{self.tag} {own}>{self.text[:40]}"

    @property
    def parts(self) -> list["Part"]:
        """The elements in it, without what is in those."""
        return [part for part in self.inside if isinstance(part, Part)]

    def all(self, *tags: str) -> Iterator["Part"]:
        """What is in it, in order: all, or of these tags."""
        for part in self.parts:
            if not tags or part.tag in tags:
                yield part
            yield from part.all(*tags)

    def outer(self) -> Iterator["Part"]:
        """What it is in, from the inside."""
        part = self.above
        while part is not None:
            yield part
            part = part.above

    @property
    def text(self) -> str:
        """What it says."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for part in self.inside:
            if isinstance(part, str):
                yield part
            else:
                yield from part._texts()

    @property
    def said(self) -> bool:
        """Whether it says anything, to the eye or to the ear."""
        return bool(self.own.get("aria-label") or self.own.get("aria-labelledby") or self.text)


class _Reader(HTMLParser):
    """Makes parts of HTML; remembers what is opened and not closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.at = self.top = Part("", {}, None)
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attributes}
        part = Part(tag, own, self.at)
        if len(own) < len(attributes):
            self.wrong.append(f"an attribute twice: {part}")
        self.at.inside.append(part)
        if tag not in VOID:
            self.at = part

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.wrong += [] if tag in DRAWN else [f"does not end: {self.at}"]
            self.at = self.at.above or self.top

    def handle_endtag(self, tag: str) -> None:
        if self.at.tag != tag:
            self.wrong.append(f"</{tag}> in {self.getpos()} ends {self.at}")
        self.at = self.at.above or self.top

    def handle_data(self, data: str) -> None:
        self.at.inside.append(data)


def read(html: str) -> Part:
    """A page, in parts."""
    return _read(html).top


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


def faults_of(html: str) -> list[str]:
    """What is wrong with this page, each in a line."""
    reader = _read(html)
    if reader.at is not reader.top:
        reader.wrong.append(f"is never closed: {reader.at}")
    page = reader.top
    rules = (_head, _nesting, _ids, _tables, _names, _chips)
    return [*reader.wrong[:3], *(each for rule in rules for each in rule(page))]


def _head(page: Part) -> Iterator[str]:
    for tag in ("html", "title", "h1", "main"):
        those = [part for part in page.all(tag) if tag != "title" or part.above.tag == "head"]
        if len(those) != 1 or not those[0].text:
            yield f"{len(those)} <{tag}>, or an empty one"
    if not all(part.own.get("lang") for part in page.all("html")):
        yield "it does not say in which language it is"
    levels = [int(part.tag[1]) for part in page.all(*HEADINGS)]
    for above, below in itertools.pairwise(levels):
        if below > above + 1:
            yield f"<h{below}> after <h{above}>"


def _nesting(page: Part) -> Iterator[str]:
    for part in page.all():
        for outer in part.outer():
            if part.tag in NOT_IN.get(outer.tag, ()):
                yield f"in {outer}: {part}"
        above = part.above.tag if part.above else ""
        if above not in ONLY_IN.get(part.tag, {above}) or part.tag not in ONLY_HAS.get(
            above, {part.tag}
        ):
            yield f"directly in <{above}>: {part}"


def _ids(page: Part) -> Iterator[str]:
    ids = Counter(part.own["id"] for part in page.all() if "id" in part.own)
    yield from (f"the id {name!r} {n} times" for name, n in ids.items() if n > 1 or not name)
    for part in page.all():
        named = [name for each in NAMES for name in part.own.get(each, "").split()]
        if part.own.get("type") == "hidden":  # it waits for a form that comes with the first row
            named = []
        for name in ("href", "hx-target"):
            named += [part.own[name][1:]] if part.own.get(name, "")[:1] == "#" else []
        if missing := set(named) - set(ids):
            yield f"names {', '.join(sorted(missing))}, which is not there: {part}"


def _tables(page: Part) -> Iterator[str]:
    tables = list(page.all("table"))
    called = Counter(part.text for table in tables for part in table.all("caption"))
    yield from (f"{n} tables are called {text!r}" for text, n in called.items() if n > 1)
    for table in tables:
        if [part.tag for part in table.parts].count("caption") != 1:
            yield f"not one caption: {table}"
        for head in table.all("th"):
            if head.own.get("scope") not in ("col", "row", "colgroup", "rowgroup"):
                yield f"a heading of what? {head}"
        widths = {
            sum(int(cell.own.get("colspan", 1)) for cell in row.parts) for row in table.all("tr")
        }
        if len(widths) > 1 and not any("rowspan" in part.own for part in table.all()):
            yield f"rows of {sorted(widths)} cells: {table}"


def _names(page: Part) -> Iterator[str]:
    labelled = {part.own["for"] for part in page.all("label") if "for" in part.own and part.said}
    for part in page.all():
        if part.tag in FIELDS and part.own.get("type") != "hidden":
            inside = any(outer.tag == "label" and outer.said for outer in part.outer())
            if not (part.own.get("id") in labelled or inside or part.said):
                yield f"a field without a label: {part}"
            if not {"name", "readonly"} & set(part.own):
                yield f"a field that is not sent: {part}"
        elif (part.tag in TOLD or part.own.get("role") == "img") and not part.said:
            yield f"nothing is said of it: {part}"
        elif part.tag == "img" and "alt" not in part.own:
            yield f"no words for who does not see it: {part}"
        elif part.tag == "fieldset" and "legend" not in [each.tag for each in part.parts]:
            yield f"no legend: {part}"


def _chips(page: Part) -> Iterator[str]:
    """A state is told by an icon, a word and a tone, never by its colour alone."""
    icons = {f"#{part.own['id']}" for part in page.all("symbol")}
    for part in page.all():
        classes = part.own.get("class", "").split()
        if "chip" not in classes or part.tag == "a":  # which leads elsewhere, and is no state
            continue
        used = {each.own.get("href", "") for each in part.all("use")}
        if len(TONES & set(classes)) != 1 or not used or used - icons or not part.text:
            yield f"a state without an icon, a word or a tone: {part}"
