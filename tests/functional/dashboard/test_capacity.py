"""The room of a backend: what is promised, what a lost node leaves, and how it went by hours."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.domain import capacity
from cloudweb.domain.capacity import Span
from cloudweb.models import (
    Backend,
    BackendHour,
    BackendPin,
    ClusterJob,
    Node,
    OperState,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
GIB = 1024


def hour(backend: Backend, ago: int, *, free_mb: int) -> BackendHour:
    start = utc_now().replace(minute=0, second=0, microsecond=0)
    return BackendHour(
        backend_id=backend.id,
        hour=start - dt.timedelta(hours=ago),
        memory_total_mb=1000,
        memory_free_mb=free_mb,
        disk_total_mb=1000,
        disk_free_mb=500,
        instances=7,
    )


def node(backend: Backend, name: str, total_gib: int, free_gib: int, **flags: bool) -> Node:
    return Node(
        backend_id=backend.id,
        name=name,
        node_group="default",
        **{"drained": False, "offline": False, "vm_capable": True, **flags},
        memory_total_mb=total_gib * GIB,
        memory_free_mb=free_gib * GIB,
        disk_total_mb=10 * total_gib * GIB,
        disk_free_mb=10 * free_gib * GIB,
        cpus=total_gib // 8,
        primaries=0,
        secondaries=0,
    )


def test_the_page_of_a_backend_reckons_what_is_left_without_its_largest_node(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_flavor: Make,
    make_server: Make,
    make_user: Make,
    count_statements: Make,
) -> None:
    backend = make_backend(memory_total_mb=96 * GIB, memory_free_mb=60 * GIB, cpu_total=100)
    flavor = make_flavor(ram_mb=2 * GIB, disk_gb=10, disk_template="drbd", cpu=3)
    for state in (OperState.STARTED, OperState.STOPPED):
        make_server(backend=backend, flavor=flavor, state=state)
    pinned = make_user(email="lab-7@example.org")
    with unit_of_work(sessions) as session:
        session.add_all([node(backend, "n1", 32, 20), node(backend, "n2", 64, 50)])
        session.add(node(backend, "n3", 128, 100, drained=True))
        session.add(BackendPin(user_id=pinned.user.id, backend_id=backend.id))
        session.add_all([hour(backend, 2, free_mb=250), hour(backend, 1, free_mb=500)])
    sign_in(Role.VIEWER)
    with count_statements() as counter:
        page = app.get(f"/admin/backends/{backend.id}")
    assert len(counter) <= 12
    cells = [cell.text.strip() for cell in page.html.find(id="room").find_parent("table")("td")]
    assert cells[:5] == ["96 GiB", "4 GiB", "36 GiB", "60 GiB", "6 GiB"]
    assert cells[6] == "40 GiB", "disks that are mirrored count twice"
    assert cells[9] == "60 GiB"
    assert cells[10:15] == ["100", "6", "3", "97", "1"]
    assert "640 GiB disk of n2, 8 CPUs of n2" in page
    assert "lab-7@example.org" in page
    assert f"{flavor.name}: fits, 29 more" in page.html.main.text
    assert "Memory in use in the last 24 hours: between 50 % and 75 %, 50 % at the end" in page
    with unit_of_work(sessions) as session:
        session.get_one(Node, (backend.id, "n2")).memory_free_mb = 10 * GIB
        session.get_one(Node, (backend.id, "n2")).disk_free_mb = 0
    for _ in range(4):
        make_server(backend=backend, flavor=flavor)
    page = app.get(f"/admin/backends/{backend.id}?span=7d")
    assert "34 GiB missing" in page
    assert "440 GiB missing" in page
    cells = [cell.text.strip() for cell in page.html.find(id="room").find_parent("table")("td")]
    assert cells[10:15] == ["100", "18", "15", "85", "0 (11 shared)"]


def test_the_list_of_backends_is_filtered_by_what_they_have(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    full = make_backend(memory_free_mb=100_000, disk_templates=["plain"])
    make_backend(memory_total_mb=0, memory_free_mb=0, disk_templates=["drbd"])
    with unit_of_work(sessions) as session:
        for job_id, status in ((1, "running"), (2, "success")):
            job = ClusterJob(backend_id=full.id, job_id=job_id, status=status, received=utc_now())
            job.opcode = "OP_CLUSTER_VERIFY"
            session.add(job)
    sign_in(Role.VIEWER)

    def names(query: str) -> list[str]:
        return [row["name"] for row in app.get(f"/admin/backends.json?filter={query}").json]

    for query in (
        "memory_free_percent<20",
        "template~plain",
        "jobs=1",
        "disk_free_percent=100,jobs>0",
    ):
        assert names(query) == [full.name], query
    assert full.name in app.get("/admin/backends?sort=-memory_free_percent&cols=template,jobs")


def test_a_backend_of_which_nothing_is_known_says_so(
    app: webtest.TestApp, sign_in: Make, make_backend: Make
) -> None:
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/backends/{make_backend(refreshed=None).id}?span=nonsense")
    assert "Nothing is known of that time yet" in page


def test_hours_are_written_down_once_while_a_cluster_answers_and_go_in_the_end(
    sessions: SessionFactory, make_backend: Make
) -> None:
    there = make_backend()
    make_backend(unreachable_since=utc_now())
    make_backend(refreshed=utc_now() - dt.timedelta(hours=3))
    with unit_of_work(sessions) as session:
        session.add(hour(there, 31 * 24 + 2, free_mb=1))
    with unit_of_work(sessions) as session:
        assert capacity.note_hours(session) == 1
    with unit_of_work(sessions) as session:
        assert capacity.note_hours(session) == 0
        [row] = session.query(BackendHour)
    assert (row.backend_id, row.memory_free_mb) == (there.id, there.memory_free_mb)


@pytest.mark.parametrize(("span", "points"), [(Span.DAY, 24), (Span.WEEK, 28), (Span.MONTH, 30)])
def test_a_span_has_points_of_equal_length_and_gaps_where_nothing_is_known(
    sessions: SessionFactory, make_backend: Make, span: Span, points: int
) -> None:
    backend = make_backend()
    with unit_of_work(sessions) as session:
        for ago in range(0, span.hours - span.step, 2 * span.step):
            session.add(hour(backend, ago, free_mb=250))
    with unit_of_work(sessions, write=False) as session:
        found = capacity.list_points(session, backend, span)
    assert len(found) == points
    known = [point for point in found if point.hours]
    assert len(known) == points // 2
    assert {(p.memory_percent, p.disk_percent, p.instances) for p in known} == {(75.0, 50.0, 7)}
