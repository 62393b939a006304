"""What the page does where the operator has set the service up in another way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.web.browser import Kept, Visit, expect
from tests.web.conftest import enter
from tests.web.site import Account, Site, serving


def test_where_no_messages_are_kept_one_can_chat_all_the_same(kept: Kept, tmp_path: Path) -> None:
    with serving(tmp_path, CHAT_ENABLE_MESSAGE_HISTORY="false") as site, kept.lent(site.address) as windows:
        visit = windows()
        who = site.account()
        enter(visit, who)
        visit.open()
        visit.write("Hello")
        expect(visit.said("assistant")).to_have_text("Hello")
        handed = site.handed(who)
        visit.write("Again")
        handed.say("As far as this")
        expect(visit.said("assistant").last).to_have_text("As far as this")
        visit.button("Stop").click()
        expect(visit.log.get_by_text("Stopped")).to_be_visible()
        expect(visit.button("Send")).to_be_visible()
        visit.page.reload()
        expect(visit.log.get_by_text("Nothing here yet. Write the first message.")).to_be_visible()


def test_where_registration_is_closed_nobody_is_offered_it(kept: Kept, tmp_path: Path) -> None:
    with serving(tmp_path, CHAT_REGISTRATION="false") as site, kept.lent(site.address) as windows:
        visit = windows().open()
        expect(visit.button("Login")).to_be_visible()
        expect(visit.button("Make an account")).to_have_count(0)


def test_where_personas_are_switched_off_the_page_says_nothing_of_them(kept: Kept, tmp_path: Path) -> None:
    with serving(tmp_path, ENABLE_CHAT_SESSIONS="false") as site, kept.lent(site.address) as windows:
        visit = windows()
        enter(visit, site.account())
        visit.open()
        visit.write("Hello")
        expect(visit.said("assistant")).to_have_text("Hello")
        expect(visit.page.get_by_label("Answered by")).to_have_count(0)
        assert not [one.url for one in visit.requests if "/api/personas" in one.url]


def test_a_chat_whose_making_was_not_answered_is_made_once(site: Site, account: Account, visit: Visit) -> None:
    tried: list[str] = []

    def lose_the_answer(route: Any) -> None:
        tried.append(route.request.headers["idempotency-key"])
        if len(tried) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    visit.page.route("**/chat/sessions", lose_the_answer)
    visit.button("+ New Chat").click()
    visit.page.get_by_label("Title (optional)").fill("Once")
    visit.button("Create").click()
    expect(visit.dialog.get_by_role("alert")).to_have_text("Couldn't reach the service")
    visit.button("Create").click()
    expect(visit.dialog).to_have_count(0)
    visit.page.reload()
    expect(visit.sidebar.locator(".chat-title")).to_have_text(["Once"])
    assert len(tried) == 2
    assert len(set(tried)) == 1


def test_who_is_signed_out_already_may_leave(site: Site, account: Account, visit: Visit) -> None:
    visit.page.wait_for_load_state("networkidle")  # what the page asks for by itself would be refused, and it would say so
    site.expire(account)
    visit.button("Logout").click()
    expect(visit.button("Login")).to_be_visible()
