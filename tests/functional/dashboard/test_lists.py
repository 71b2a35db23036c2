"""The one list: filtering, sorting, paging and exporting, whatever it is a list of."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.domain import dead_letters, identity
from cloudweb.domain import servers as server_acts
from cloudweb.domain.dead_letters import Letter
from cloudweb.models import Node, OperState, Role, SessionFactory, unit_of_work

LISTS = ("vms", "backends", "operations", "users", "queues/letters", "nodes")


@pytest.fixture
def servers(
    make_server: Callable, make_user: Callable, make_backend: Callable, make_flavor: Callable
) -> list[Any]:
    """Seven servers of three owners on two backends, in pairs alike."""
    people = [make_user(email=f"{name}@example.org") for name in ("ann", "bob", "cem")]
    backends, small, large = (
        [make_backend(), make_backend()],
        make_flavor(),
        make_flavor(ram_mb=4096),
    )
    names = ["web", "web", "mail", "mail", "wiki", "=1+1", "old"]
    return [
        make_server(
            name=name,
            owner=people[n % 3],
            backend=backends[n % 2],
            flavor=(small, large)[n == 4],
            state=OperState.STOPPED if n % 3 == 0 else OperState.STARTED,
            node=None if n % 2 else f"node{n}",
            deleted=name == "old",
        )
        for n, name in enumerate(names)
    ]


@pytest.fixture
def all_kinds(sessions: SessionFactory, servers: list[Any]) -> None:
    """A node, a dead letter and an operation beside the servers."""
    facts = {"node_group": "default", "drained": False, "offline": False, "vm_capable": True}
    sizes = {"memory_total_mb": 8, "memory_free_mb": 4, "disk_total_mb": 9, "disk_free_mb": 9}
    counts = {"cpus": 8, "primaries": 1, "secondaries": 0}
    with unit_of_work(sessions) as session:
        node = {"backend_id": servers[0].backend_id, "name": "node1.example.org"}
        session.add(Node(**node, **facts, **sizes, **counts))
        letter = Letter("0" * 36, "snf-events-op", "key", b"{", "It is no JSON.")
        dead_letters.keep(session, [letter])
        server_acts.shutdown(session, identity.system("cli"), servers[1].id)


def _ids(page: webtest.TestResponse) -> list[int]:
    return [int(row["id"].rpartition("-")[2]) for row in page.html.select("tbody tr")]


@pytest.mark.parametrize("name", LISTS)
def test_every_list_searches_filters_sorts_and_exports_each_of_its_columns(
    name: str, app: webtest.TestApp, sign_in: Callable, all_kinds: None
) -> None:
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/{name}?q=e&filter={'name!=x' if name == 'nodes' else 'id>0'}")
    headings = page.html.select("thead th a") or app.get(f"/admin/{name}").html.select("thead th a")
    assert len(headings) > 3
    for heading in headings:
        app.get(heading["href"], status=200)
    rows = app.get(f"/admin/{name}.json").json
    text = app.get(f"/admin/{name}.csv").text
    assert len(list(csv.DictReader(io.StringIO(text)))) == len(rows)
    assert "GET /admin/" in page.html.footer.text


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("filter=ram>=2048", [4]),
        ("filter=owner~ANN", [0, 3]),
        ("filter=owner~ann,name!=web", [3]),
        ("state=STOPPED&q=mail", [3]),
        ("filter=deleted=yes", [6]),
        ("deleted=any&q=o", [0, 1, 2, 3, 4, 5, 6]),
        ("filter=node=", [1, 3, 5]),
        ("filter=name=%22=1%2B1%22", [5]),
    ],
)
def test_filters_choose_in_the_language_of_filters(
    query: str,
    wanted: list[int],
    app: webtest.TestApp,
    sign_in: Callable,
    servers: list[Any],
) -> None:
    sign_in()
    assert _ids(app.get(f"/admin/vms?{query}")) == [servers[n].id for n in wanted]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("colour=blue", "There is no filter 'colour' here; there are: id, name, state"),
        ("filter=colour=blue", "There is no field 'colour' here"),
        ("filter=ram>=lots", "ram: 'lots' is not a number"),
        ("filter=%21%21", "cannot be read at"),
        ("state=FINE", "is none of: ACTIVE"),
        ("sort=-colour", "There is no field 'colour' here"),
    ],
)
def test_what_cannot_be_asked_is_said_and_nothing_is_shown(
    query: str, sentence: str, app: webtest.TestApp, sign_in: Callable, servers: list[Any]
) -> None:
    sign_in()
    page = app.get(f"/admin/vms?{query}", status=400)
    assert sentence in page.html.main.text
    assert page.html.select("tbody") == []
    app.get(f"/admin/vms.csv?{query}", status=400)


def test_each_comparison_is_a_chip_of_its_own(
    app: webtest.TestApp, sign_in: Callable, servers: list[Any]
) -> None:
    sign_in()
    page = app.get('/admin/vms?filter=ram>=1,name="web"&state=STOPPED')
    chips = [chip.contents[0] for chip in page.html.select(".filters a")]
    assert chips == ["State: Stopped", "ram>=1", "name=web", "Deleted: no"]
    page = page.click("ram&gt;=1")
    assert "filter=name%3Dweb" in page.request.url
    page = page.click("Deleted: no")
    assert "Deleted" not in page.html.select_one(".count").text


@pytest.mark.parametrize("sort", ["name,-owner", "-node,name", "node", "-created", "state,-ram"])
def test_pages_by_any_keys_show_each_row_once(
    sort: str, app: webtest.TestApp, sign_in: Callable, make_server: Callable, servers: list[Any]
) -> None:
    for n in range(30):
        make_server(name=f"n{n % 4}", node=None if n % 3 else f"x{n % 5}", **_like(servers[n % 6]))
    sign_in()
    whole = [row["id"] for row in app.get(f"/admin/vms.json?sort={sort}").json]
    page = app.get(f"/admin/vms?per_page=25&sort={sort}")
    paged = _ids(page) + _ids(page.click("Next page"))
    assert paged == whole
    assert len(set(paged)) == 36


def _like(server: Any) -> dict[str, Any]:
    return {
        "owner": type("Owner", (), {"user": type("User", (), {"id": server.user_id})}),
        "backend": type("Backend", (), {"id": server.backend_id}),
        "flavor": type("Flavor", (), {"id": server.flavor_id}),
    }


def test_a_heading_sorts_then_turns_round_and_says_so(
    app: webtest.TestApp, sign_in: Callable, servers: list[Any]
) -> None:
    sign_in()
    page = app.get("/admin/vms").click("Owner", index=0)
    assert page.html.select_one("[aria-sort]").text.strip() == "Owner"
    assert page.html.select_one("[aria-sort]")["aria-sort"] == "ascending"
    page = page.click("^Owner")
    assert page.html.select_one("[aria-sort]")["aria-sort"] == "descending"
    page = page.click("^Created")
    assert "sort=created%2C-owner" in page.request.url


def test_a_list_shows_the_columns_that_were_chosen(
    app: webtest.TestApp, sign_in: Callable, servers: list[Any]
) -> None:
    sign_in(Role.VIEWER)
    page = app.get("/admin/vms?cols=owner&cols=node")
    assert [th.text.strip() for th in page.html.select("thead th")] == ["VM", "Owner", "Node"]
    rows = list(csv.reader(io.StringIO(page.click("CSV").text)))
    assert rows[0] == ["name", "owner", "node"]


def test_an_export_is_the_whole_filtered_set_and_no_formula(
    app: webtest.TestApp, sign_in: Callable, servers: list[Any]
) -> None:
    sign_in()
    page = app.get("/admin/vms?filter=name!=wiki&sort=-id&per_page=25")
    response = page.click("CSV")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment; filename=" in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["id"] for row in rows] == [str(servers[n].id) for n in (5, 3, 2, 1, 0)]
    assert rows[0]["name"] == "'=1+1"
    told = page.click("JSON").json
    assert told[0]["name"] == "=1+1"
    assert len(told) == 5
    assert app.get("/admin/vms.json?q=nowhere").json == []


@pytest.mark.parametrize("name", LISTS)
def test_files_are_only_for_those_who_see_the_list(name: str, app: webtest.TestApp) -> None:
    assert "/admin/login" in app.get(f"/admin/{name}.csv", status=303).location


def test_an_empty_list_says_which_filter_keeps_how_much_away(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable
) -> None:
    for name in ("web-1", "web-2", "mail"):
        make_server(name=name)
    sign_in()
    page = app.get("/admin/vms?q=web&state=ERROR&filter=ram<1000000,name~web")
    empty = page.html.select_one(".empty")
    assert "2 match without State: Error." in " ".join(empty.text.split())
    assert [link.text for link in empty.select("a")][1:] == ["see all VMs"]
    page = app.get(empty.find("a")["href"])
    assert len(page.html.select("tbody tr")) == 2
    page = app.get("/admin/vms?q=nowhere&state=ERROR")
    assert "match without" not in page


def test_a_list_has_something_to_say_when_it_is_empty(
    app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in()
    assert "There is no VM yet" in app.get("/admin/vms")
    page = app.get("/admin/vms?q=x&filter=ram>1")
    assert "No VM matches these 3 filters together" in page.html.main.text
    page = app.get("/admin/backends?offline=yes")
    assert "No backend matches this filter" in page.html.main.text
