"""Visits of a real browser, and the wrongs that it saw: what every test of the page asks for besides its own question."""

from __future__ import annotations

import os
import re
import shutil
import time
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
PATIENCE = 30  # seconds; other tests share the processor, and what comes true at once is not waited for
if expect is not None:
    expect.set_options(timeout=PATIENCE * 1000)
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A process for each step from page to page is a third of what a visit takes; of strangers' pages, which it keeps apart, there are none here.
    "--process-per-site",
    "--disable-site-isolation-trials",
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
    requests: list[Any] = field(default_factory=list)  # all that the page has asked for

    def watch(self) -> Visit:
        page = self.page
        page.add_init_script(SPY)
        page.on("pageerror", lambda error: self.wrongs.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("console", self._console)
        page.on("request", self._request)
        return self

    def _dialog(self, dialog: Any) -> None:
        self.wrongs.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning") and not REFUSED.match(message.text):
            self.wrongs.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        self.requests.append(request)
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.wrongs.append(f"request: {request.url}")

    def found(self) -> list[str]:
        """Everything that was wrong so far."""
        if self.page.is_closed():
            return self.wrongs
        self.page.wait_for_load_state("domcontentloaded")  # a page that is on its way to another has no answer
        return [*self.wrongs, *(f"policy: {one}" for one in self.page.evaluate("window.breaches ?? []"))]

    # How tests wait: never for so long, always for something.

    def becomes(self, read: Callable[[], Any], wanted: Any) -> None:
        """Reads again and again, until it is so."""
        ends_at = time.monotonic() + PATIENCE
        while (found := read()) != wanted:
            assert time.monotonic() < ends_at, f"{found!r} is not {wanted!r}"
            self.page.wait_for_timeout(20)

    def until(self, true: Callable[[], Any]) -> None:
        self.becomes(lambda: bool(true()), True)

    def painted(self) -> None:
        """What has happened so far is to be seen; for tests that something does not happen."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")

    def at_rest(self, read: Callable[[], Any]) -> Any:
        """What is read once it no longer changes: scrolling goes on for a while."""
        still, before = 0, read()
        ends_at = time.monotonic() + PATIENCE
        while still < 3:
            assert time.monotonic() < ends_at, f"{before!r} changes all the time"
            self.page.wait_for_timeout(20)
            self.painted()
            now = read()
            still, before = (still + 1 if now == before else 0), now
        return before

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
        """Sends a message, as soon as the page lets it go: not while a reply is written."""
        self.field.fill(text)
        expect(self.button("Send", exact=True)).to_be_enabled()
        self.field.press("Enter")

    def said(self, role: str) -> Any:
        """The bubbles of `user` or `assistant`."""
        return self.page.locator(f".message.{role} .bubble")

    def chat(self, title: str) -> Any:
        """A chat's line in the sidebar."""
        return self.sidebar.locator("li").filter(has=self.page.locator(".chat-title", has_text=title))


def launched(playwright: Any) -> Any:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


USUAL = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}


@contextmanager
def context(browser: Any, address: str, **rest: Any) -> Iterator[Callable[[], Visit]]:
    """A person's browser: windows in it share cookies. At its end nothing may have been wrong in any of them."""
    visits: list[Visit] = []
    made = browser.new_context(**{**USUAL, **rest})
    made.set_default_timeout(PATIENCE * 1000)

    def visit() -> Visit:
        visits.append(Visit(made.new_page(), address).watch())
        return visits[-1]

    yield visit
    wrongs = [wrong for one in visits for wrong in one.found()]
    made.close()
    assert wrongs == [], "\n".join(wrongs)


class Kept:
    """A browser that one person after another uses: of what is fetched, the files that never change stay in its cache, and nothing else stays."""

    def __init__(self, browser: Any, **rest: Any) -> None:
        self.browser = browser
        self.options: dict[str, Any] = {**USUAL, "color_scheme": "light", **rest}
        self._begin()

    def _begin(self) -> None:
        self.context = self.browser.new_context(**self.options)
        self.context.set_default_timeout(PATIENCE * 1000)
        self.first = Visit(self.context.new_page(), "").watch()
        self.tools = self.context.new_cdp_session(self.first.page)

    @contextmanager
    def lent(self, address: str) -> Iterator[Callable[[], Visit]]:
        """The same as `context`, in a tenth of the time."""
        visits: list[Visit] = []

        def visit() -> Visit:
            visits.append(Visit(self.context.new_page(), address).watch() if visits else self.first)
            return visits[-1]

        self.first.address = address
        wrongs: list[str] = []
        try:
            yield visit
            wrongs += [wrong for one in visits for wrong in one.found()]
        finally:
            try:
                self._tidy(visits[1:])
            except Error as error:
                wrongs.append(f"the window is beyond use: {error}")
                self._begin()  # whoever comes next is not to blame
        assert wrongs == [], "\n".join(wrongs)

    def _tidy(self, others: list[Visit]) -> None:
        for one in others:
            one.page.close()
        page = self.first.page
        self.context.set_offline(False)
        page.unroute_all(behavior="ignoreErrors")
        page.goto("about:blank")
        self.context.clear_cookies()
        self.context.clear_permissions()
        self.tools.send("Storage.clearDataForOrigin", {"origin": self.first.address, "storageTypes": "local_storage"})
        page.set_viewport_size(self.options["viewport"])
        page.emulate_media(color_scheme=self.options["color_scheme"], reduced_motion=self.options["reduced_motion"])
        self.first.wrongs.clear()
        self.first.requests.clear()


def picture(visit: Visit, path: Path) -> None:
    visit.page.screenshot(path=str(path))
