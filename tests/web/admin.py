"""The page for admins, furnished, and its states: `python -m tests.web.admin FOLDER` takes a picture of each, at three widths, light and dark."""

from __future__ import annotations

import random
import sys
import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from chatsvc.core.models import ChatSession, Circuit, Conversation
from chatsvc.extensions import db
from tests.web import browser
from tests.web.browser import Kept, Visit, expect
from tests.web.conftest import enter
from tests.web.site import Account, Site, serving
from tests.web.states import SCHEMES, WIDTHS

ADMIN = "/chat-ui/admin"
KINDS = ("timeout", "unreachable", "bad_status", "bad_response", "circuit_open")
FLOW = {"kind": "webhook", "webhook_url": "http://flows.example/webhook/garden", "secret": "between the two of us"}
MODEL = {"kind": "openai", "model": "small-one", "base_url": "http://models.example/v1"}

# How an exchange ended, how many days ago it began, how many milliseconds it took, and why it failed.
Ended = tuple[str, int, int, str | None]


def exchanges(site: Site, who: Account, persona_id: str, ended: list[Ended]) -> None:
    """Exchanges of one conversation, as they stand in the table."""
    now = datetime.now(UTC)
    talk = {"id": str(uuid.uuid4()), "user_id": who.id, "persona_id": persona_id, "title": None, "created_at": now, "updated_at": now}
    rows = [_row(talk, now - timedelta(days=days), status, took, kind) for status, days, took, kind in ended]
    with site.app.app_context(), db.engine.begin() as connection:
        connection.execute(insert(Conversation).values(**talk))
        connection.execute(insert(ChatSession), rows)


def _row(talk: dict[str, Any], began: datetime, status: str, took: int, kind: str | None) -> dict[str, Any]:
    ended = None if status == "ACTIVE" else began + timedelta(milliseconds=took)
    ids = {"id": str(uuid.uuid4()), "user_id": talk["user_id"], "persona_id": talk["persona_id"], "conversation_id": talk["id"]}
    return {**ids, "status": status, "created_at": began, "updated_at": began, "ended_at": ended, "error_kind": kind}


def open_circuit(site: Site, persona_id: str) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)  # it is open for half a minute, and the tests that look at it take longer
    with site.app.app_context(), db.engine.begin() as connection:
        connection.execute(insert(Circuit).values(persona_id=persona_id, failures=5, opened_at=later))


def furnish(site: Site) -> list[str]:
    """Three months of work of two personas, the same each time, and a third that is switched off."""
    chance = random.Random(5)
    person = site.account()
    made = [site.persona("Gardener", **FLOW), site.persona("Cook", **MODEL), site.persona("Parrot")]
    site.switch(made[2], on=False)
    open_circuit(site, made[0])
    for persona_id in made[:2]:
        ended: list[Ended] = [("ACTIVE", 0, 0, None)] * 3
        for days in range(90):
            ended += [("COMPLETED", days, int(chance.lognormvariate(7, 0.6)), None) for _ in range(chance.randint(3, 30))]
            ended += [("FAILED", days, 3000, chance.choice(KINDS)) for _ in range(chance.choice((0, 0, 0, 1, 2, 5)))]
            ended += [("TIMEOUT", days, 3_600_000, "cleanup") for _ in range(chance.choice((0, 0, 0, 0, 1)))]
            ended += [("CANCELLED", days, 2000, None) for _ in range(chance.choice((0, 0, 1)))]
        exchanges(site, person, persona_id, ended)
    return made


HELD: list[Any] = []


def hold(route: Any) -> None:
    """Lets a request wait until its state was looked at."""
    HELD.append(route)


STATES: dict[str, Callable[[Visit, Site], None]] = {}


def state(name: str) -> Callable[[Callable[[Visit, Site], None]], Callable[[Visit, Site], None]]:
    def declare(act: Callable[[Visit, Site], None]) -> Callable[[Visit, Site], None]:
        STATES[name] = act
        return act

    return declare


