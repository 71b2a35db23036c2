"""Writes docs/api/*.md from what the views declare, with examples made by running them.

With --check nothing is written: the exit status is 1 if a page is not what would be written.
"""

import contextlib
import difflib
import inspect
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from http.client import responses
from pathlib import Path
from typing import Any
from xml.dom import minidom

import webtest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cloudweb import openapi  # noqa: E402
from cloudweb.app import make_app, session_factory  # noqa: E402
from cloudweb.models import migrations  # noqa: E402
from cloudweb.openapi.places import Place  # noqa: E402
from cloudweb.openapi.schemas import request_schema  # noqa: E402
from cloudweb.settings import Secret, Settings  # noqa: E402
from cloudweb.shapes.base import Shape  # noqa: E402
from cloudweb.views.endpoints import Endpoint  # noqa: E402
from cloudweb.wire import Notation  # noqa: E402
from tests.fake_region import FakeCloud  # noqa: E402
from tests.functional.conformance import dialects  # noqa: E402
from tests.functional.conformance.calls import NOTATIONS, body_of, call, url_of  # noqa: E402
from tests.functional.conformance.dialects import DIALECTS  # noqa: E402
from tests.functional.conformance.rows import row_of  # noqa: E402
from tests.functional.conformance.world import REGION, World  # noqa: E402

