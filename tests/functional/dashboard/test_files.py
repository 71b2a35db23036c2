"""The dashboard's files: vendored ones are what their makers published, and all are cacheable."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import webtest

from cloudweb.domain.attention import Condition
from cloudweb.domain.states import ApiStatus
from cloudweb.models import NetworkState, OperationState, UserState
from cloudweb.views.dashboard.states import LOOKS, look


def test_vendored_files_are_the_published_ones_and_carry_their_licence(project: Path) -> None:
    listed = json.loads((project / "cloudweb/static/vendor/VENDOR.json").read_text())["files"]
    for entry in listed:
        found = hashlib.sha256((project / entry["file"]).read_bytes()).hexdigest()
        assert found == entry["sha256"], entry["file"]
        assert (project / entry["licence_file"]).stat().st_size > 100
    known = {entry["file"] for entry in listed}
    for folder in ("cloudweb/static/vendor", "tests/browser/vendor"):
        for path in (project / folder).glob("*.js"):
            assert str(path.relative_to(project)) in known


def test_a_file_is_named_by_its_content_and_kept_for_a_year(app: webtest.TestApp) -> None:
    page = app.get("/admin/login")
    [url] = re.findall(r'href="(/static/cloudweb\.css\?v=[0-9a-f]{12})"', page.text)
    response = app.get(url)
    assert "max-age=31536000" in response.headers["Cache-Control"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_no_template_names_another_host_or_carries_a_script(project: Path) -> None:
    for path in (project / "cloudweb/templates").rglob("*"):
        text = path.read_text() if path.is_file() else ""
        for wrong in (
            "http://",
            "https://",
            "hx-on",
            "onclick",
            " style=",
            "<style",
            "js:",
            "|safe",
        ):
            assert wrong not in text, f"{path}: {wrong}"


def test_every_state_has_an_icon_a_word_and_a_tone(project: Path) -> None:
    sprite = (project / "cloudweb/templates/partials/icons.svg").read_text()
    kinds = {type(state) for state, _ in LOOKS}
    assert {ApiStatus, OperationState, NetworkState, UserState, Condition} <= kinds
    for state in (state for kind in sorted(kinds, key=str) for state in kind):
        seen = look(state)
        assert f'id="i-{seen.icon}"' in sprite
        assert seen.word
        assert seen.tone in ("ok", "warn", "crit", "idle", "busy")
        assert seen.icon != "question" or seen.word != state.value, state


def test_a_state_nobody_knows_is_shown_as_it_came() -> None:
    assert look("MIGRATING").word == "MIGRATING"
    assert look("").word == "Unknown"


def test_files_outside_are_not_served(app: webtest.TestApp) -> None:
    app.get("/static/../models/__init__.py", status=404)
    app.get("/static/%2e%2e/settings.py", status=404)


def test_the_api_knows_no_form_token(app: webtest.TestApp, make_user: Callable) -> None:
    app.post("/api/v1.1/servers", "{", headers=make_user().headers, status=400)
