"""Shapes to bytes and bytes to values, in the caller's notation; with a cache of fragments."""

import collections
import enum
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

import defusedxml
import orjson
from defusedxml.ElementTree import DefusedXMLParser

from cloudweb import faults
from cloudweb.shapes.base import ElementValue, Listing, Shape

XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
MAX_DEPTH = 32
_MAX_ELEMENTS = 2000
_CHUNK = 16_384

Key = TypeVar("Key")


class Notation(enum.StrEnum):
    """How bodies are written; the value is the media type."""

    JSON = "application/json"
    XML = "application/xml"
    ATOM = "application/atom+xml"


SUFFIXES = {".json": Notation.JSON, ".xml": Notation.XML, ".atom": Notation.ATOM}


def negotiate(path: str, accept: str) -> tuple[str, Notation]:
    """The path without its suffix, and the notation: by suffix, else by Accept, else JSON.

    One suffix is taken off: a key that ends in one is written with another. Only the versions,
    whose own names are empty, exist as Atom. Accept is read as the documented API does: in written
    order, without weights.
    """
    for suffix, notation in SUFFIXES.items():
        if path.endswith(suffix if notation is not Notation.ATOM else f"/{suffix}"):
            return path.removesuffix(suffix), notation
    for item in accept.split(","):
        media = item.partition(";")[0].strip().lower()
        if media in (Notation.JSON, Notation.XML, Notation.ATOM):
            return path, Notation(media)
    return path, Notation.JSON


def negotiate_loosely(accept: str) -> Notation:
    """JSON where it will do at all, else XML where that will, else JSON: as the federation has it.

    A weight of 0 rules a type out; other weights count for nothing.
    """
    wanted = set()
    for item in accept.split(","):
        media, _, parameters = item.partition(";")
        weight = re.search(r"\bq\s*=\s*0(\.0*)?\s*(;|$)", parameters.lower())
        if not weight:
            wanted.add(media.strip().lower())
    if wanted & {"*/*", "application/*", Notation.JSON.value}:
        return Notation.JSON
    return Notation.XML if wanted & {Notation.XML.value, "text/xml"} else Notation.JSON


def dump_json(value: Any) -> bytes:
    """Compact JSON; times as ISO 8601."""
    return orjson.dumps(value)


def render(shape: Shape, row: Any, notation: Notation) -> bytes:
    """One object as a document."""
    if notation is Notation.JSON:
        value = shape.to_json(row)
        return dump_json({shape.name: value} if shape.enveloped else value)
    return (XML_HEAD + shape.to_xml(row, root=True)).encode()


def render_rows(shape: Shape, rows: Iterable[Any], notation: Notation) -> bytes:
    """A list of objects as a document."""
    if notation is Notation.JSON:
        return join(shape, [dump_json(shape.to_json(row)) for row in rows], notation)
    return join(shape, [shape.to_xml(row).encode() for row in rows], notation)


def join(shape: Shape, fragments: Sequence[bytes], notation: Notation) -> bytes:
    """Ready fragments as the document of their list."""
    if notation is Notation.JSON:
        items, form = b",".join(fragments), shape.listing.value.encode()
        return form % (items if shape.listing is Listing.BARE else (shape.plural.encode(), items))
    opening = f"{XML_HEAD}<{shape.plural}{shape.xmlns}>".encode()
    return b"%s%s</%s>" % (opening, b"".join(fragments), shape.plural.encode())


class FragmentCache:
    """Ready-made pieces of lists, at most ``size`` of them, the least lately used going first.

    The key holds the object's version, so a piece is never stale and nothing is invalidated. Whole
    lists are kept too, at most ``whole_bytes`` of them, each with its owner's number.
    """

    def __init__(self, size: int, *, whole_bytes: int = 8 << 20) -> None:
        self._size = size
        self._pieces: collections.OrderedDict[tuple[Any, ...], bytes] = collections.OrderedDict()
        self._whole_bytes = whole_bytes
        self._whole: collections.OrderedDict[Any, tuple[int, bytes]]
        self._whole = collections.OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pieces)

    def document(
        self,
        shape: Shape,
        notation: Notation,
        whose: tuple[Any, int | None],
        versions: Callable[[], Sequence[tuple[Key, int]]],
        load: Callable[[list[Key]], Iterable[Any]],
    ) -> bytes:
        """The list of the objects with these (id, version) pairs; ``load`` reads missing ones.

        ``whose`` is the list's owner and a number, read before, that moves with anything the
        owner's lists show: while it stands still the whole list is the kept one. A loaded row has
        ``id`` and ``version`` of its own: what changed meanwhile is shown as it is now, and kept
        under what it is.
        """
        base = (id(shape), notation)
        owner, number = whose
        kept = self._whole.get((base, owner))
        if kept is not None and number is not None and kept[0] == number:
            return kept[1]
        whole = self._join(base, shape, notation, versions(), load)
        if number is not None:
            self._keep_whole((base, owner), number, whole)
        return whole

    def _join(
        self,
        base: tuple[Any, ...],
        shape: Shape,
        notation: Notation,
        versions: Sequence[tuple[Key, int]],
        load: Callable[[list[Key]], Iterable[Any]],
    ) -> bytes:
        found = [self._pieces.get((base, *pair)) for pair in versions]
        missing = [pair[0] for pair, piece in zip(versions, found, strict=True) if piece is None]
        if missing:
            fresh = {row.id: self._keep(base, shape, notation, row) for row in load(missing)}
            found = [
                piece if piece is not None else fresh.get(pair[0])
                for pair, piece in zip(versions, found, strict=True)
            ]
        self._touch(base, versions)
        return join(shape, [piece for piece in found if piece is not None], notation)

    def _keep_whole(self, slot: Any, number: int, whole: bytes) -> None:
        if len(whole) > self._whole_bytes // 4:
            return  # one such would put out everybody else's
        with self._lock:
            _, replaced = self._whole.pop(slot, (0, b""))
            self._whole[slot] = (number, whole)
            self._held += len(whole) - len(replaced)
            while self._held > self._whole_bytes:
                _, (_, dropped) = self._whole.popitem(last=False)
                self._held -= len(dropped)

    def _keep(self, base: tuple[Any, ...], shape: Shape, notation: Notation, row: Any) -> bytes:
        if notation is Notation.JSON:
            piece = dump_json(shape.to_json(row))
        else:
            piece = shape.to_xml(row).encode()
        self._pieces[base, row.id, row.version] = piece
        return piece

    def _touch(self, base: tuple[Any, ...], versions: Sequence[Any]) -> None:
        # Order only matters once something has to go.
        if len(self._pieces) <= self._size:
            return
        with self._lock:
            for pair in versions:
                key = (base, *pair)
                if key in self._pieces:
                    self._pieces.move_to_end(key)
            while len(self._pieces) > self._size:
                self._pieces.popitem(last=False)


