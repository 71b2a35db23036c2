"""The Reconcile page: choose what was found, see what follows, and mend it with a reason."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb import faults
from cloudweb.domain import identity, mending, network_drift, reconcile, servers
from cloudweb.domain.network_drift import NetworkReport, NetworkSnapshot
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.models import (
    Backend,
    ComparisonRecord,
    Operation,
    OperState,
    ReconcileRun,
    Role,
    Server,
    SessionFactory,
    WebSession,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]


@pytest.fixture
def stale(sessions: SessionFactory, make_server: Make) -> Server:
    """A server that was found without an instance, beside an instance without a server."""
    server: Server = make_server()
    snapshot = Snapshot(utc_now(), {"snf-<b>": InstanceReport("snf-<b>", running=True)})
    with unit_of_work(sessions) as session:
        backend = session.get_one(Backend, server.backend_id)
        found = reconcile.detect(session, backend, snapshot, "snf-")
        reconcile.keep(session, backend, taken=snapshot.taken, found=found, compared=1)
    return server


def read(sessions: SessionFactory, server: Server) -> Server:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Server, server.id)


def choose(page: Any, *targets: str) -> Any:
    """The preview of mending these."""
    form = page.forms[2]
    for box in form.fields["finding"]:
        label = page.html.find("input", value=box._value)["aria-label"]
        box.checked = any(label.startswith(f"{target}:") for target in targets)
    return form.submit()


def test_an_operator_chooses_and_mends_with_a_reason(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, stale: Server
) -> None:
    sign_in(Role.ADMIN)
    assert "2 differences" in app.get("/admin/")
    page = app.get("/admin/reconcile")
    assert "snf-<b>" not in page, "nothing of it is markup"
    preview = choose(page, stale.instance_name or "")
    assert "snf-&lt;b&gt;" not in preview, "only what was chosen"
    form = preview.forms[1]
    assert "Say why" in form.submit(status=400)
    form["reason"] = "Its node burnt down."
    assert "Mended: 1" in form.submit(status=303).follow()
    assert read(sessions, stale).state is OperState.DESTROYED
    assert "Its node burnt down." in app.get(f"/admin/vms/{stale.id}")
    assert "Mended: 1" in form.submit(status=303).follow(), "sent again it leads to the same"


def test_what_has_moved_is_told_and_not_touched(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, stale: Server
) -> None:
    sign_in(Role.OPERATOR)
    form = choose(app.get("/admin/reconcile"), stale.instance_name or "").forms[1]
    with unit_of_work(sessions) as session:
        servers.rename(session, identity.system("cli"), stale.id, name="other")
    form["reason"] = "Gone."
    page = form.submit(status=409)
    assert f"{stale.instance_name}: The server has changed since." in page
    assert not read(sessions, stale).deleted


def test_what_has_moved_is_left_the_rest_mended_and_both_are_told(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_server: Make
) -> None:
    moved, gone = make_server(), make_server()
    for backend_id in {moved.backend_id, gone.backend_id}:
        with unit_of_work(sessions) as session:
            backend, snapshot = session.get_one(Backend, backend_id), Snapshot(utc_now(), {})
            found = reconcile.detect(session, backend, snapshot, "snf-")
            reconcile.keep(session, backend, taken=snapshot.taken, found=found, compared=1)
    sign_in(Role.OPERATOR)
    form = choose(app.get("/admin/reconcile"), moved.instance_name, gone.instance_name).forms[1]
    with unit_of_work(sessions) as session:
        servers.rename(session, identity.system("cli"), moved.id, name="other")
    form["reason"] = "Gone."
    page = form.submit(status=303).follow()
    assert "Mended: 1 of 2." in page
    assert f"{moved.instance_name}: The server has changed since." in page
    assert read(sessions, gone).deleted
    assert not read(sessions, moved).deleted
    sign_in(Role.OPERATOR)
    assert "Mended" not in app.get(page.request.path_qs), "it is told to who did it"


def test_the_page_asks_for_itself_until_the_comparison_is_made(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    sign_in(Role.OPERATOR)
    backend = make_backend()
    page = app.get("/admin/reconcile").forms[1].submit(status=303).follow()
    assert "every 3s" in page
    asking = {"HX-Request": "true"}
    part = app.get("/admin/reconcile", headers=asking)
    assert "To be compared" in part
    assert "<html" not in part
    tag = part.headers["HX-PTag"]
    app.get("/admin/reconcile", headers=asking | {"HX-PTag": tag}, status=304)
    with unit_of_work(sessions) as session:
        row = session.get_one(Backend, backend.id)
        reconcile.keep(session, row, taken=utc_now(), compared=1)
    part = app.get("/admin/reconcile", headers=asking | {"HX-PTag": tag}, status=200)
    assert "every 30s" in part
    assert "To be compared" not in part


@pytest.fixture
def unwanted(sessions: SessionFactory, stale: Server, make_backend: Make) -> dict[str, int]:
    """By target: an instance and a network nobody wants on one cluster, another on the next."""
    with unit_of_work(sessions) as session:
        other = session.get_one(Backend, make_backend().id)
        names = {stale.backend_id: ("snf-net-8", "snf-net-9"), other.id: ("snf-net-7",)}
        for backend_id, wanted in names.items():
            backend = session.get_one(Backend, backend_id)
            there = {"snf-<b>": InstanceReport("snf-<b>", running=True)}
            snapshot = Snapshot(utc_now(), there if backend is not other else {})
            networks = [NetworkReport(name, frozenset({"default"})) for name in wanted]
            found = reconcile.detect(session, backend, snapshot, "snf-")
            known = NetworkSnapshot(utc_now(), {n.name: n for n in networks}, ("default",))
            found += network_drift.detect(session, backend, known, "snf-")
            reconcile.keep(session, backend, taken=snapshot.taken, found=found, compared=1)
    with unit_of_work(sessions, write=False) as session:
        return {row.finding.target: row.finding.id for row in reconcile.list_open(session)}


def todo(sessions: SessionFactory) -> list[tuple[str, str]]:
    with unit_of_work(sessions, write=False) as session:
        rows = session.scalars(sa.select(Operation).order_by(Operation.id))
        return [(row.opcode, row.target) for row in rows]


def test_what_nobody_has_here_is_removed_by_an_administrator_from_one_backend_with_a_phrase(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    stale: Server,
    unwanted: dict[str, int],
) -> None:
    sign_in(Role.ADMIN)
    page = app.get("/admin/reconcile")
    assert (
        "checked"
        not in page.html.find(
            "input", attrs={"name": "finding", "value": str(unwanted["snf-net-8"])}
        ).attrs
    )
    path = f"/admin/reconcile/remove/{stale.backend_id}"
    form = next(form for form in page.forms.values() if form.action == path)
    boxes = {int(box._value) for box in form.fields["finding"]}
    assert boxes == {unwanted[name] for name in ("snf-<b>", "snf-net-8", "snf-net-9")}
    # Those of another backend are not removed with it, nor what is of another kind.
    more = (unwanted["snf-net-7"], unwanted[str(stale.instance_name)])
    chosen = [unwanted["snf-<b>"], unwanted["snf-net-8"], *more]
    preview = app.get(path, {"finding": chosen})
    assert "1 instance and 1 network" in preview
    assert "snf-net-7" not in preview
    form = preview.forms["act"]
    form["reason"] = "Strays."
    assert "Type: remove 1 instance and 1 network" in form.submit(status=400)
    assert todo(sessions) == []
    form["phrase"] = "remove 1 instance and 1 network"
    assert "Mended: 2" in form.submit(status=303).follow()
    assert sorted(todo(sessions)) == [
        ("OP_INSTANCE_REMOVE", "snf-<b>"),
        ("OP_NETWORK_DISCONNECT", "snf-net-8"),
        ("OP_NETWORK_REMOVE", "snf-net-8"),
    ]
    assert not read(sessions, stale).deleted
    assert "None of what was chosen" in app.get(path, {"finding": chosen})


def test_removing_is_proved_once_more_by_who_signed_in_long_ago(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    stale: Server,
    unwanted: dict[str, int],
) -> None:
    sign_in(Role.ADMIN)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(WebSession).values(created=utc_now() - dt.timedelta(hours=1)))
    path = f"/admin/reconcile/remove/{stale.backend_id}"
    answer = app.get(path, {"finding": unwanted["snf-net-8"]}, status="*")
    assert "/admin/prove" in answer.headers.get("Location", "") + answer.text
    assert 'name="phrase"' not in answer


@pytest.mark.parametrize("target", ["snf-<b>", "snf-net-8"])
def test_nobody_else_has_anything_removed_and_not_among_other_things(
    target: str,
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    stale: Server,
    unwanted: dict[str, int],
) -> None:
    removing = f"/admin/reconcile/remove/{stale.backend_id}"
    for role in (Role.OPERATOR, Role.ADMIN):
        sign_in(role)
        page = app.get("/admin/reconcile")
        box = page.html.find("input", attrs={"name": "finding", "value": str(unwanted[target])})
        assert (box is not None) is (role is Role.ADMIN)
        token = page.forms[0]["csrf_token"].value
        sent = {"csrf_token": token, "finding": str(unwanted[target]), "reason": "Even so."}
        status = 400 if role is Role.ADMIN else 403
        app.get("/admin/reconcile/mend", {"finding": unwanted[target]}, status=status)
        app.post("/admin/reconcile/mend", sent | {"key": "1" * 32}, status=status)
        if role is Role.OPERATOR:
            app.get(removing, {"finding": unwanted[target]}, status=403)
            app.post(removing, sent | {"key": "2" * 32}, status=403)
    with unit_of_work(sessions) as session:
        ids, operator = [unwanted[target]], identity.Identity(None, "o", Role.OPERATOR, "cli")
        with pytest.raises(faults.Forbidden):
            mending.apply(session, operator, ids, reason="Even so.")
    assert todo(sessions) == []


def test_a_viewer_chooses_nothing(app: webtest.TestApp, sign_in: Make, stale: Server) -> None:
    sign_in(Role.VIEWER)
    page = app.get("/admin/reconcile")
    assert "checkbox" not in page
    token = page.forms[0]["csrf_token"].value
    app.post("/admin/reconcile/compare", {"csrf_token": token}, status=403)
    app.post("/admin/reconcile/mend", {"csrf_token": token, "finding": "1"}, status=403)


def test_comparisons_are_kept_with_what_was_new_and_gone(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, stale: Server
) -> None:
    sign_in(Role.VIEWER)
    for names in (("snf-<b>", "snf-9"), ("snf-9",)):
        there = {name: InstanceReport(name, running=True) for name in names}
        snapshot = Snapshot(utc_now(), there)
        with unit_of_work(sessions) as session:
            backend = session.get_one(Backend, stale.backend_id)
            found = reconcile.detect(session, backend, snapshot, "snf-")
            reconcile.keep(session, backend, taken=snapshot.taken, found=found, compared=1)
    page = app.get("/admin/reconcile").click("All comparisons")
    assert "snf-&lt;b&gt;: Instances without a server" in page
    last, second, first = app.get("/admin/reconcile/runs.json").json
    assert [row["found"] for row in (first, second, last)] == [2, 3, 2]
    assert "snf-<b>: orphan" in first["appeared"]
    assert (second["appeared"], second["gone"]) == ("snf-9: orphan", "")
    assert (last["appeared"], last["gone"]) == ("", "snf-<b>: orphan")
    assert app.get("/admin/reconcile/runs.json?filter=found>2").json == [second]
    form = app.get("/admin/reconcile/runs").forms["between"]
    boxes = [box for box in form.fields["id"] if box._value]
    assert len(boxes) == 3
    boxes[0].checked = boxes[2].checked = True
    page = form.submit("", status=200)
    told = [section.text for section in page.html.main.find_all("section")]
    assert "snf-9" in told[0]
    assert "snf-<b>" in told[1]
    assert "1 difference is the same in both" in page.html.main.text
    before = app.get("/admin/reconcile/runs").click(href=r"between\?id=", index=0)
    assert "Nothing is new." in before
    assert "Choose two comparisons" in app.get("/admin/reconcile/runs/between", status=400)
    app.get("/admin/reconcile/runs/between?id=1&id=99999", status=404)
    app.get("/admin/reconcile/runs/between?id=x", status=400)


def test_what_is_in_both_comparisons_and_otherwise_now_says_how_it_was(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, stale: Server
) -> None:
    sign_in(Role.VIEWER)
    with unit_of_work(sessions) as session:
        [first] = session.scalars(sa.select(ComparisonRecord)).all()
        said = [[*each[:2], "other", each[3]] for each in first.differences or []]
        first.differences = said
        backend, snapshot = session.get_one(Backend, stale.backend_id), Snapshot(utc_now(), {})
        found = reconcile.detect(session, backend, snapshot, "snf-")
        reconcile.keep(session, backend, taken=snapshot.taken, found=found, compared=1)
    page = app.get("/admin/reconcile/runs").click(href=r"between\?id=", index=0)
    assert "STARTED was other" in " ".join(page.html.main.text.split())
    with unit_of_work(sessions) as session:
        session.execute(sa.update(ComparisonRecord).values(differences=sa.null()))
    page = app.get("/admin/reconcile/runs").click(href=r"between\?id=", index=0)
    assert "was not kept" in page


def test_one_cluster_alone_is_compared_and_each_remedy_says_its_risk(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make, stale: Server
) -> None:
    sign_in(Role.HELPDESK)
    wanted = make_backend()
    page = app.get("/admin/reconcile")
    risks = [cell.text for cell in page.html.select("td[data-label=Risk]")]
    assert risks == ["Our database only", "Destroys in Ganeti"]
    form = page.forms[1]
    form["backend"] = str(wanted.id)
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        due = session.query(ReconcileRun).filter(ReconcileRun.taken.is_(None)).all()
    assert {run.backend_id for run in due} == {wanted.id, None}


def test_comparing_is_asked_for_and_done_by_the_worker(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    sign_in(Role.OPERATOR)
    assert "Nothing was compared yet" in app.get("/admin/reconcile")
    make_backend()
    make_backend(offline=True)
    page = app.get("/admin/reconcile").forms[1].submit(status=303).follow()
    assert "To be compared" in page
    with unit_of_work(sessions, write=False) as session:
        assert session.query(ReconcileRun).count() == 2, "of one cluster, and of the pools"


def test_how_much_was_compared_and_what_could_not_be_is_said(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend, away = make_backend(), make_backend()
    with unit_of_work(sessions) as session:
        row = session.get_one(Backend, backend.id)
        reconcile.keep(session, row, taken=utc_now(), found=[], compared=312)
        session.add(ReconcileRun(backend_id=away.id, error="Connection refused"))
    sign_in(Role.VIEWER)
    said = " ".join(app.get("/admin/reconcile").html.main.text.split())
    assert re.search(
        r"No differences\. Compared 312 instances of 1 of 2 backends in \d+\.\d s\.", said
    )
    assert f"1 of 2 clusters could not be compared: {away.name}." in said


def test_nothing_is_removed_from_a_cluster_that_could_not_be_compared_since(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    stale: Server,
    unwanted: dict[str, int],
) -> None:
    with unit_of_work(sessions) as session:
        reconcile.keep(session, session.get_one(Backend, stale.backend_id), error="timed out")
    sign_in(Role.ADMIN)
    page = app.get("/admin/reconcile")
    for target, there in (("snf-net-8", False), ("snf-net-7", True), (stale.instance_name, True)):
        box = page.html.find("input", attrs={"name": "finding", "value": str(unwanted[target])})
        assert (box is not None) is there, target
    assert "Nothing can be removed from it now" in page
    path = f"/admin/reconcile/remove/{stale.backend_id}"
    page = app.get(path, {"finding": unwanted["snf-net-8"]})
    assert "could not be compared when it was last to be" in page
    assert "act" not in page.forms


def test_how_long_each_comparison_took_is_kept(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend()
    with unit_of_work(sessions) as session:
        row, began = session.get_one(Backend, backend.id), utc_now() - dt.timedelta(seconds=41)
        reconcile.keep(session, row, taken=began, compared=8_112)
    sign_in(Role.VIEWER)
    page = app.get("/admin/reconcile")
    assert re.search(r"Compared 8,112 instances of 1 backend in 4\d s\.", page.html.main.text)
    [run] = app.get("/admin/reconcile/runs.json").json
    assert 41_000 <= run["took"] < 60_000
    assert app.get("/admin/reconcile/runs.json?filter=took>40000").json == [run]
    assert re.search(r"4\d s", app.get("/admin/reconcile/runs").html.main.text)