PAGES = ROOT / "docs" / "api"
WRITTEN_BY_HAND = {"README.md"}
HEAD = "<!-- Made by `make docs` from the declarations in cloudweb/views; do not edit. -->\n"
TIME = re.compile(r"20[2-9]\d-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECRETS = re.compile(r'((?:adminPass|password|token)"?[:=] ?")[^"]*')
EVERYWHERE = {"federation": "README.md#the-federation"}
"""Where it is said what holds for every call, unless at the beginning."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
SHOWN_HEADERS = ("Content-Type", "Location", "X-Image-Meta-", "X-Cloudweb-")
SECRET_HEADERS = ("X-Auth-Token-KeyStone",)


class Examples:
    """Calls endpoints on an empty database each, and writes down what was said."""

    def __init__(self, directory: str, cloud: FakeCloud) -> None:
        self.cloud = cloud
        url = f"sqlite:///{directory}/reference.sqlite"
        migrations.upgrade(url)
        settings = Settings(
            database_url=Secret(url),
            secret_key=Secret("Y2xvdWR3ZWItdGVzdHMtMzItYnl0ZXMta2V5LTAwMDA="),
            public_url="https://cloud.example.org",
            instance_os="noop+default",
            stats_url="https://stats.example.org/{server}/{graph}.png",
            stats_secret=Secret("reference"),
        )
        self.sessions = session_factory(settings)
        self.app = webtest.TestApp(make_app(settings, sessions=self.sessions))

    def of(self, place: Place, endpoint: Endpoint) -> Iterator[str]:
        """A request and its answer in each notation in which they differ."""
        silent = endpoint.takes is None and endpoint.gives is None
        for notation in NOTATIONS[:1] if silent else NOTATIONS:
            yield from self._one(place, endpoint, notation)

    def _one(self, place: Place, endpoint: Endpoint, notation: Notation) -> Iterator[str]:
        world = World(self.sessions, cloud=self.cloud)
        reached = row_of(place.resource, endpoint.method).reach(world)
        url = url_of(place, reached, notation)
        body = body_of(place, endpoint, reached, notation)
        asked = dialects.of(place).headers(notation)
        answer = call(
            self.app,
            endpoint.method,
            url,
            token=world.owner_token,
            notation=notation,
            body=body,
            headers=asked | dict(reached.headers),
        )
        if answer.status_code != endpoint.status:
            raise SystemExit(f"{endpoint.method} {url}: {answer.status} {answer.text}")
        said = [f"{endpoint.method} {url}"]
        said += ["X-Auth-Token: …"] if endpoint.needs_token else []
        for name, value in (asked | dict(reached.headers)).items():
            said.append(f"{name}: {'…' if name in SECRET_HEADERS else value}")
        said += [f"Content-Type: {notation.value}", "", pretty(body)] if body else []
        heard = [f"{answer.status_code} {responses[answer.status_code]}"]
        heard += [f"{k}: {v}" for k, v in answer.headers.items() if k.startswith(SHOWN_HEADERS)]
        heard += ["", answer.text if endpoint.text else pretty(answer.body)] if answer.body else []
        yield "```http\n" + steady("\n".join(said)) + "\n```\n"
        yield "```http\n" + steady("\n".join(heard)) + "\n```\n"


def pretty(body: bytes) -> str:
    """A body over several lines."""
    if body.startswith(b"<"):
        document = minidom.parseString(body)
        if not body.startswith(b"<?xml"):
            return str(document.documentElement.toprettyxml(indent="  ")).rstrip()
        return document.toprettyxml(indent="  ", encoding="UTF-8").decode().rstrip()
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False)


def steady(text: str) -> str:
    """The text with what differs from run to run made the same."""
    text = TIME.sub(
        lambda m: f"2026-01-02{m[1]}03:04:05{'.678901' if m[2] else ''}{m[3] or ''}", text
    )
    for number, uuid in enumerate(dict.fromkeys(UUID.findall(text)), 1):
        text = text.replace(uuid, f"00000000-0000-4000-8000-{number:012}")
    return SECRETS.sub(r"\1…", text)


# --- what is declared


def page(tag: str, found: list[tuple[Place, list[str], Endpoint]], examples: Examples) -> str:
    """The page of one module of views."""
    module = sys.modules[found[0][2].view.__module__]
    title, _, rest = (inspect.getdoc(module) or tag).partition("\n")
    lines = [HEAD, f"# {title.rstrip('.')}\n"]
    lines += [rest.strip() + "\n"] if rest.strip() else []
    everywhere = EVERYWHERE.get(found[0][0].route, "README.md")
    lines += [f"[What holds for every call]({everywhere})\n", "| method | URL | |", "|---|---|---|"]
    for place, _, e in found:
        anchor = re.sub(r"[^\w -]", "", f"{e.method} {place.path}".lower()).replace(" ", "-")
        lines.append(f"| {e.method} | [`{place.path}`](#{anchor}) | {e.summary} |")
    lines.append("")
    for place, others, endpoint in found:
        lines += section(place, others, endpoint, examples)
    return "\n".join(lines).rstrip() + "\n"


def section(
    place: Place, others: list[str], endpoint: Endpoint, examples: Examples
) -> Iterator[str]:
    yield f"## {endpoint.method} `{place.path}`\n"
    yield f"{endpoint.summary}\n"
    further = inspect.getdoc(endpoint.view).partition("\n")[2].strip()  # type: ignore[union-attr]
    if further:
        yield further + "\n"
    if others:
        yield "Also at " + ", ".join(f"`{path}`" for path in others) + ".\n"
    yield from parameters(place, endpoint)
    if endpoint.takes is not None:
        yield "| in the body | |\n|---|---|"
        yield from (f"| {name} | {text} |" for name, text in fields(request_schema(endpoint.takes)))
        yield ""
    yield "| status | |\n|---|---|"
    yield from statuses(endpoint)
    yield ""
    yield from examples.of(place, endpoint)


def parameters(place: Place, endpoint: Endpoint) -> Iterator[str]:
    rows = [f"| `{p.name}` in the URL | {said(p.schema)} |" for p in place.parameters]
    rows += [f"| `?{q.name}=` | {q.meaning} {said(q.schema)} |" for q in endpoint.queries]
    for header in endpoint.headers:
        wanted = "" if header.required else "; may be left out"
        rows.append(f"| `{header.name}:` | {header.meaning} {said(header.schema)}{wanted} |")
    if rows:
        yield "| parameter | |\n|---|---|"
        yield from rows
        yield ""


def statuses(endpoint: Endpoint) -> Iterator[str]:
    yield f"| {endpoint.status} | {answer_of(endpoint)} |"
    for code, other in endpoint.other.items():
        yield f"| {code} | {f'`{other.name}`' if isinstance(other, Shape) else other} |"
    for fault in sorted(endpoint.refuses, key=lambda fault: (fault.code, fault.name)):
        if fault.code == endpoint.status:
            continue
        yield f"| {fault.code} `{fault.name}` | {fault.sentence} |"
    if endpoint.refuses:
        everywhere = EVERYWHERE.get(endpoint.route, "README.md#refusals")
        yield f"| | and [what any call may meet]({everywhere}) |"


def answer_of(endpoint: Endpoint) -> str:
    if endpoint.status >= 400:
        return "Always."
    if endpoint.text:
        return f"A sentence, as `{endpoint.text}`."
    if endpoint.gives is None:
        note = " Its headers are in the example." if endpoint.answers_headers else ""
        return f"Done; the answer is empty.{note}"
    return f"`{endpoint.gives.plural}`" if endpoint.many else f"`{endpoint.gives.name}`"


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Each field of a body by its dotted name, and what it must be."""
    for choice in schema.get("oneOf", ()):
        yield from fields(choice, path)
    for name, part in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        wanted = name in schema.get("required", ()) or "oneOf" in schema
        if part.get("properties"):
            yield from fields(part, here)
        elif part.get("type") == "array":
            yield f"`{here}`", said(part) + ("" if wanted else "; may be left out")
            yield from fields(part["items"], f"{here}[]")
        else:
            yield f"`{here}`", said(part) + ("" if wanted else "; may be left out")


