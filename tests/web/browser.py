"""Visits of a real browser, and the wrongs that it saw: what every test of the page asks for besides its own question."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
WHY_NOT = (
    "no Chromium here: `make browser` installs it"
    if CHROMIUM is None
    else "no Playwright here: it is in requirements-dev.txt"
    if find_spec("playwright") is None
    else ""
)
_playwright: Any = None if WHY_NOT else import_module("playwright.sync_api")
# What tests say of a page, waiting for it to come true; without a browser they are skipped before they say it.
expect: Any = getattr(_playwright, "expect", None)
Error: Any = getattr(_playwright, "Error", None)
if expect is not None:
    expect.set_options(timeout=20_000)  # other tests share the processor
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing but this machine can be found by name: a request to elsewhere fails, and is told of.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]
# Refusals that a test causes on purpose are the service's words, no wrongs of the page.
REFUSED = re.compile(r"Failed to load resource: (the server responded with a status of (4\d\d|50[234])|net::ERR_)")
SPY = """
window.breaches = [];
document.addEventListener("securitypolicyviolation", (event) => window.breaches.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
# The fast suite takes one look at each thing; `make looks` takes all of them, and measures how quick the page is.
EVERYTHING = bool(os.environ.get("CHAT_TEST_ALL_LOOKS"))


@dataclass
class Visit:
    """One window of one person, at one service."""

    page: Any
    address: str
    wrongs: list[str] = field(default_factory=list)

    def watch(self) -> None:
        page = self.page
        page.add_init_script(SPY)
        page.on("pageerror", lambda error: self.wrongs.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("console", self._console)
        page.on("request", self._request)

    def _dialog(self, dialog: Any) -> None:
        self.wrongs.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning") and not REFUSED.match(message.text):
            self.wrongs.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.wrongs.append(f"request: {request.url}")

    def found(self) -> list[str]:
        """Everything that was wrong so far."""
        breaches = [] if self.page.is_closed() else self.page.evaluate("window.breaches ?? []")
        return [*self.wrongs, *(f"policy: {one}" for one in breaches)]

    # What people see and do.

    def open(self, path: str = "/chat-ui") -> Visit:
        self.page.goto(self.address + path)
        return self

    def button(self, name: str, **rest: Any) -> Any:
        return self.page.get_by_role("button", name=name, **rest)

    @property
    def field(self) -> Any:
        return self.page.get_by_label("Message", exact=True)

    @property
    def log(self) -> Any:
        return self.page.get_by_role("log")

    @property
    def dialog(self) -> Any:
        return self.page.get_by_role("dialog")

    @property
    def sidebar(self) -> Any:
        return self.page.get_by_role("navigation", name="Chats")

    def sign_in(self, name: str, password: str) -> Visit:
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.button("Login").click()
        self.field.wait_for()
        return self

    def write(self, text: str) -> None:
        self.field.fill(text)
        self.field.press("Enter")

    def said(self, role: str) -> Any:
        """The bubbles of `user` or `assistant`."""
        return self.page.locator(f".message.{role} .bubble")

    def chat(self, title: str) -> Any:
        """A chat's line in the sidebar."""
        return self.sidebar.locator("li").filter(has=self.page.locator(".chat-title", has_text=title))


def launched(playwright: Any) -> Any:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@contextmanager
def context(browser: Any, address: str, **rest: Any) -> Iterator[Callable[[], Visit]]:
    """A person's browser: windows in it share cookies. At its end nothing may have been wrong in any of them."""
    visits: list[Visit] = []
    options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **rest}
    made = browser.new_context(**options)
    made.set_default_timeout(20_000)

    def visit() -> Visit:
        one = Visit(made.new_page(), address)
        one.watch()
        visits.append(one)
        return one

    yield visit
    wrongs = [wrong for one in visits for wrong in one.found()]
    made.close()
    assert wrongs == [], "\n".join(wrongs)


def picture(visit: Visit, path: Path) -> None:
    visit.page.screenshot(path=str(path))
