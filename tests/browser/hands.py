"""How somebody works a page: by mouse, or by keyboard alone. Both count what they press."""

import re
from typing import Any

_SEEN = """wanted => {
    const e = document.activeElement;
    if (e === document.body) return [false, true];
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const at = document.elementFromPoint(
        box.x + box.width / 2, box.y + Math.min(box.height / 2, 8));
    const free = !at || e.contains(at) || at.contains(e) || box.height > innerHeight;
    return [e === wanted, (ring || e.id === "main") && free];
}"""


class Mouse:
    """Somebody with a mouse. Typing is not counted, as it is not clicked."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.presses = 0

    def find(self, role: str, name: str, *, exact: bool = True) -> Any:
        """The one thing of this role and name; an ellipsis stands for whatever follows it."""
        wanted: Any = re.compile("^" + re.escape(name)) if name.endswith("…") else name
        return self.page.get_by_role(role, name=wanted, exact=exact).first

    def press(self, role: str, name: str, *, exact: bool = True) -> None:
        """Press a link, button or box."""
        self.presses += 1
        self._press(self.find(role, name, exact=exact), "Space" if role == "checkbox" else "Enter")

    def fill(self, label: str, text: str) -> None:
        """Write into a field."""
        self.page.get_by_label(label).first.fill(text)

    def send(self) -> None:
        """Enter, in the field that was written into."""
        self.page.keyboard.press("Enter")

    def look_up(self, text: str) -> None:
        """Search for this everywhere: a key leads to the box on every page."""
        keys = self.page.context.new_cdp_session(self.page)  # Playwright presses no access keys
        key = {"modifiers": 1, "key": "/", "code": "Slash", "unmodifiedText": "/"}
        keys.send("Input.dispatchKeyEvent", {"type": "keyDown", **key})
        keys.send("Input.dispatchKeyEvent", {"type": "keyUp", **key})
        keys.detach()
        self.page.keyboard.insert_text(text)
        self.send()

    def _press(self, target: Any, _key: str) -> None:
        target.click()


class Keyboard(Mouse):
    """Somebody who has no mouse, and has to see where they are at each stop."""

    def fill(self, label: str, text: str) -> None:
        """Write into a field, a key at a time."""
        self._go(self.page.get_by_label(label).first)
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.type(text)

    def _press(self, target: Any, key: str) -> None:
        self._go(target)
        self.page.keyboard.press(key)

    def _go(self, target: Any) -> None:
        wanted = target.element_handle()
        for _ in range(300):
            there, seen = self.page.evaluate(_SEEN, wanted)
            html = "document.activeElement.outerHTML.slice(0, 150)"
            assert seen, f"Where one is cannot be seen: {self.page.evaluate(html)}"
            if there:
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{target} is not reached by Tab.")
