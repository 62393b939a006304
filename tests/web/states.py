"""The states of the page, to be looked at: `python -m tests.web.states FOLDER` takes a picture of each, at three widths, light and dark."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chatsvc.responders.base import ResponderError
from tests.api.v1 import rows
from tests.web import browser
from tests.web.browser import Kept, Visit
from tests.web.conftest import enter
from tests.web.site import Account, Site, serving

WIDTHS = (360, 768, 1440)
SCHEMES = ("light", "dark")
REPLY = """Here is a loop that adds up a list:

```python
def total(prices: list[float]) -> float:
    # Adds them one by one
    found = 0.0
    for price in prices:
        found += price
    return round(found, 2)
```

It goes through `prices` from the first to the last:

1. `found` begins at zero,
2. each **price** is added,
3. the result is rounded to *two* digits.

| step | price | found |
|------|------:|------:|
| 1 | 2.50 | 2.50 |
| 2 | 4.00 | 6.50 |

> Python also has `sum(prices)`, which does the same.

See [the tutorial](https://docs.example/loops) or this picture: ![A loop](https://docs.example/loop.png)"""
WORLD = [
    "مرحبا، كيف أزرع النباتات في الظل؟",
    "العديد من النباتات تحب **الظل**، مثل `الهوستا` والسرخس.\n\n- ماء قليل\n- تربة رطبة",
    "日陰を好む植物は？ 🌿",
    "ギボウシ、シダ、アスチルベなどです。👨‍👩‍👧‍👦 水やりは控えめに。",
]
TITLES = [
    "Payment processors",
    "A trip to the mountains in early spring, with everything that one has to take along",
    "Loops in Python",
    "植物と日陰",
    "رسالة شكر",
    "Short",
]


def furnish(site: Site, who: Account) -> dict[str, str]:
    """Chats of different ages."""
    made = {}
    for number, title in enumerate(TITLES):
        made[title] = site.chat(who, title, ["Can you explain a loop to me?", REPLY] if number % 2 == 0 else WORLD)
        rows.set_updated_at(site.app, datetime.now(UTC) - timedelta(days=(0, 0, 1, 5, 20, 300)[number], minutes=number), made[title])
    return made


def state(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def declare(act: Callable[..., None]) -> Callable[..., None]:
        STATES[name] = act
        return act

    return declare


STATES: dict[str, Callable[..., None]] = {}


@state("first-visit")
def first_visit(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open()
    visit.field.wait_for()


@state("sidebar")
def sidebar(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open()
    visit.field.wait_for()
    show_sidebar(visit)
    visit.chat("Loops").hover()


@state("chat")
def chat(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{chats['Loops in Python']}")
    visit.page.locator(".hljs-keyword").first.wait_for()
    visit.log.get_by_role("article", name="Assistant").last.hover()


@state("world")
def world(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{chats['植物と日陰']}")
    visit.page.locator(".formatted").last.wait_for()


@state("streaming")
def streaming(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    handed = site.handed(who)
    visit.open()
    visit.field.wait_for()
    visit.write("Tell me about shade plants")
    handed.say("Many plants like shade. **Hostas**, for one, and")
    visit.said("assistant").get_by_text("Many plants").wait_for()
    site.responder.by_user.pop(who.id)
    LATER.append(lambda: handed.say(None))


@state("waiting")
def waiting(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    handed = site.handed(who)
    visit.open()
    visit.field.wait_for()
    visit.write("Tell me about shade plants")
    visit.log.get_by_role("img", name="Writing").wait_for()
    site.responder.by_user.pop(who.id)
    LATER.append(lambda: handed.say(None))


@state("stopped")
def stopped(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    streaming(visit, site, who, chats)
    visit.button("Stop").click()
    visit.log.get_by_text("Stopped").wait_for()


@state("failed")
def failed(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    site.responder.failing[who.id] = ResponderError("unreachable", "Nobody listens at the model's address")
    visit.open()
    visit.field.wait_for()
    visit.write("Tell me about shade plants")
    visit.log.get_by_text("Details").click()


@state("offline")
def offline(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{chats['Short']}")
    visit.page.locator(".formatted").last.wait_for()
    visit.page.context.set_offline(True)
    visit.write("This one is kept")
    visit.log.get_by_text("Your message is kept here.").wait_for()
    visit.field.fill("A draft of\ntwo lines")


@state("rate-limited")
def rate_limited(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    refusal = {
        "status": 429,
        "headers": {"Retry-After": "42"},
        "content_type": "application/json",
        "body": '{"detail":"Too many requests. Wait, then try again"}',
    }
    visit.page.route("**/api/v1/chat/stream", lambda route: route.fulfill(**refusal))
    visit.open(f"/chat-ui/{chats['Short']}")
    visit.field.wait_for()
    visit.write("One too many")
    visit.page.get_by_text("You can send again").wait_for()
    visit.page.unroute("**/api/v1/chat/stream")


@state("expired")
def expired(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{chats['Short']}")
    visit.page.locator(".formatted").last.wait_for()
    site.expire(who)
    visit.write("Still here")
    visit.dialog.wait_for()
    site.let_in(who)


@state("new-chat")
def new_chat(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{chats['Short']}")
    visit.field.wait_for()
    visit.page.keyboard.press("Control+Shift+O")
    visit.dialog.wait_for()


@state("keys")
def keys(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{chats['Short']}")
    visit.field.wait_for()
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.keyboard.press("?")
    visit.dialog.wait_for()


@state("delete")
def delete(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open()
    visit.field.wait_for()
    show_sidebar(visit)
    visit.chat("Short").hover()
    visit.button("Delete Short").click()
    visit.dialog.wait_for()


@state("deleted")
def deleted(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    delete(visit, site, who, chats)
    visit.dialog.get_by_role("button", name="Delete").click()
    visit.button("Undo").wait_for()
    if visit.page.viewport_size["width"] < 768 and visit.page.locator(".covered").count():
        visit.page.keyboard.press("Escape")


@state("bin")
def bin_(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    with site.app.app_context():
        from chatsvc.core import sessions

        for title in TITLES[:2]:
            sessions.remove(who.id, chats[title])
    visit.open("/chat-ui?deleted=true")
    visit.field.wait_for()
    show_sidebar(visit)


@state("search")
def search(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open("/chat-ui?search=p")
    visit.field.wait_for()
    show_sidebar(visit)
    visit.page.locator("mark").first.wait_for()


@state("empty-search")
def empty_search(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open("/chat-ui?search=nothing")
    visit.field.wait_for()
    show_sidebar(visit)


@state("rename")
def rename(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{chats['Short']}")
    visit.field.wait_for()
    show_sidebar(visit)
    visit.chat("Short").hover()
    visit.button("Rename Short").click()


@state("edit")
def edit(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{chats['Loops in Python']}")
    visit.field.wait_for()
    visit.log.get_by_role("article", name="You").last.hover()
    visit.button("Edit message").last.click()


@state("menu")
def menu(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{chats['Loops in Python']}")
    visit.field.wait_for()
    visit.page.locator("summary[aria-label]").click()


@state("missing")
def missing(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open("/chat-ui/3f7cd70a-e334-4247-8b3b-0d9faee51e94")
    visit.page.get_by_text("This chat is not here.").wait_for()


@state("long")
def long_chat(visit: Visit, site: Site, who: Account, chats: dict[str, str]) -> None:
    visit.open(f"/chat-ui/{site.long_chat(who, 120)}")
    visit.page.locator(".formatted").last.wait_for()
    visit.log.evaluate("(log) => log.scrollTo(0, log.scrollHeight / 2)")
    visit.button("Jump to latest").wait_for()


LATER: list[Callable[[], None]] = []


def show_sidebar(visit: Visit) -> None:
    if visit.page.viewport_size["width"] < 768:
        visit.button("Show chats").click()
    visit.button("+ New Chat").wait_for()


def every_state(chromium: Any, site: Site, take: Callable[[Visit, str], None], names: list[str], **options: Any) -> None:
    """Brings the page into each state, as somebody new each time, and hands it over."""
    kept = Kept(chromium, **options)
    for name in names:
        who = site.account()
        chats = furnish(site, who) if name not in ("sign-in", "first-visit") else {}
        with kept.lent(site.address) as windows:
            visit = windows()
            if name != "sign-in":
                enter(visit, who)
                STATES[name](visit, site, who, chats)
            else:
                visit.open().page.get_by_label("Username").wait_for()
            visit.at_rest(visit.page.locator("#page").inner_html)
            take(visit, name)
            while LATER:
                LATER.pop()()
    kept.context.close()


ALL = ["sign-in", *STATES]


def main(folder: Path, names: list[str]) -> None:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch)) as site, sync_playwright() as playwright:
        chromium = browser.launched(playwright)
        for scheme in SCHEMES:
            for width in WIDTHS:
                options = {"viewport": {"width": width, "height": 780}, "color_scheme": scheme}

                def take(visit: Visit, name: str, mark: str = f"{scheme}-{width}") -> None:
                    visit.page.screenshot(path=str(folder / f"{name}-{mark}.png"))

                every_state(chromium, site, take, names, **options)
        chromium.close()


def for_the_documents(folder: Path) -> None:
    """The pictures that the documents show."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch)) as site, sync_playwright() as playwright:
        chromium = browser.launched(playwright)
        for name, scheme, width in (("chat", "light", 1280), ("chat", "dark", 1280), ("sidebar", "light", 360)):
            path = folder / f"page-{name}-{scheme}.png"
            options = {"viewport": {"width": width, "height": 780}, "color_scheme": scheme}

            def take(visit: Visit, _: str, path: Path = path) -> None:
                visit.page.screenshot(path=str(path))

            every_state(chromium, site, take, [name], **options)
        chromium.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--documents"]:
        for_the_documents(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]), sys.argv[2:] or ALL)
