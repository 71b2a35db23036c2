"""The sizes servers are made with: the list, a page for each, making and withdrawing them."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import Flavor, Role, SessionFactory, unit_of_work

LIST = "/admin/flavors/compute"


@pytest.fixture
def offered(sessions: SessionFactory) -> Callable[[], list[str]]:
    """The names of all flavors that servers can be made with, by id."""

    def read() -> list[str]:
        with unit_of_work(sessions, write=False) as session:
            query = sa.select(Flavor).where(Flavor.deleted == sa.false()).order_by(Flavor.id)
            return [flavor.name for flavor in session.scalars(query)]

    return read


def rows(page: webtest.TestResponse) -> dict[str, dict[str, str]]:
    """What each row of a table says, by its first cell and its headings."""
    return {
        row.find("th").a.text: {
            cell["data-label"]: " ".join(cell.text.split()) for cell in row.select("td")
        }
        for row in page.html.select("#main table tbody tr")
    }


def test_the_list_says_who_has_a_flavor_and_where_there_is_room_for_more(
    app: webtest.TestApp,
    sign_in: Callable,
    make_flavor: Callable,
    make_backend: Callable,
    make_server: Callable,
) -> None:
    sign_in(Role.VIEWER)
    room = {"memory_free_mb": 4097, "disk_free_mb": 10**6, "cpu_total": 400, "instances": 0}
    north = make_backend(name="north", disk_templates=["drbd", "ext"], **room)
    make_backend(name="south", disk_templates=["drbd"], **room)
    make_backend(name="west", disk_templates=["drbd"], drained=True, **room)
    small = make_flavor(cpu=1, ram_mb=1024, disk_gb=20)
    make_flavor(cpu=2, ram_mb=8192, disk_gb=20, disk_template="ext_rbd")
    make_flavor(cpu=4, ram_mb=512, disk_gb=0, disk_template="file")
    make_flavor(cpu=8, ram_mb=512, disk_gb=1, deleted=True)
    for gone in (False, False, True):
        make_server(backend=north, flavor=small, deleted=gone)
    page = app.get(LIST)
    found = rows(page)
    assert list(found) == ["C1R1024D20drbd", "C2R8192D20ext_rbd", "C4R512D0file"]
    told = [(row["Taken by"], row["Room for"]) for row in found.values()]
    assert told == [("north, south", "8"), ("north", "0"), ("no backend", "0")]
    assert found["C1R1024D20drbd"]["VMs"] == "2 VMs with C1R1024D20drbd"
    assert found["C1R1024D20drbd"]["State"] == "Offered"
    assert len(page.click("VMs with C1R1024D20drbd").html.select("tbody tr")) == 2
    assert next(iter(rows(app.get(f"{LIST}?deleted=any&sort=-cpu")))) == "C8R512D1drbd"
    assert list(rows(app.get(f"{LIST}?q=ext_"))) == ["C2R8192D20ext_rbd"]
    assert list(rows(app.get(f"{LIST}?filter=servers>1,name~R1024"))) == ["C1R1024D20drbd"]
    file = app.get(f"{LIST}.json").json
    assert [(row["name"], row["servers"], row["room"]) for row in file[:1]] == [
        ("C1R1024D20drbd", 2, 8)
    ]
    assert not page.html.find("a", string="Make flavors…")
    assert page.html.find("nav", class_="tabs").find(attrs={"aria-current": "page"}).text == (
        "Compute flavors"
    )


def test_the_list_takes_few_statements_however_many_flavors_there_are(
    app: webtest.TestApp, sign_in: Callable, make_flavor: Callable, count_statements: Callable
) -> None:
    sign_in(Role.VIEWER)
    for n in range(60):
        make_flavor(cpu=1 + n)
    with count_statements() as counter:
        page = app.get(f"{LIST}?per_page=50")
    assert len(counter) <= 12, counter.statements
    assert "<b>50</b> of <b>60</b> flavors" in page
    assert len(rows(page.click("Next page"))) == 10


def test_a_page_says_of_each_backend_whether_it_takes_more_and_why_not(
    app: webtest.TestApp,
    sign_in: Callable,
    make_flavor: Callable,
    make_backend: Callable,
    make_server: Callable,
) -> None:
    sign_in(Role.VIEWER)
    flavor = make_flavor(cpu=1, ram_mb=1024, disk_gb=20)
    room = {"memory_free_mb": 4097, "disk_free_mb": 10**6, "cpu_total": 400, "instances": 0}
    make_backend(name="north", **room)
    make_backend(name="south", drained=True, **room)
    make_backend(name="west", **(room | {"memory_free_mb": 1}))
    server = make_server(flavor=flavor)
    page = app.get(f"{LIST}/{flavor.id}")
    found = rows(page)
    assert found["north"]["New VMs of it"] == "Fits"
    assert found["north"]["Room for"] == "4"
    assert found["south"]["New VMs of it"] == "Not taken drained"
    assert found["west"]["New VMs of it"] == "No room no room by its last figures"
    assert "Nothing recorded" in page
    assert len(page.click("VMs with C1R1024D20drbd").html.select("tbody tr")) == 1
    assert "Delete…" not in page
    there = app.get(f"/admin/vms/{server.id}").click("C1R1024D20drbd")
    assert there.request.path == f"{LIST}/{flavor.id}"
    backend = app.get(f"/admin/backends/{server.backend_id}")
    assert backend.click("C1R1024D20drbd").request.path == f"{LIST}/{flavor.id}"


def test_flavors_are_made_of_each_combination_and_unmade_while_nobody_has_them(
    app: webtest.TestApp, sign_in: Callable, make_flavor: Callable, offered: Callable
) -> None:
    sign_in(Role.FLAVOR_MANAGER)
    make_flavor(cpu=1, ram_mb=512, disk_gb=5, disk_template="plain")
    make_flavor(cpu=2, ram_mb=512, disk_gb=5, disk_template="plain", deleted=True)
    form = app.get(LIST).click("Make flavors…").forms["act"]
    form["cpu"], form["ram"], form["disk"], form["template"] = "1, 2", "512,1024", "5", "plain"
    shown = form.submit("show", value="what")
    text = " ".join(shown.html.main.text.split())
    assert "2 of 4 are new" in text
    assert "C1R512D5plain: there already" in text
    assert "C2R512D5plain: known, offered again" in text
    assert "C2R1024D5plain: new" in text
    assert offered() == ["C1R512D5plain"]
    page = shown.forms["act"].submit().follow()
    assert sorted(offered()) == [
        *("C1R1024D5plain", "C1R512D5plain", "C2R1024D5plain", "C2R512D5plain")
    ]
    assert "Created" in page
    undone = page.html.find("form", action=lambda a: a and "/admin/undo/" in a)["action"]
    next(f for f in page.forms.values() if f.action == undone).submit(status=303)
    assert offered() == ["C1R512D5plain"]


def test_making_flavors_is_not_undone_once_a_server_has_one(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, offered: Callable, sessions: Any
) -> None:
    sign_in(Role.ADMIN)
    form = app.get(f"{LIST}/new").forms["act"]
    form["cpu"], form["ram"], form["disk"], form["template"] = "3", "512", "0", "ext_rbd"
    page = form.submit(status=303).follow()
    assert page.html.h1.text == "C3R512D0ext_rbd"
    with unit_of_work(sessions, write=False) as session:
        [flavor] = session.scalars(sa.select(Flavor))
    make_server(flavor=flavor)
    undo = next(f for f in page.forms.values() if "/admin/undo/" in f.action)
    assert undo.submit(status="*").status_int == 409
    assert offered() == ["C3R512D0ext_rbd"]


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("cpu", "", "This is needed."),
        ("cpu", "0", "At least 1."),
        ("cpu", "1,two", "A whole number"),
        ("ram", "-5", "A whole number"),
        ("ram", "4294967296", "At most 2147483647"),
        ("disk", "1.5", "A whole number"),
        ("disk", ",", "A whole number"),
        ("template", "drbd plain", "A word such as drbd"),
        ("template", "x" * 51, "A word such as drbd"),
        ("cpu", ",".join(map(str, range(1, 60))), "These are 118 flavors; at most 100"),
    ],
)
def test_what_is_wrong_with_the_sizes_is_said_at_the_field(
    field: str, text: str, said: str, app: webtest.TestApp, sign_in: Callable, offered: Callable
) -> None:
    sign_in(Role.ADMIN)
    form = app.get(f"{LIST}/new").forms["act"]
    given = {"cpu": "1", "ram": "512,1024", "disk": "0", "template": "drbd"} | {field: text}
    for name, value in given.items():
        form[name] = value
    refused = form.submit(status=400)
    assert said in refused.html.find(id=f"{field}-error").text
    assert refused.html.find(id=field)["value"] == text
    assert offered() == []


def test_one_that_there_is_already_is_refused_and_named(
    app: webtest.TestApp, sign_in: Callable, make_flavor: Callable
) -> None:
    sign_in(Role.ADMIN)
    make_flavor(cpu=1, ram_mb=512, disk_gb=5)
    form = app.get(f"{LIST}/new").forms["act"]
    form["cpu"], form["ram"], form["disk"], form["template"] = "1", "512", "5", "drbd"
    assert "Flavor C1R512D5drbd exists" in form.submit(status=409)


def test_a_flavor_is_deleted_by_its_name_while_servers_have_it_and_offered_again(
    app: webtest.TestApp,
    sign_in: Callable,
    make_flavor: Callable,
    make_server: Callable,
    make_user: Callable,
    offered: Callable,
) -> None:
    sign_in(Role.FLAVOR_MANAGER)
    flavor = make_flavor(cpu=1, ram_mb=512, disk_gb=5)
    server = make_server(flavor=flavor)
    form = app.get(f"{LIST}/{flavor.id}").click("Delete…").forms["act"]
    form["reason"] = "too small"
    assert "Type: delete C1R512D5drbd" in form.submit(status=400)
    form = app.get(f"{LIST}/{flavor.id}/delete").forms["act"]
    form["reason"], form["phrase"] = "too small", "delete C1R512D5drbd"
    page = form.submit(status=303).follow()
    assert "Not offered" in page
    assert offered() == []
    assert "C1R512D5drbd" in app.get(f"/admin/vms/{server.id}")
    token = make_user().headers
    assert app.get("/api/v1.1/flavors", headers=token).json["flavors"] in ([], {"values": []})
    assert "not offered as it is" in app.get(f"{LIST}/{flavor.id}/delete")
    form = app.get(f"{LIST}/{flavor.id}").click("Offer again…").forms["act"]
    page = form.submit(status=303).follow()
    assert offered() == ["C1R512D5drbd"]
    undo = next(f for f in page.forms.values() if "/admin/undo/" in f.action)
    undo.submit(status=303)
    assert offered() == []


def test_a_deletion_waits_for_a_new_look_when_servers_have_come(
    app: webtest.TestApp,
    sign_in: Callable,
    make_flavor: Callable,
    make_server: Callable,
    offered: Callable,
) -> None:
    sign_in(Role.ADMIN)
    flavor = make_flavor(cpu=1, ram_mb=512, disk_gb=5)
    form = app.get(f"{LIST}/{flavor.id}/delete").forms["act"]
    make_server(flavor=flavor)
    form["reason"], form["phrase"] = "too small", "delete C1R512D5drbd"
    page = form.submit(status=409)
    assert page.html.find("ins", class_="moved").text == "1"
    assert offered() == ["C1R512D5drbd"]


def test_search_finds_flavors_by_their_whole_name_and_by_a_part(
    app: webtest.TestApp, sign_in: Callable, make_flavor: Callable, count_statements: Callable
) -> None:
    sign_in(Role.VIEWER)
    flavor = make_flavor(cpu=1, ram_mb=1024, disk_gb=20)
    make_flavor(cpu=11, ram_mb=1024, disk_gb=20, deleted=True)
    found = app.get("/admin/search?q=C1R1024D20drbd", status=303)
    assert found.location.endswith(f"{LIST}/{flavor.id}")
    with count_statements() as counter:
        page = app.get("/admin/search?q=R1024d20")
    assert len(counter) <= 12, counter.statements
    [group] = page.html.select("#main section")
    assert "Compute flavors (2)" in group.h2.text
    assert "C11R1024D20drbd not offered" in " ".join(group.text.split())
    for huge in ("C99999999999R1D1drbd", "C9999999999R1D1drbd", "C1R1D1nothing"):
        assert "Nothing has" in app.get("/admin/search", {"q": huge})
