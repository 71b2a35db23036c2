"""Looking at a page for what keeps people out: axe-core, by its rules of WCAG 2.2 AA."""

from pathlib import Path
from typing import Any

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 320, "height": 900}


def look(page: Any, name: str, *, full: bool = True) -> list[str]:
    """What is wrong with this page (a context with ``bypass_csp``); it is left wide and light.

    ``full`` looks at the narrow page as well, in the dark, where only the colours are others, and
    at letters of twice the size, on both.
    """
    page.evaluate(AXE)
    found = _violations(page, name, {"type": "tag", "values": TAGS})
    page.set_viewport_size(NARROW)
    found += _overflow(page, f"{name}, narrow")
    if full:
        found += _violations(page, f"{name}, narrow", {"type": "tag", "values": TAGS})
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        found += _overflow(page, f"{name}, narrow, letters of twice the size")
        page.evaluate("document.documentElement.style.fontSize = ''")
    page.set_viewport_size(WIDE)
    if full:
        page.emulate_media(color_scheme="dark")
        found += _violations(page, f"{name}, dark", {"type": "rule", "values": COLOURS})
        page.emulate_media(color_scheme="light")
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        found += _overflow(page, f"{name}, letters of twice the size")
    return found


def _violations(page: Any, name: str, which: dict[str, Any]) -> list[str]:
    script = "which => axe.run({runOnly: which, resultTypes: ['violations']})"
    result = page.evaluate(script, which)
    return [f"{name}: {v['id']}: {v['nodes'][0]['html'][:150]}" for v in result["violations"]]


def _overflow(page: Any, name: str) -> list[str]:
    """Nobody has to move a page sideways; wide tables scroll in their own frames."""
    over = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return [f"{name}: {over} px too wide"] if over > 0 else []
