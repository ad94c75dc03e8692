"""A page in Chromium that remembers what a payload would have done (tests/faults/payloads.py)."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page

from tests.browser.conftest import TELL_VIOLATIONS

TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


class Window:
    """`found` is what must not be: requests for something evil, dialogs, and what only the content security policy held back."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url, self.visits = url, 0
        self.found: list[str] = []
        self.context = browser.new_context()
        self.context.add_init_script(TELL_VIOLATIONS)
        self.context.on("console", lambda message: self._tell(message.text, message.text.startswith("CSP:")))
        self.context.on("console", lambda message: self._tell(message.text, "Content Security" in message.text))
        self.context.on("request", lambda request: self._tell(request.url, is_evil(request.url)))
        self.context.on("dialog", lambda dialog: (self._tell(dialog.message, True), dialog.dismiss()))
        self.page = self.context.new_page()

    def _tell(self, text: str, counts: bool) -> None:
        if counts:
            self.found.append(text)

    def visit(self, path: str) -> Page:
        self.page.goto(self.url + path, wait_until="load")
        return self.look(path)

    def look(self, where: str) -> Page:
        """After two frames whatever was parsed has run and begun to load."""
        self.page.evaluate(TWO_FRAMES)
        assert self.page.evaluate("window.__xss") is None, where
        assert self.found == [], where
        self.visits += 1
        return self.page


def is_evil(url: str) -> bool:
    address = urlsplit(url)
    return address.path.startswith("/evil") or "evil" in (address.hostname or "")