def opened(visit: Visit, query: str = "") -> None:
    visit.open(f"{ADMIN}{query}")
    visit.page.get_by_role("row").last.wait_for()
    expect(visit.page.locator(".plots")).to_have_attribute("aria-busy", "false")


@state("admin")
def admin(visit: Visit, site: Site) -> None:
    opened(visit)


@state("admin-quarter")
def quarter(visit: Visit, site: Site) -> None:
    opened(visit, "?days=90")


@state("admin-pointed")
def pointed(visit: Visit, site: Site) -> None:
    opened(visit, "?days=7")
    visit.page.get_by_role("slider").first.press("ArrowLeft")
    visit.page.get_by_text("As a table").first.click()
    visit.page.get_by_role("slider").first.focus()


@state("admin-quiet-persona")
def quiet(visit: Visit, site: Site) -> None:
    opened(visit)
    visit.page.get_by_label("Figures of").select_option("Parrot")
    visit.page.get_by_text("No session has begun in these days.").wait_for()


@state("admin-loading")
def loading(visit: Visit, site: Site) -> None:
    for path in ("**/api/**", "**/auths/users*"):
        visit.page.route(path, hold)
    visit.open(ADMIN)
    visit.page.get_by_role("heading", name="How it is going").wait_for()


@state("admin-failed")
def failed(visit: Visit, site: Site) -> None:
    visit.page.route("**/api/**", lambda route: route.fulfill(status=503, json={"success": False, "message": "The database is away"}))
    visit.open(ADMIN)
    visit.page.get_by_text("Couldn't load the figures.").wait_for()


@state("admin-persona-form")
def form(visit: Visit, site: Site) -> None:
    opened(visit)
    visit.button("Edit Gardener").click()
    visit.dialog.wait_for()


@state("admin-refused")
def refused(visit: Visit, site: Site) -> None:
    visit.page.context.clear_cookies()
    enter(visit, site.account())
    visit.open(ADMIN)
    visit.page.get_by_role("heading", name="For admins only").wait_for()


@state("chat-persona")
def chat_persona(visit: Visit, site: Site) -> None:
    visit.open()
    visit.page.get_by_label("Answered by").select_option("Gardener")


@state("chat-new-persona")
def new_chat(visit: Visit, site: Site) -> None:
    visit.open()
    visit.page.get_by_label("Answered by").wait_for()
    visit.page.keyboard.press("Control+Shift+O")
    visit.dialog.wait_for()


@state("chat-switched-off")
def switched_off(visit: Visit, site: Site) -> None:
    parrot = site.persona("Talkative parrot from the islands of the south")
    visit.open()
    visit.page.get_by_label("Answered by").select_option(parrot)
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("Hello")
    site.switch(parrot, on=False)
    visit.write("Still there?")
    visit.log.get_by_text("is switched off").wait_for()


def every_state(chromium: Any, site: Site, take: Callable[[Visit, str], None], **options: Any) -> None:
    """Brings the page into each state, as a new admin each time, and hands it over."""
    kept = Kept(chromium, **options)
    for name, act in STATES.items():
        with kept.lent(site.address) as windows:
            visit = windows()
            enter(visit, site.admin())
            act(visit, site)
            visit.at_rest(visit.page.locator("#page").inner_html)
            take(visit, name)
            while HELD:
                HELD.pop().abort()
            visit.painted()
    kept.context.close()


def whole(visit: Visit) -> None:
    """As high a window as there is something to show."""
    height = visit.page.evaluate("document.querySelector('.admin')?.scrollHeight ?? 0")
    width = visit.page.viewport_size["width"]
    visit.page.set_viewport_size({"width": width, "height": max(780, height)})
    visit.painted()


def main(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    for scheme in SCHEMES:
        for width in WIDTHS:

            def take(visit: Visit, name: str, mark: str = f"{scheme}-{width}") -> None:
                whole(visit)
                visit.page.screenshot(path=str(folder / f"{name}-{mark}.png"))

            with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch)) as site, sync_playwright() as playwright:
                furnish(site)
                chromium = browser.launched(playwright)
                every_state(chromium, site, take, viewport={"width": width, "height": 780}, color_scheme=scheme)
                chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
