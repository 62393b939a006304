"""How quick the page is, in a real browser on loopback: at its best of five visits, since other tests share the processor."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.web.browser import EVERYTHING, Visit, expect
from tests.web.site import Account, Site

pytestmark = pytest.mark.skipif(not EVERYTHING, reason="how quick the page is, is measured by make looks")
RUNS = 5
LONG_TASKS = """() => { window.tasks = []; new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((one) => one.duration)))
  .observe({type: "longtask", buffered: false}); }"""


def seconds_until(visit: Visit, path: str, last: Any) -> float:
    began = time.monotonic()
    visit.page.goto(visit.address + path, wait_until="commit")
    last.wait_for(timeout=20_000)
    return time.monotonic() - began


@pytest.mark.parametrize(("amount", "most"), [(2000, 1.0), (5000, 1.0)])
def test_a_long_chat_opens_at_once(site: Site, account: Account, visit: Visit, amount: int, most: float) -> None:
    path = f"/chat-ui/{site.long_chat(account, amount)}"
    last = visit.page.locator(".message .formatted, .message .plain-text", has_text=f"Line {amount - 1}:")
    took = min(seconds_until(visit, path, last) for _ in range(RUNS))
    assert took < most
    assert visit.page.locator(".message").count() <= 100, "it shows a part, not everything"


def test_a_long_chat_scrolls_smoothly(site: Site, account: Account, visit: Visit) -> None:
    path, longest = f"/chat-ui/{site.long_chat(account, 5000)}", []
    for _ in range(3):
        visit.open(path)
        expect(visit.page.locator(".formatted").last).to_be_visible()
        visit.page.wait_for_timeout(500)
        visit.page.evaluate(LONG_TASKS)
        visit.log.hover()
        for _ in range(20):
            visit.page.mouse.wheel(0, -1500)
            visit.page.wait_for_timeout(60)
        assert visit.page.locator(".message").count() >= 150
        longest.append(max(visit.page.evaluate("window.tasks"), default=0))
    assert min(longest) < 100, longest


def test_a_sidebar_of_thousands_of_chats_is_there_at_once(site: Site, account: Account, visit: Visit) -> None:
    site.many_chats(account, 5000)
    took = min(seconds_until(visit, "/chat-ui", visit.sidebar.locator(".chat-title").nth(49)) for _ in range(RUNS))
    assert took < 1.5
    found = visit.page.get_by_label("Search chats")
    began = time.monotonic()
    found.fill("chat 0042")
    expect(visit.sidebar.locator(".chat-title")).to_have_text(["Chat 0042"])
    assert time.monotonic() - began < 1.5


def test_the_first_view_can_be_used_within_a_second_on_a_slow_processor(site: Site, account: Account, visit: Visit) -> None:
    session = visit.page.context.new_cdp_session(visit.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    usable = visit.page.locator("textarea#message:focus")
    took = min(seconds_until(visit, "/chat-ui", usable) for _ in range(RUNS))
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    assert took < 1


def test_a_reply_of_two_hundred_lines_streams_without_holding_the_page_up(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    visit.write("A long answer")
    visit.page.evaluate(LONG_TASKS)
    for n in range(200):
        handed.say(f"{n}. Line with **bold**, `code` and [a link](https://docs.example/{n})\n" + ("\n```python\nx = 1\n```\n\n" if n % 20 == 19 else ""))
    handed.say(None)
    expect(visit.button("Send")).to_be_visible()
    expect(visit.said("assistant")).to_contain_text("Line with bold")
    assert len(re.findall("Line with bold", visit.said("assistant").text_content())) == 200
    assert max(visit.page.evaluate("window.tasks"), default=0) < 250
