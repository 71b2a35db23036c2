"""A browser that remembers what a good page never does."""

from playwright.sync_api import BrowserContext, Page


class Watched:
    """A context of the browser that remembers what a good page never does."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.wrongs: list[str] = []
        self.url = url

    def open(self, path: str) -> Page:
        """A new tab on this path."""
        page = self.context.new_page()
        page.on("console", lambda m: m.type in ("error", "warning") and self._note(m.text))
        page.on("pageerror", lambda e: self._note(str(e)))
        page.on("request", lambda r: self._check_host(r.url))
        page.goto(self.url + path)
        return page

    def _note(self, text: str) -> None:
        # Chromium itself reports every answer of 400 and more: pages that refuse are meant to.
        if "Failed to load resource" not in text:
            self.wrongs.append(text)

    def _check_host(self, url: str) -> None:
        if not url.startswith((self.url, "data:")):
            self.wrongs.append(f"asked {url}")