def parse(body: bytes, content_type: str) -> Any:
    """The value of a request body, JSON or XML. Raises BadRequest."""
    media = content_type.partition(";")[0].strip().lower()
    if media == Notation.JSON:
        return json_value(body)
    if media in (Notation.XML, "text/xml"):
        return _parse_xml(body)
    raise faults.BadRequest("Unsupported Content-Type." if media else "Missing Content-Type.")


def json_value(body: bytes) -> Any:
    """The value of a JSON document. Raises BadRequest."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise faults.BadRequest("Invalid JSON data.") from None
    _check_depth(value)
    return value


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise faults.BadRequest("Malformed request", details="It is nested too deeply.")
    if isinstance(value, dict):
        for item in value.values():
            _check_depth(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_depth(item, depth + 1)


class _BoundedTree(TreeBuilder):
    """A tree that is refused as soon as it grows larger or deeper than any request is."""

    def __init__(self) -> None:
        super().__init__()
        self._elements = self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._elements += 1
        self._depth += 1
        if self._elements > _MAX_ELEMENTS or self._depth > MAX_DEPTH:
            raise ValueError("no request has so many elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def xml_root(body: bytes) -> Element:
    """The root element of a document without DTD and entities. Raises BadRequest."""
    parser = DefusedXMLParser(
        target=_BoundedTree(), forbid_dtd=True, forbid_entities=True, forbid_external=True
    )
    try:
        for start in range(0, len(body), _CHUNK):
            parser.feed(body[start : start + _CHUNK])
        root: Element = parser.close()
    except (ParseError, defusedxml.DefusedXmlException, ValueError, LookupError):
        raise faults.BadRequest("Invalid XML data.") from None
    return root


def _parse_xml(body: bytes) -> Any:
    root = xml_root(body)
    return {_tag(root): _element(root)}


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _element(element: Element, depth: int = 0) -> Any:
    """An element as JSON would have it: attributes and child elements are keys.

    ``<meta key="…">text</meta>``, or children that all are such, are a mapping; those of a
    personality are a list of files, each with its text as ``contents``; several children of one
    name, and nothing else, are a list under it.
    """
    if depth > MAX_DEPTH:
        raise faults.BadRequest("Malformed request", details="It is nested too deeply.")
    children = list(element)
    if _tag(element) == "personality":
        return [_file(child) for child in children]
    if _tag(element) == "meta" and not children:
        return _keyed([element])
    if children and all(_tag(child) == "meta" for child in children):
        return _keyed(children)
    value = ElementValue({name.rpartition("}")[2]: text for name, text in element.items()})
    if len(children) > 1 and not value and len({_tag(child) for child in children}) == 1:
        return ElementValue({_tag(children[0]): [_element(child, depth + 1) for child in children]})
    for child in children:
        if _tag(child) in value:
            raise faults.BadRequest("Malformed request", details=f"{_tag(child)[:50]} comes twice.")
        value[_tag(child)] = _element(child, depth + 1)
    return value


def _file(element: Element) -> dict[str, str]:
    if _tag(element) != "file" or len(element):
        raise faults.BadRequest("Malformed personality in request", details="It holds files only.")
    return {**element.attrib, "contents": (element.text or "").strip()}


def _keyed(elements: Sequence[Element]) -> dict[str, str]:
    value = {each.get("key", ""): each.text or "" for each in elements}
    if len(value) != len(elements) or any(len(each) for each in elements):
        raise faults.BadRequest("Malformed request", details="Each key is to come once, with text.")
    return value
