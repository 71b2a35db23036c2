"""Looking at a page for what keeps people out: axe-core, by its rules of WCAG 2.2 AA."""

from pathlib import Path
from typing import Any

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 320, "height": 900}
LARGE = {"width": 320, "height": 256}
"""What is left of a screen of 1280 by 1024 for whoever has everything four times as large."""
_AXE = """tags => axe.run({
    runOnly: {type: "tag", values: tags}, resultTypes: ["violations", "incomplete"],
}).then(found => [...found.violations, ...found.incomplete.filter(
    each => each.id !== "color-contrast")].map(
    each => `${each.id}: ${each.nodes[0].html.slice(0, 150)}`))"""
"""Where axe cannot tell is found as well; but not colours that are beyond the edge of a frame."""
_RINGS = """() => {
    const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const light = {}, found = [];
    const lightness = colour => light[colour] ??= (() => {
        context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
        const [x, y, z] = [r, g, b].map(n => n / 255).map(
            n => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
        return a ? [0.2126 * x + 0.7152 * y + 0.0722 * z] : [];
    })();
    const behind = e => {
        for (; e; e = e.parentElement) {
            const [found] = lightness(getComputedStyle(e).backgroundColor);
            if (found !== undefined) return found;
        }
        return 1;
    };
    const stops = document.querySelectorAll(
        "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']");
    for (const e of stops) {
        if (!e.checkVisibility({visibilityProperty: true}) || e.disabled) continue;
        e.focus();
        if (document.activeElement !== e) continue;
        const ring = e.matches(":focus-visible") ? getComputedStyle(e) : {outlineStyle: "none"};
        const [a] = lightness(ring.outlineColor ?? "#0000"), b = behind(e.parentElement);
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const box = e.getClientRects()[0];
        const x = box.x + box.width / 2, h = Math.min(box.height / 2, 8);
        const seen = [box.y + h, box.y + box.height / 2, box.bottom - h].map(
            y => document.elementFromPoint(x, y));
        const at = seen.find(each => each);
        const free = !at || seen.some(each => each && (e.contains(each) || each.contains(e)));
        if (ring.outlineStyle === "none" || parseFloat(ring.outlineWidth) < 2 || !(contrast >= 3))
            found.push(`its ring, of ${contrast} to 1: ${e.outerHTML.slice(0, 150)}`);
        if (!free) found.push(
            `${at.outerHTML.slice(0, 60)} covers ${e.outerHTML.slice(0, 150)}`);
    }
    document.activeElement.blur();
    scrollTo(0, 0);
    return found;
}"""
_STUCK = """() => [...document.querySelectorAll("body *")].filter(e =>
    ["sticky", "fixed"].includes(getComputedStyle(e).position) && !e.closest("table") &&
    e.getBoundingClientRect().height > innerHeight / 2).map(e => e.outerHTML.slice(0, 150))"""


def look(page: Any, name: str, *, full: bool = True) -> list[str]:
    """What is wrong with this page (a context with ``bypass_csp``); it is left wide and light.

    All is seen wide and light, and narrow and dark. ``full`` looks at the two other pairs as well,
    at letters of twice the size and at everything four times as large, and at where one is when
    one goes around by keyboard.
    """
    page.evaluate(AXE)
    found = _violations(page, name)
    found += _rings(page, name) if full else []
    page.set_viewport_size(NARROW)
    found += _overflow(page, f"{name}, narrow")
    if full:
        found += _violations(page, f"{name}, narrow")
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        found += _overflow(page, f"{name}, narrow, letters of twice the size")
        page.evaluate("document.documentElement.style.fontSize = ''")
    page.emulate_media(color_scheme="dark")
    found += _violations(page, f"{name}, narrow and dark")
    if full:
        page.set_viewport_size(LARGE)
        found += _overflow(page, f"{name}, four times as large")
        found += _rings(page, f"{name}, four times as large and dark")
        found += [f"{name}: half of it is under {each}" for each in page.evaluate(_STUCK)]
    page.set_viewport_size(WIDE)
    if full:
        found += _violations(page, f"{name}, dark")
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        found += _overflow(page, f"{name}, letters of twice the size")
    page.emulate_media(color_scheme="light")
    return found


def _violations(page: Any, name: str) -> list[str]:
    """What axe finds, and where it cannot tell."""
    return [f"{name}: {each}" for each in page.evaluate(_AXE, TAGS)]


def _rings(page: Any, name: str) -> list[str]:
    """Whoever goes around by keyboard sees where they are: a ring of 3 to 1, and under nothing."""
    return [f"{name}: {each}" for each in page.evaluate(_RINGS)]


def _overflow(page: Any, name: str) -> list[str]:
    """Nobody has to move a page sideways; wide tables scroll in their own frames."""
    over = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return [f"{name}: {over} px too wide"] if over > 0 else []
