"""The details that people expect of a chat page; `docs/page.md` lists them, each with its test."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.v1 import rows
from tests.web import browser
from tests.web.browser import EVERYTHING, Visit, expect
from tests.web.conftest import Windows, enter
from tests.web.site import Account, Site

LONG = [f"Paragraph {n}. " + "Some words that make it longer. " * 6 for n in range(30)]


def distance_from_end(visit: Visit) -> float:
    return float(visit.log.evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight"))


# 1, 2, 3: writing


@pytest.mark.parametrize("key", ["Enter", "Control+Enter", "Meta+Enter"])
def test_enter_sends(visit: Visit, key: str) -> None:
    visit.field.fill("Hello")
    visit.field.press(key)
    expect(visit.said("user")).to_have_text(["Hello"])
    expect(visit.field).to_have_value("")
    expect(visit.field).to_be_focused()


def test_shift_and_enter_break_the_line(visit: Visit) -> None:
    visit.field.press_sequentially("One")
    visit.field.press("Shift+Enter")
    visit.field.press_sequentially("Two")
    expect(visit.field).to_have_value("One\nTwo")
    visit.field.press("Enter")
    expect(visit.said("user")).to_have_text(["One\nTwo"], use_inner_text=True)


@pytest.mark.parametrize("how", ["{isComposing: true}", "{keyCode: 229}"])
def test_enter_that_chooses_a_character_does_not_send(visit: Visit, how: str) -> None:
    visit.field.fill("にほん")
    visit.field.evaluate(f"(field) => field.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true, cancelable: true, ...{how}}}))")
    visit.painted()
    expect(visit.said("user")).to_have_count(0)
    expect(visit.field).to_have_value("にほん")
    expect(visit.button("Send", exact=True)).to_be_enabled()


def test_nothing_is_sent_that_has_no_words(visit: Visit) -> None:
    visit.field.fill("  \n ")
    expect(visit.button("Send")).to_be_disabled()
    visit.field.press("Enter")
    expect(visit.said("user")).to_have_count(0)


def test_the_field_grows_to_a_third_of_the_page_and_then_scrolls(visit: Visit) -> None:
    def height() -> float:
        return float(visit.field.bounding_box()["height"])

    assert height() < 50
    visit.field.fill("\n".join("line" for _ in range(5)))
    visit.until(lambda: 50 < height() < 200)
    visit.field.fill("\n".join("line" for _ in range(100)))
    visit.until(lambda: 200 < height() <= 800 / 3 + 1)
    visit.until(lambda: visit.field.evaluate("(field) => field.scrollHeight > field.clientHeight"))


def test_each_chat_keeps_its_own_draft(site: Site, account: Account, visit: Visit) -> None:
    for n in (1, 2):
        site.chat(account, f"Trip {n}", ["Hello"])
    visit.page.reload()
    visit.field.fill("For a new chat")
    visit.chat("Trip 1").click()
    expect(visit.field).to_have_value("")
    visit.field.fill("For the first")
    visit.chat("Trip 2").click()
    expect(visit.field).to_have_value("")
    visit.page.go_back()
    expect(visit.field).to_have_value("For the first")
    visit.page.reload()
    expect(visit.field).to_have_value("For the first")
    visit.open()
    expect(visit.field).to_have_value("For a new chat")
    visit.button("Logout").click()
    visit.page.get_by_role("heading", name="Sign in").wait_for()
    visit.until(lambda: "For the first" not in visit.page.evaluate("JSON.stringify(localStorage)"))


# 6: stopping by key


def test_escape_stops_the_reply(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    visit.write("Hello")
    handed.say("So far")
    expect(visit.said("assistant")).to_have_text("So far")
    visit.page.keyboard.press("Escape")
    expect(visit.log.get_by_text("Stopped")).to_be_visible()
    expect(visit.said("assistant")).to_have_text("So far")


def test_a_reply_is_stopped_before_its_first_word(site: Site, account: Account, visit: Visit) -> None:
    site.handed(account)
    visit.write("Hello")
    visit.button("Stop").click()
    expect(visit.log.get_by_text("Stopped")).to_be_visible()
    expect(visit.button("Send")).to_be_visible()


# 7, 8, 9: scrolling


def test_who_reads_the_end_stays_there_and_who_reads_further_up_is_left_alone(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    visit.write("Hello")
    for paragraph in LONG[:15]:
        handed.say(paragraph + "\n\n")
    expect(visit.said("assistant")).to_contain_text("Paragraph 14")
    visit.until(lambda: distance_from_end(visit) < 5)
    expect(visit.button("Jump to latest")).to_have_count(0)
    visit.log.hover()
    visit.page.mouse.wheel(0, -600)
    expect(visit.button("Jump to latest")).to_be_visible()
    before = visit.at_rest(lambda: visit.log.evaluate("(log) => log.scrollTop"))
    for paragraph in LONG[15:]:
        handed.say(paragraph + "\n\n")
    expect(visit.said("assistant")).to_contain_text("Paragraph 29")
    visit.painted()
    assert visit.log.evaluate("(log) => log.scrollTop") == before
    visit.button("Jump to latest").click()
    expect(visit.button("Jump to latest")).to_have_count(0)
    visit.until(lambda: distance_from_end(visit) < 5)
    handed.say(None)


def test_text_that_streams_in_moves_nothing_above_it(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    visit.write("Hello")
    expect(visit.log.get_by_role("img", name="Writing")).to_be_visible()
    expect(visit.chat("Hello")).to_be_visible()
    mine = visit.at_rest(visit.said("user").bounding_box)
    reply = visit.at_rest(visit.said("assistant").bounding_box)
    pieces = {
        "One ": visit.said("assistant").get_by_text("One"),
        "two ": visit.said("assistant").get_by_text("One two"),
        "three.\n\n": visit.said("assistant").get_by_text("One two three."),
        "```python\nx = 1\n```\n\n": visit.said("assistant").get_by_text("x = 1"),
        "| a | b |\n|---|---|\n| 1 | 2 |\n": visit.said("assistant").get_by_role("table"),
    }
    for piece, shown in pieces.items():
        handed.say(piece)
        expect(shown).to_be_visible()
        visit.painted()
        assert visit.said("user").bounding_box() == mine
        assert visit.said("assistant").bounding_box()["y"] == reply["y"]
    handed.say(None)
    expect(visit.button("Send")).to_be_visible()
    assert visit.said("user").bounding_box() == mine


def test_earlier_messages_come_as_one_scrolls_and_push_nothing(site: Site, account: Account, visit: Visit) -> None:
    chat_id = site.long_chat(account, 180)
    visit.open(f"/chat-ui/{chat_id}")
    expect(visit.page.locator(".message").last).to_contain_text("Line 179")
    assert visit.page.locator(".message").count() < 120
    watched = visit.page.locator(".message", has_text="Line 130:")
    visit.log.evaluate("(log) => log.scrollTo(0, 0)")
    expect(visit.page.locator(".message")).to_have_count(100)
    assert 0 < visit.at_rest(watched.bounding_box)["y"] < 300, "what was at the top is still there, and the earlier ones are above it"
    visit.log.hover()

    def all_there() -> bool:
        visit.page.mouse.wheel(0, -3000)
        return bool(visit.page.locator(".message").count() == 180)

    visit.until(all_there)
    expect(visit.page.locator(".message").first).to_contain_text("Line 0:")
    numbers = [int(re.findall(r"Line (\d+):", one)[0]) for one in visit.page.locator(".message .bubble").all_text_contents()]
    assert numbers == list(range(180))


# 10: copying


def test_code_and_messages_are_copied_with_a_word(site: Site, account: Account, windows: Windows) -> None:
    visit = windows()
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    words = "Look:\n\n```python\nx = 1\nprint(x)\n```"
    visit.open(f"/chat-ui/{site.chat(account, 'Code', ['Show me', words])}")
    expect(visit.page.locator(".code-name")).to_have_text("python")
    expect(visit.page.locator(".hljs-built_in, .hljs-number").first).to_be_attached()
    visit.button("Copy code").click()
    expect(visit.page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    visit.becomes(lambda: visit.page.evaluate("navigator.clipboard.readText()"), "x = 1\nprint(x)\n")
    visit.log.get_by_role("article", name="Assistant").hover()
    visit.button("Copy message").last.click()
    visit.becomes(lambda: visit.page.evaluate("navigator.clipboard.readText()"), words)
    visit.page.evaluate("navigator.clipboard.writeText('')")
    visit.page.keyboard.press("Control+Shift+Y")
    visit.becomes(lambda: visit.page.evaluate("navigator.clipboard.readText()"), words)


# 11: nothing of the kind while a reply is written


def test_nothing_is_edited_or_asked_again_while_a_reply_is_written(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    handed.say("First", None)
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("First")
    expect(visit.button("Send")).to_be_visible()
    visit.write("More")
    expect(visit.button("Stop")).to_be_visible()
    for name in ("Edit message", "Delete message"):
        expect(visit.button(name).first).to_be_disabled()
    expect(visit.button("Retry")).to_have_count(0)
    handed.say(None)


# 12, 14: the address and the title


def test_back_and_forward_go_from_chat_to_chat(site: Site, account: Account, visit: Visit) -> None:
    for n in (1, 2):
        site.chat(account, f"Trip {n}", [f"Words of {n}"])
    visit.page.reload()
    expect(visit.page).to_have_title("New chat · chatsvc")
    for n in (1, 2):
        visit.chat(f"Trip {n}").click()
        expect(visit.page).to_have_title(f"Trip {n} · chatsvc")
    visit.page.go_back()
    expect(visit.said("user")).to_have_text(["Words of 1"])
    expect(visit.page).to_have_title("Trip 1 · chatsvc")
    visit.page.go_back()
    expect(visit.page.get_by_text("What would you like to talk about?")).to_be_visible()
    visit.page.go_forward()
    visit.page.reload()
    expect(visit.said("user")).to_have_text(["Words of 1"])
    expect(visit.chat("Trip 1").get_by_role("link")).to_have_attribute("aria-current", "page")


# 15, 16, 19: the list


def test_chats_are_grouped_by_age_newest_first(site: Site, account: Account, visit: Visit) -> None:
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    ages = {"Now": 0, "Day before": 1, "This week": 4, "This month": 20, "Long ago": 400}
    for title, days in ages.items():
        moment = datetime.now(UTC) if days == 0 else noon - timedelta(days=days)
        rows.set_updated_at(site.app, moment, site.chat(account, title))
    visit.page.reload()
    expect(visit.sidebar.get_by_role("heading", level=3)).to_have_text(["Today", "Yesterday", "Last 7 days", "Last 30 days", "Older"])
    expect(visit.sidebar.locator(".chat-title")).to_have_text(list(ages))
    times = visit.sidebar.locator("time").all_inner_texts()
    assert re.fullmatch(r"\d\d:\d\d", times[0])
    assert times[1] == "Yesterday"
    assert re.fullmatch(r"\d+ \w{3,4}", times[2])
    assert re.fullmatch(r"\d+ \w{3,4} \d{4}", times[4])


def test_the_list_goes_on_by_scrolling_and_by_a_button(site: Site, account: Account, visit: Visit) -> None:
    site.many_chats(account, 130)
    visit.page.reload()
    expect(visit.sidebar.locator(".chat-title")).to_have_count(50)
    more = visit.button("Load more")
    more.evaluate("(button) => button.focus({preventScroll: true})")  # coming into view, it would do its work by itself
    visit.page.keyboard.press("Enter")
    expect(visit.sidebar.locator(".chat-title")).to_have_count(100)
    visit.sidebar.locator(".list").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
    expect(visit.sidebar.locator(".chat-title")).to_have_count(130)
    expect(more).to_have_count(0)
    assert len(set(visit.sidebar.locator(".chat-title").all_text_contents())) == 130


def test_the_title_appears_by_itself_and_what_is_used_goes_to_the_top(site: Site, account: Account, visit: Visit) -> None:
    site.chat(account, "Older", ["Hello"])
    site.chat(account, "Newer", ["Hello"])
    visit.page.reload()
    visit.write("Which plants like shade?")
    expect(visit.sidebar.locator(".chat-title")).to_have_text(["Which plants like shade?", "Newer", "Older"])
    expect(visit.page.get_by_role("heading", name="Which plants like shade?")).to_be_visible()
    visit.chat("Older").click()
    visit.write("Again")
    expect(visit.sidebar.locator(".chat-title")).to_have_text(["Older", "Which plants like shade?", "Newer"])


# 17, 18: renaming and deleting


def test_a_rename_is_saved_by_enter_and_by_leaving_and_not_by_escape(site: Site, account: Account, visit: Visit) -> None:
    site.chat(account, "Trip", ["Hello"])
    visit.page.reload()
    field = visit.page.get_by_label("Title of the chat")
    for key, typed, shown in (("Escape", "No", "Trip"), ("Enter", "One", "One"), ("Tab", "Two", "Two")):
        item = visit.sidebar.locator(".chat")
        item.hover()
        item.get_by_role("button", name="Rename").click()
        expect(field).to_be_focused()
        field.fill(typed)
        field.press(key)
        expect(visit.sidebar.locator(".chat-title")).to_have_text([shown])
        if key != "Tab":
            expect(item.get_by_role("link")).to_be_focused()
    visit.sidebar.locator(".chat").click()
    visit.page.get_by_role("heading", level=1).get_by_role("button").click()
    field.fill("Three")
    field.press("Enter")
    expect(visit.chat("Three")).to_be_visible()
    expect(visit.page.get_by_role("heading", name="Three").get_by_role("button")).to_be_focused()


def test_deleting_asks_first_with_the_focus_on_cancel_and_goes_on_to_the_neighbour(site: Site, account: Account, visit: Visit) -> None:
    for n in range(3):
        site.chat(account, f"Trip {n}", ["Hello"])
    visit.page.reload()
    visit.chat("Trip 1").hover()
    visit.button("Delete Trip 1").click()
    expect(visit.dialog.get_by_role("button", name="Cancel")).to_be_focused()
    visit.page.keyboard.press("Escape")
    expect(visit.dialog).to_have_count(0)
    expect(visit.button("Delete Trip 1")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.dialog.get_by_role("button", name="Cancel")).to_be_focused()
    visit.page.keyboard.press("Tab")
    expect(visit.dialog.get_by_role("button", name="Delete")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.chat("Trip 1")).to_have_count(0)
    expect(visit.chat("Trip 0").get_by_role("link")).to_be_focused()
    expect(visit.button("Undo")).to_be_visible()


def test_the_way_back_is_offered_for_as_long_as_one_needs_to_see_it(site: Site, account: Account, chromium: Any) -> None:
    site.chat(account, "Trip", ["Hello"])
    with browser.context(chromium, site.address) as windows:
        visit = windows()
        visit.page.clock.install()
        enter(visit, account)
        visit.open()
        expect(visit.chat("Trip")).to_be_visible()  # what still waits for time to pass would wait for ever
        visit.page.clock.pause_at(visit.page.evaluate("Date.now()") + 3_600_000)  # from now on time passes as told
        visit.chat("Trip").hover()
        visit.button("Delete Trip").click()
        visit.dialog.get_by_role("button", name="Delete").click()
        expect(visit.button("Undo")).to_be_visible()
        visit.page.clock.run_for(7_000)
        expect(visit.button("Undo")).to_be_visible()
        visit.page.clock.run_for(2_000)
        expect(visit.button("Undo")).to_have_count(0)


# 21, 22: keyboard and focus


def test_the_keys_do_what_the_list_says(site: Site, account: Account, visit: Visit) -> None:
    visit.page.keyboard.press("Control+k")
    expect(visit.page.get_by_label("Search chats")).to_be_focused()
    visit.page.keyboard.press("Shift+Escape")
    expect(visit.field).to_be_focused()
    visit.page.keyboard.press("Control+Shift+S")
    expect(visit.button("+ New Chat")).not_to_be_in_viewport()
    visit.page.keyboard.press("Control+Shift+S")
    expect(visit.button("+ New Chat")).to_be_in_viewport()
    visit.field.press_sequentially("Why?")
    expect(visit.field).to_have_value("Why?")
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.keyboard.press("?")
    expect(visit.dialog).to_contain_text("Search chats")
    visit.page.keyboard.press("Escape")
    expect(visit.dialog).to_have_count(0)
    visit.page.keyboard.press("Control+Shift+O")
    expect(visit.page.get_by_label("Title (optional)")).to_be_focused()


def test_everything_is_done_by_keyboard_alone(site: Site, account: Account, visit: Visit) -> None:
    keys = visit.page.keyboard
    expect(visit.field).to_be_focused()
    keys.type("Hello by keyboard")
    keys.press("Enter")
    expect(visit.said("assistant")).to_have_text("Hello by keyboard")
    expect(visit.button("Send")).to_be_visible()
    keys.press("Control+Shift+O")
    expect(visit.page.get_by_label("Title (optional)")).to_be_focused()
    keys.type("Second")
    keys.press("Enter")
    expect(visit.chat("Second")).to_be_visible()
    expect(visit.field).to_be_focused()
    keys.press("Control+k")
    expect(visit.page.get_by_label("Search chats")).to_be_focused()
    focused = "document.activeElement.closest('.chat')?.innerText ?? document.activeElement.innerText"
    reached = []
    for _ in range(12):  # the buttons of the sidebar and three stops for each chat
        keys.press("Tab")
        reached.append(visit.page.evaluate(focused))
    assert any("Second" in one for one in reached), reached
    assert any("Hello by keyboard" in one for one in reached), reached
    visit.chat("Hello by keyboard").get_by_role("link").focus()
    keys.press("Enter")
    expect(visit.said("user")).to_have_text(["Hello by keyboard"])
    outlines = visit.page.evaluate(
        """() => [...document.querySelectorAll("button:not(:disabled), a, input, textarea, summary")].filter((one) => one.checkVisibility()).filter((one) => {
          one.focus();
          const style = getComputedStyle(one), box = getComputedStyle(one.closest(".composer-box, label") ?? one);
          const beside = one.nextElementSibling ? getComputedStyle(one.nextElementSibling) : box;
          return document.activeElement === one && [style, box, beside].every((found) => found.outlineStyle === "none");
        }).map((one) => one.outerHTML)"""
    )
    assert outlines == [], "each shows where the focus is"


def test_the_first_key_skips_to_the_field(visit: Visit) -> None:
    first = visit.page.evaluate("document.querySelector('a, button, input, textarea, summary, [tabindex]').className")
    assert first == "skip"
    skip = visit.page.get_by_role("link", name="Skip to the message field")
    expect(skip).not_to_be_in_viewport()
    skip.focus()
    expect(skip).to_be_in_viewport()
    visit.page.keyboard.press("Enter")
    expect(visit.field).to_be_focused()


# 23: what is spoken


def test_a_reply_is_announced_when_it_begins_and_ends_and_never_word_by_word(site: Site, account: Account, visit: Visit) -> None:
    visit.page.evaluate(
        """() => { window.spoken = []; const region = document.querySelector(".unseen[role=status]");
        new MutationObserver(() => region.textContent.trim() && window.spoken.push(region.textContent.trim())).observe(region, {childList: true, characterData: true, subtree: true}); }"""
    )
    handed = site.handed(account)
    visit.write("Hello")
    visit.until(lambda: "Generating" in visit.page.evaluate("window.spoken"))
    for word in ("One ", "two ", "three"):
        handed.say(word)
        expect(visit.said("assistant")).to_contain_text(word.strip())
    handed.say(None)
    expect(visit.button("Send")).to_be_visible()
    visit.until(lambda: "Reply ready" in visit.page.evaluate("window.spoken"))
    spoken = visit.page.evaluate("window.spoken")
    assert spoken[0] == "Generating"
    assert not any("two" in one for one in spoken)
    expect(visit.log).to_have_attribute("aria-live", "off")


# 24: colours, motion, widths


def test_the_chosen_colours_are_there_before_the_first_paint(visit: Visit) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = visit.page.evaluate(ground)
    visit.page.get_by_text("Dark", exact=True).click()
    visit.becomes(lambda: visit.page.evaluate("document.documentElement.dataset.theme"), "dark")
    dark = visit.page.evaluate(ground)
    assert light != dark
    visit.page.reload(wait_until="commit")
    visit.page.wait_for_selector("#page", state="attached")
    assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert visit.page.evaluate(ground) == dark
    visit.page.get_by_text("System", exact=True).click()
    visit.page.emulate_media(color_scheme="dark")
    visit.becomes(lambda: visit.page.evaluate(ground), dark)
    visit.page.emulate_media(color_scheme="light")
    visit.becomes(lambda: visit.page.evaluate(ground), light)


def test_nothing_moves_for_those_who_wish_so(visit: Visit) -> None:
    visit.page.emulate_media(reduced_motion="reduce")
    longest = """() => Math.max(...[...document.querySelectorAll("*")].flatMap((one) => getComputedStyle(one).transitionDuration.split(",").map(parseFloat)))"""
    visit.becomes(lambda: visit.page.evaluate(longest), 0)
    visit.page.emulate_media(reduced_motion="no-preference")
    visit.until(lambda: 0 < visit.page.evaluate(longest) <= 0.15)


WIDE = "x" * 300
BUSY = [
    "Hello " + WIDE,
    f"# Title {WIDE}\n\n```python\n{WIDE}\n```\n\n| {' | '.join('column' for _ in range(12))} |\n|{'---|' * 12}\n| {' | '.join('12345678' for _ in range(12))} |",
]


@pytest.mark.parametrize("width", [320, 360, 768, 1440] if EVERYTHING else [320, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_width_needs_a_sideways_scroll_of_the_page(site: Site, account: Account, visit: Visit, width: int, scheme: str) -> None:
    chat_id = site.chat(account, f"A title that is long {WIDE[:100]}", BUSY)
    visit.page.set_viewport_size({"width": width, "height": 640})
    visit.page.emulate_media(color_scheme=scheme)
    wider = "[...document.querySelectorAll('main *')].filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === 'visible' && one.clientWidth).map((one) => one.className)"
    there = {
        "/chat-ui": visit.page.get_by_text("What would you like to talk about?"),
        f"/chat-ui/{chat_id}": visit.said("assistant").get_by_role("table"),
        "/chat-ui?deleted=true": visit.page.get_by_text("Nothing is deleted."),
    }
    for path, shown in there.items():
        visit.open(path)
        visit.field.wait_for()
        expect(shown).to_be_attached()
        visit.painted()
        visit.until(lambda: visit.page.evaluate("document.documentElement.scrollWidth") <= width)
        visit.becomes(lambda: visit.page.evaluate(wider), [])
        box = visit.button("Send").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_on_a_phone_the_sidebar_is_a_drawer(site: Site, account: Account, visit: Visit) -> None:
    site.chat(account, "Trip", ["Words of the trip"])
    visit.page.set_viewport_size({"width": 360, "height": 640})
    visit.page.reload()
    expect(visit.button("+ New Chat")).to_have_count(0)
    visit.button("Show chats").click()
    expect(visit.button("+ New Chat")).to_be_focused()
    expect(visit.page.locator("main")).to_have_attribute("inert", "")  # what lies behind the drawer is not reached
    visit.page.keyboard.press("Escape")
    expect(visit.button("+ New Chat")).to_have_count(0)
    visit.button("Show chats").click()
    visit.chat("Trip").click()
    expect(visit.said("user")).to_have_text(["Words of the trip"])
    expect(visit.button("+ New Chat")).to_have_count(0)


def test_on_touch_the_actions_are_always_there(site: Site, account: Account, chromium: Any) -> None:
    site.chat(account, "Trip", ["Hello", "Hi"])
    with browser.context(chromium, site.address, has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740}) as windows:
        visit = windows()
        enter(visit, account)
        visit.open()
        visit.button("Show chats").tap()
        expect(visit.button("Rename Trip")).to_have_css("opacity", "1")
        for name in ("Rename Trip", "Delete Trip"):
            box = visit.button(name).bounding_box()
            assert box["height"] >= 36
        visit.chat("Trip").get_by_role("link").tap()
        expect(visit.button("Delete message").first).to_have_css("opacity", "1")
