"""Takes a picture of every page: what ``make screenshots`` runs; no test, so of another name."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"color_scheme": "light", "viewport": {"width": 320, "height": 640}},
    "contrast": {"forced_colors": "active"},
    "vast": {"viewport": {"width": 3840, "height": 2160}},
}
QUALITY = 45
"""Of WebP: letters stay sharp, and a page takes some 20 KB."""
LONGEST = 2000
"""Points of a page from its top that are in the picture."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("look", LOOKS)
def test_pictures(look: str, browse: Callable, world: Any) -> None:
    wanted = os.environ.get("CLOUDWEB_PICTURES_LOOKS", "light dark narrow").split()
    if look in wanted:
        folder = Path(os.environ["CLOUDWEB_PICTURES"])
        options = {"viewport": {"width": 1280, "height": 800}} | LOOKS[look]
        page = browse(**options).open("/terms")
        for name in os.environ.get("CLOUDWEB_PICTURES_ONLY", "").split() or world.pages:
            world.show(page, name)
            (folder / f"{name}-{look}.webp").write_bytes(_picture(page))


def _picture(page: Any) -> bytes:
    """The whole page as WebP, which Playwright's own pictures cannot be.

    It is taken on a screen of the page's height, where what stays in sight covers nothing.
    """
    devtools, usual = page.context.new_cdp_session(page), page.viewport_size
    height = devtools.send("Page.getLayoutMetrics")["cssContentSize"]["height"]
    page.set_viewport_size(usual | {"height": max(min(height, LONGEST), usual["height"])})
    options = {"format": "webp", "quality": QUALITY}
    picture = devtools.send("Page.captureScreenshot", options)["data"]
    page.set_viewport_size(usual)
    devtools.detach()
    return base64.b64decode(picture)
