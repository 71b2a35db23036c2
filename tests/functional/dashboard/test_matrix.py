"""Promoted flavors against regions: what opens, what a cell says, where it leads."""

from collections.abc import Callable, Sequence

import pytest
import webtest

from cloudweb.models import (
    CatalogueFlavor,
    Infrastructure,
    InfrastructureKind,
    RegionalFlavor,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Sizes = tuple[str, int, int, int]
SMALL, BIG = ("m1.small", 1, 2048, 20), ("m1.big", 4, 8192, 40)


@pytest.fixture
def regions(sessions: SessionFactory) -> Callable[..., list[Infrastructure]]:
    """Makes regions that have these flavors; None: nobody ever asked."""

    def make(**have: Sequence[Sizes] | None) -> list[Infrastructure]:
        with unit_of_work(sessions) as session:
            made = []
            for name, flavors in have.items():
                region = Infrastructure(name=name, keystone_url="https://example.org")
                region.refreshed = None if flavors is None else utc_now()
                session.add(region)
                session.flush()
                made.append(region)
                for n, (flavor, vcpus, ram, disk) in enumerate(flavors or ()):
                    sizes = {"vcpus": vcpus, "ram_mb": ram, "disk_gb": disk}
                    key = {"infrastructure_id": region.id, "flavor_id": f"{name}-{n}"}
                    session.add(RegionalFlavor(name=flavor, **key, **sizes))
            return made

    return make


@pytest.fixture(autouse=True)
def promoted(sessions: SessionFactory) -> None:
    with unit_of_work(sessions) as session:
        for name, vcpus, ram, disk in (SMALL, BIG):
            sizes = {"vcpus": vcpus, "ram_mb": ram, "disk_gb": disk}
            session.add(CatalogueFlavor(flavor_id=f"f-{name}", name=name, promoted=True, **sizes))


def cells(page: webtest.TestResponse, row: str) -> list[str]:
    """What a row of the matrix says, region by region."""
    table = page.html.find("table")
    found = next(tr for tr in table.select("tbody tr") if tr.find("th").text.strip() == row)
    names = [th.text.split()[0] for th in table.select("thead th")]
    regions = [n for n, name in enumerate(names) if name[0] == "R" and name != "RAM"]
    texts = [cell.text for cell in found.select("th, td")]
    return [" ".join(texts[n].split()) for n in regions]


def test_it_opens_on_the_promoted_that_differ_and_says_how_many_where(
    app: webtest.TestApp, sign_in: Callable, regions: Callable
) -> None:
    sign_in(Role.VIEWER)
    regions(Rhodes=[SMALL, BIG], Rome=[SMALL, ("m1.big", 4, 4096, 40)], Riga=None)
    page = app.get("/admin/flavors")
    assert "1 of 2 promoted flavors differs in 1 of 3 regions. 1 region is" in page.html.main.text
    assert "Only differences" in page.html.find("ul", class_="filters").text
    # In the order of the alphabet: Rhodes, Riga, Rome.
    assert cells(page, "m1.big ★ promoted") == ["Same", "Unknown", "Differs RAM 4096 ≠ 8192"]
    head = page.html.find("thead").text
    assert "Never read" in head
    narrowed = app.get("/admin/flavors?region=Rhodes")
    assert "All 2 promoted flavors are the same in this region." in narrowed.html.main.text
    everything = narrowed.click("See all promoted flavors")
    assert cells(everything, "m1.small ★ promoted") == ["Same"]


def test_a_missing_flavor_names_what_is_similar_and_leads_to_the_fix(
    app: webtest.TestApp, sign_in: Callable, regions: Callable
) -> None:
    sign_in(Role.FLAVOR_MANAGER)
    [region] = regions(Rome=[("b4", 4, 8192, 40)])
    page = app.get("/admin/flavors")
    assert cells(page, "m1.big ★ promoted") == ["Other name similar: b4 Install… m1.big in Rome"]
    assert cells(page, "m1.small ★ promoted") == ["Missing Install… m1.small in Rome"]
    assert "Install m1.small?" in page.click("Install….* m1.small in Rome")
    there = app.get(f"/admin/regions/{region.id}")
    assert "similar: b4" in there
    assert "Install m1.big?" in there.click("Install….* m1.big in Rome")


def test_what_a_region_had_counts_no_more_while_it_does_not_answer(
    app: webtest.TestApp, sign_in: Callable, regions: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.FLAVOR_MANAGER)
    _rhodes, rome = regions(Rhodes=[SMALL, BIG], Rome=[("m1.big", 1, 1, 1), ("own", 9, 1, 1)])
    assert "2 of 2 promoted flavors differ in 1 of 2" in app.get("/admin/flavors").html.main.text
    assert "1 flavor</a> to install" in app.get("/admin/")
    with unit_of_work(sessions) as session:
        session.get_one(Infrastructure, rome.id).unreachable_since = utc_now()
    page = app.get("/admin/flavors")
    assert "the same in the 1 region that answers. 1 region is not read." in page.html.main.text
    assert "to install" not in app.get("/admin/")
    page = app.get("/admin/flavors?show=all")
    assert "Not read" in page.html.find("thead").text
    assert cells(page, "m1.small ★ promoted") == ["Same", "Unknown"]
    assert cells(page, "m1.big ★ promoted") == ["Same", "Unknown"]
    assert cells(app.get("/admin/flavors?show=extra"), "own")[1] == "Unknown"
    told = {row["name"]: row["differing"] for row in app.get("/admin/regions.json").json}
    assert told == {"Rhodes": 0, "Rome": None}
    there = app.get(f"/admin/regions/{rome.id}").html.main.text
    assert "It had 1 of 2 when it was last read" in there
    assert "Install" not in there


def test_the_overview_counts_what_the_matrix_has_as_missing(
    app: webtest.TestApp, sign_in: Callable, regions: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.VIEWER)
    regions(Rhodes=[("m1.small", 9, 9, 9), ("other", 4, 8192, 40)], Rome=[], Riga=None, Ravenna=[])
    with unit_of_work(sessions) as session:
        by_name = {each.name: each for each in session.query(Infrastructure)}
        by_name["Ravenna"].kind = InfrastructureKind.GANETI
        sizes = {"vcpus": 1, "ram_mb": 1, "disk_gb": 1}
        here = {"infrastructure_id": by_name["Rome"].id, "flavor_id": "f-m1.small"}
        session.add(RegionalFlavor(name="of that id", **here, **sizes))
        ours = {"infrastructure_id": by_name["Ravenna"].id}
        session.add(RegionalFlavor(flavor_id="f-m1.big", name="m1.big", **ours, **sizes))
        same = {"vcpus": 1, "ram_mb": 2048, "disk_gb": 20}
        session.add(RegionalFlavor(flavor_id="7", name="C1R2048D20drbd", **ours, **same))
    page = app.get("/admin/flavors?show=all")
    assert page.html.find("table").text.count("Missing") == 2
    assert "2 flavors</a> to install" in app.get("/admin/")


def test_more_than_eight_regions_are_better_read_as_rows(
    app: webtest.TestApp, sign_in: Callable, regions: Callable
) -> None:
    sign_in(Role.VIEWER)
    regions(**{f"R{n}": [SMALL] for n in range(9)})
    page = app.get("/admin/flavors").click("let the rows be regions")
    rows = page.html.select("table tbody tr")
    assert [row.find("th").text.strip() for row in rows] == [f"R{n}" for n in range(9)]
    assert {row.find("td").text.strip() for row in rows} == {"Missing"}


def test_a_flavor_has_a_page_with_every_region_and_what_was_done(
    app: webtest.TestApp, sign_in: Callable, regions: Callable
) -> None:
    sign_in(Role.FLAVOR_MANAGER)
    regions(Rhodes=[SMALL], Rome=[])
    form = app.get("/admin/flavors").click("^m1.small$").click("Install everywhere missing…")
    form.forms["act"].submit(status=303)
    page = app.get("/admin/flavors/flavor?flavor=f-m1.small")
    rows = [" ".join(row.text.split()) for row in page.html.select("#main table tbody tr")[:2]]
    assert [row.split()[:2] for row in rows] == [["Rhodes", "Same"], ["Rome", "Missing"]]
    assert "Rome" in page.click("Installation")
    assert "Install a promoted flavor" in page
    for unknown in ("", "nothing", "x" * 10_000, "'; --"):
        app.get("/admin/flavors/flavor", {"flavor": unknown}, status=404)


def test_the_list_of_regions_counts_flavors_and_differences(
    app: webtest.TestApp, sign_in: Callable, regions: Callable
) -> None:
    sign_in(Role.VIEWER)
    regions(Rhodes=[SMALL, BIG, ("own", 9, 1, 1)], Rome=[SMALL], Riga=None)
    told = {
        row["name"]: (row["flavors"], row["differing"])
        for row in app.get("/admin/regions.json").json
    }
    assert told == {"Rhodes": (3, 0), "Rome": (1, 1), "Riga": (None, None)}
    page = app.get("/admin/regions")
    assert "Region: Rome" in page.click("^1$", index=-1)
