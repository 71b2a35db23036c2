"""What users have of what they may have, in the list of users and on a user's page."""

import dataclasses
from collections.abc import Callable

import pytest
import webtest

from cloudweb.domain import quotas
from cloudweb.models import Resource, Role, SessionFactory, unit_of_work
from cloudweb.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, quota_servers=4, quota_cpu=100)


def test_the_nearest_limit_of_each_user_is_in_the_list(
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    make_server: Callable,
    make_flavor: Callable,
    sessions: SessionFactory,
) -> None:
    me = sign_in(Role.ADMIN)
    many, few, free = make_user(), make_user(), make_user()
    flavor = make_flavor(cpu=2, ram_mb=512, disk_gb=5)
    for owner in (many, many, many, few):
        make_server(owner=owner, flavor=flavor)
    with unit_of_work(sessions) as session:
        quotas.set_own(session, me.identity, few.user, Resource.DISK_GB, 4)
        for resource in Resource:
            quotas.set_own(session, me.identity, free.user, resource, None)

    shown = {
        row.find("th").a.text: row.find(attrs={"data-label": "Nearest limit"}).text.split()
        for row in app.get("/admin/users").html.select("tbody tr")
    }
    assert shown[many.user.email] == ["75", "%", "of", "4", "VMs"]
    assert shown[few.user.email] == ["100", "%", "of", "4", "Disk,", "GiB"]
    assert shown[free.user.email] == ["no", "limit"]
    told = {row["email"]: row["use"] for row in app.get("/admin/users.json").json}
    assert told[many.user.email] == "VMs: 3 of 4"
    assert told[few.user.email] == "Disk, GiB: 5 of 4"
    assert told[free.user.email] == ""


def test_a_user_has_links_to_all_that_is_theirs(
    app: webtest.TestApp, sign_in: Callable, make_user: Callable, make_server: Callable
) -> None:
    sign_in(Role.VIEWER)
    owner = make_user()
    for _ in range(2):
        make_server(owner=owner)
    page = app.get(f"/admin/users/{owner.user.id}")
    assert len(page.click("Their VMs").html.select("tbody tr")) == 2
    assert "Their VMs: 2" in page.html.main.text
    for words in ("0 networks", "0 addresses", "0 images"):
        assert not page.click(words).html.select("tbody tr")
    assert owner.user.email in page.click("What the audit says of them")


def test_the_list_needs_few_statements_however_many_limits_there_are(
    app: webtest.TestApp, sign_in: Callable, make_user: Callable, count_statements: Callable
) -> None:
    sign_in(Role.ADMIN)
    for _ in range(30):
        make_user()
    with count_statements() as counter:
        app.get("/admin/users?per_page=25")
    assert len(counter) <= 12, counter.statements
