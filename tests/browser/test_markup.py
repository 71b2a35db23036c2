"""The HTML of every page, without a browser, which would mend what is wrong with it."""

import re
from typing import Any

import pytest
import webtest

from cloudweb.views.dashboard.topics import TOPICS
from tests.browser.soundness import faults_of

pytestmark = pytest.mark.slow

MOST_A_SECOND = 1 / 2.5
"""How often a page may ask for parts of itself, all of them together."""


def test_every_page_is_sound_and_does_not_ask_for_itself_too_often(
    dashboard: Any, world: Any
) -> None:
    app, wrong, lively = webtest.TestApp(dashboard), {}, 0
    helped = {f"help-{topic.page}": f"/admin/help/{topic.page}" for topic in TOPICS}
    for name, path in (world.pages | helped).items():
        cookie = f"cloudweb={world.cookies.get(name, world.cookie)}"
        html = app.get(path, headers={"Cookie": cookie}, status="*").text
        found = faults_of(html)
        every = [int(seconds) for seconds in re.findall(r'hx-trigger="every (\d+)s', html)]
        lively += bool(every)
        if sum(1 / seconds for seconds in every) > MOST_A_SECOND:
            found.append(f"it asks for itself every {every} seconds")
        if found:
            wrong[name] = found
    assert wrong == {}
    assert lively > 20