def said(schema: dict[str, Any]) -> str:
    """What a value must be, in words."""
    if "enum" in schema:
        return " or ".join(f"`{value}`" if value else "nothing" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(said(choice) for choice in schema["anyOf"])
    say = {"object": said_object, "array": said_list, "string": said_text}
    say |= {"integer": said_number, "number": said_number}
    kind = schema.get("type", "")
    if isinstance(kind, list):
        return " or ".join(said(schema | {"type": each}) for each in kind)
    words = {"null": "`null`", "boolean": "`true` or `false`"}
    return say[kind](schema) if kind in say else words.get(kind, "any value")


def said_object(schema: dict[str, Any]) -> str:
    values = schema.get("additionalProperties")
    if not values:
        return "an empty object"
    if values is True:
        return "an object"
    names = limits("characters", schema["propertyNames"], "Length")
    most = f", at most {schema['maxProperties']}" if "maxProperties" in schema else ""
    return f"an object{most}: keys{names}, values {said(values)}"


def said_list(schema: dict[str, Any]) -> str:
    return "a list" + limits("items", schema, "Items")


def said_text(schema: dict[str, Any]) -> str:
    if schema.get("maxLength") == 0:
        return "nothing"
    if schema.get("format") == "date-time":
        return "a time in ISO 8601, with its zone"
    if schema.get("pattern") == "^[0-9]+$":
        return "a string of digits"
    return "a string" + limits("characters", schema, "Length")


def said_number(schema: dict[str, Any]) -> str:
    name = {"integer": "a whole number", "number": "a number"}[schema["type"]]
    low, high = schema.get("minimum"), schema.get("maximum")
    span = f" from {low}" if low is not None else ""
    return name + span + (f" to {high}" if high is not None else "")


def limits(unit: str, schema: dict[str, Any], suffix: str) -> str:
    low, high = schema.get(f"min{suffix}", 0), schema.get(f"max{suffix}")
    if high is None:
        return f" of at least {low} {unit}" if low > 1 else ""
    return f" of {low} to {high} {unit}" if low else f" of at most {high} {unit}"


# --- all pages


def pages() -> dict[str, str]:
    """Every page by its file name."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as context:
        cloud = context.enter_context(FakeCloud(REGION))
        examples = Examples(directory, cloud)
        by_tag: dict[str, list[tuple[Place, list[str], Endpoint]]] = {}
        registry = examples.app.app.registry
        described = [d for dialect in DIALECTS for d in openapi.described(registry, dialect.name)]
        for place, others, endpoints in described:
            for endpoint in sorted(endpoints, key=lambda e: METHODS.index(e.method)):
                by_tag.setdefault(openapi.tag(endpoint), []).append((place, others, endpoint))
        made = {f"{t.replace('.', '-')}.md": page(t, f, examples) for t, f in by_tag.items()}
        examples.sessions.dispose()
    return made


def main(arguments: list[str]) -> int:
    made = pages()
    there = {p.name: p.read_text("utf-8") for p in PAGES.glob("*.md")}
    differing = [name for name in made | there if made.get(name) != there.get(name)]
    differing = sorted(set(differing) - WRITTEN_BY_HAND)
    if arguments == ["--check"]:
        for name in differing:
            was, new = (pages.get(name, "").splitlines() for pages in (there, made))
            print(
                "\n".join(difflib.unified_diff(was, new, f"docs/api/{name}", "made", lineterm=""))
            )
        if differing:
            print(f"Not as `make docs` would write them: {', '.join(differing)}")
        return 1 if differing else 0
    PAGES.mkdir(exist_ok=True)
    for name in differing:
        if name in made:
            (PAGES / name).write_text(made[name], encoding="utf-8")
        else:
            (PAGES / name).unlink()
        print(f"Wrote docs/api/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
