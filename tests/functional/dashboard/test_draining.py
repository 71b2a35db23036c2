"""Draining until a day, what the preview says of whom it concerns, and mails to owners."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, servers
from cloudweb.models import (
    Backend,
    BackendPin,
    CatalogueFlavor,
    Mail,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]


def mails(sessions: SessionFactory) -> list[tuple[str, str]]:
    with unit_of_work(sessions, write=False) as session:
        rows = session.execute(sa.select(Mail.recipient, Mail.subject).order_by(Mail.recipient))
        return [(row[0], row[1]) for row in rows]


def test_a_drain_past_its_date_needs_attention_until_it_ends(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend(name="gnt.example.org")
    make_backend()
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/backends/{backend.id}/drain").forms["act"]
    form["reason"] = "New kernel."
    form["until"] = "2020-01-01T00:00"
    assert "Write a time to come" in form.submit(status=400)
    form["until"] = f"{utc_now() + dt.timedelta(days=2):%Y-%m-%dT%H:%M}"
    page = form.submit(status=303).follow()
    assert "It is meant to last until" in page
    assert "drained past its date" not in app.get("/admin/")
    with unit_of_work(sessions) as session:
        row = session.get_one(Backend, backend.id)
        row.drained_until = utc_now() - dt.timedelta(minutes=1)
    page = app.get("/admin/")
    assert "drained past its date" in page
    assert "New kernel." in page
    form = app.get(f"/admin/backends/{backend.id}/undrain").forms["act"]
    form.submit(status=303)
    assert "drained past its date" not in app.get("/admin/")
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(Backend, backend.id).drained_until is None


def test_the_preview_names_whom_it_concerns(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_flavor: Make,
    make_user: Make,
    make_server: Make,
) -> None:
    backend = make_backend()
    others = make_backend(drained=True, state_reason="switch swap", disk_templates=["plain"])
    lost = make_flavor(cpu=2, ram_mb=2048, disk_gb=20, disk_template="ext_vlmc")
    pinned = make_user(email="lab-7@example.org")
    server = make_server(backend=backend)
    with unit_of_work(sessions) as session:
        session.add(BackendPin(user_id=pinned.user.id, backend_id=backend.id))
        session.add(
            CatalogueFlavor(
                flavor_id="f", name="m1.small", vcpus=2, ram_mb=2048, disk_gb=20, promoted=True
            )
        )
        made = servers.start(session, identity.system("cli"), server.id)
        made.opcode, made.job_id = "OP_INSTANCE_CREATE", 88_121
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/drain")
    assert f"{lost.name}, promoted as m1.small" in page
    assert "lab-7@example.org still go here" in " ".join(page.text.split())
    assert "job 88121" in page
    assert others.name in page
    assert "switch swap" in page


def test_owners_are_mailed_only_if_that_is_ticked(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_server: Make,
    make_user: Make,
) -> None:
    backend = make_backend()
    make_backend()
    owners = [make_user(email=f"{name}@example.org") for name in ("maria", "nikos")]
    for n in range(3):
        make_server(backend=backend, owner=owners[n % 2], name=f"web-{n}")
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/drain")
    assert "2 mails will be sent" in page
    assert "web-2" in page.html.find("pre").text
    form = page.forms["act"]
    form["reason"] = "New kernel."
    form.submit(status=303)
    assert mails(sessions) == []
    form = app.get(f"/admin/backends/{backend.id}/offline").forms["act"]
    form["reason"] = "New kernel."
    form["mail"] = True
    form.submit(status=303)
    form.submit(status=303)
    assert [recipient for recipient, _ in mails(sessions)] == [
        "maria@example.org",
        "nikos@example.org",
    ]
