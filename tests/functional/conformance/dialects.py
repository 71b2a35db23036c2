"""What differs between the APIs: how a notation is asked for, and what refusals look like."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

import colander

from cloudweb import faults
from cloudweb.openapi.places import Place
from cloudweb.wire import Notation
from tests.functional.conformance import xml_bodies


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A status, and what the answer's body says of it."""

    code: int
    says: str
    read: Callable[[Any, Notation], str]

    def check(self, answer: Any, notation: Notation) -> None:
        """Fails unless this is the answer; one to HEAD has no body."""
        assert answer.status_code == self.code, answer.text
        assert answer.request.method == "HEAD" or self.read(answer, notation) == self.says


@dataclasses.dataclass(frozen=True)
class Dialect:
    """One way of speaking; ``media`` are the content types of its answers."""

    name: str
    suffixes: bool
    """A notation other than JSON is asked for by the URL's suffix, else by Accept."""
    media: Mapping[Notation, str]
    no_token: Refusal
    wrong_method: Refusal
    write_xml: Callable[[colander.SchemaNode, Any], str]

    def suffix(self, notation: Notation) -> str:
        return f".{notation.name.lower()}" if self.suffixes and notation is Notation.XML else ""

    def headers(self, notation: Notation) -> dict[str, str]:
        wanted = not self.suffixes and notation is Notation.XML
        return {"Accept": notation.value} if wanted else {}


def _named(answer: Any, notation: Notation) -> str:
    """The name of a fault, in the notation that was asked for."""
    assert answer.headers["Content-Type"] == notation.value
    if notation is Notation.JSON:
        [name] = json.loads(answer.body)
        return str(name)
    return ElementTree.fromstring(answer.body).tag.rpartition("}")[2]


def _plain(answer: Any, _notation: Notation) -> str:
    """A sentence, whatever notation was asked for."""
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    return str(answer.text)


COMPUTE = Dialect(
    "compute",
    suffixes=True,
    media={notation: notation.value for notation in Notation},
    no_token=Refusal(401, "unauthorized", _named),
    wrong_method=Refusal(400, "badRequest", _named),
    write_xml=xml_bodies.write,
)
FEDERATION = Dialect(
    "federation",
    suffixes=False,
    media={
        Notation.JSON: "application/json",
        Notation.XML: "application/xml; charset=utf-8",
    },
    no_token=Refusal(401, faults.TokenRequired.sentence, _plain),
    wrong_method=Refusal(405, faults.NotAllowed.sentence, _plain),
    write_xml=xml_bodies.write_elements,
)
DIALECTS = (COMPUTE, FEDERATION)


def of(place: Place) -> Dialect:
    """The dialect of a place."""
    return FEDERATION if place.route == FEDERATION.name else COMPUTE
