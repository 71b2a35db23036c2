"""The files of each list are its page: the same rows in the same order, each column's own value."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
import webtest

from cloudweb.spreadsheets import cell
from tests.browser.soundness import Part, read
from tests.browser.test_every_page import expression
from tests.browser.writing import moved, write

pytestmark = pytest.mark.slow

MATRICES = {"/admin/flavors"}
"""Lists that have columns of their own, by what there is."""


@pytest.fixture
def app(dashboard: Any, world: Any) -> webtest.TestApp:
    """The application, asked by the administrator."""
    app = webtest.TestApp(dashboard)
    app.set_cookie("cloudweb", world.cookie)
    return app


@pytest.fixture
def lists(dashboard: Any, world: Any) -> dict[str, list[str]]:
    """The name of each list that can be had as a file, and the paths it is at."""
    found = dashboard.registry.introspector.get_category("routes")
    patterns = {each["introspectable"]["name"]: each["introspectable"]["pattern"] for each in found}
    paths = {path.partition("?")[0] for path in world.pages.values()}
    return {
        name: sorted(path for path in paths if re.fullmatch(expression(patterns[name]), path))
        for each in patterns
        if each.endswith(".export") and (name := each.removesuffix(".export"))
    }


def test_every_list_and_its_files_have_the_same_rows_and_columns(
    app: webtest.TestApp, lists: dict[str, list[str]]
) -> None:
    wrong = {}
    for name, paths in lists.items():
        path = next((path for path in paths if app.get(f"{path}.json").json), "")
        if not path:
            wrong[name] = ["give it a row in the world, and a page in World.pages"]
        elif found := [*differing(app, path)]:
            wrong[name] = found
    assert wrong == {}
    assert len(lists) > 20


def differing(app: webtest.TestApp, path: str) -> Iterator[str]:
    """What the page of a list and its two files do not agree on."""
    all_of_it = "?show=all" if path in MATRICES else ""
    rows = app.get(f"{path}.json{all_of_it}").json
    names = [*rows[0]]
    lines = list(csv.reader(io.StringIO(app.get(f"{path}.csv{all_of_it}").text, newline="")))
    if lines != [names, *([cell(value) for value in row.values()] for row in rows)]:
        yield f"CSV has other lines than JSON: {lines[:2]}"
    chosen = "&".join(f"cols={name}" for name in names[1:])
    page = read(app.get(f"{path}{all_of_it or f'?view=all&per_page=200&{chosen}'}").text)
    table = next(page.all("table"))
    shown = [cells_of(row) for body in table.all("tbody") for row in body.all("tr")]
    if len(shown) != len(rows):
        yield f"{len(shown)} rows on the page, {len(rows)} in the files"
    offered = [each.own["value"] for each in page.all("input") if each.own.get("name") == "cols"]
    if offered and [names[0], *offered] != names:
        yield f"the page offers {offered}, the files have {names}"
    for place, name in enumerate(names):
        pairs = [
            (row[name], part)
            for row, cells in zip(rows, shown, strict=False)
            for n, part in enumerate(cells)
            if (n == place if offered else part.own["data-label"] == name)
        ]
        yield from (f"{name}: {each}" for each in unlike(pairs))


def cells_of(row: Part) -> list[Part]:
    """The cells of a row but the box it is chosen by."""
    return [cell for cell in row.parts if "choose" not in cell.own.get("class", "")]


def unlike(pairs: list[tuple[Any, Part]]) -> Iterator[str]:
    """Values that their cells neither say nor have the same words for wherever they are."""
    words: dict[str, str] = {}
    for value, part in pairs:
        if value in (None, "", []) or says(part, value):
            continue
        seen = words.setdefault(str(value), part.text)
        if not part.text or not (seen.startswith(part.text) or part.text.startswith(seen)):
            yield f"{value!r} is {seen!r} and {part.text!r}"
    if len(set(words)) > 2 and len(set(words.values())) == 1:
        yield f"{list(words)} are all {part.text!r}"


def says(part: Part, value: Any) -> bool:
    """Whether a cell has this value in words, digits, or as a time."""
    if isinstance(value, bool):
        return part.text == ("yes" if value else "no")
    if isinstance(value, list):
        return all(says(part, each) for each in value)
    times = [each.own["datetime"][:19] for each in part.all("time")]
    if isinstance(value, str) and value[:19] in times:
        return True
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return " ".join(text.split()).casefold() in part.text.casefold()


def test_no_cell_of_any_file_is_a_formula_whatever_somebody_wrote(
    app: webtest.TestApp, world: Any, lists: dict[str, list[str]]
) -> None:
    starts = ("=", "+", "-", "@", "\t", "\r", "\n")

    def formula(_column: str, row: int, length: int) -> str:
        return (starts[row % len(starts)] + f"{row}+cmd|' /C calc'!A0")[:length]

    became, run, held = write(world.sessions, formula), [], 0
    for path in (path for paths in lists.values() for path in paths):
        text = app.get(f"{moved(path, became)}.csv").text
        for each in (each for line in csv.reader(io.StringIO(text, newline="")) for each in line):
            held += each.startswith(tuple(f"'{start}" for start in starts))
            if each.startswith(starts) and not re.fullmatch(r"-?[\d.]+", each):
                run.append(f"{path}: {each[:60]!r}")
    assert run == []
    assert held > 100
