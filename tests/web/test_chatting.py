"""What people do on the page, from signing in to signing out, in a real browser."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask

from tests.web import browser
from tests.web.browser import Kept, Visit, expect
from tests.web.conftest import Windows
from tests.web.site import PASSWORD, Account, Site, at


def test_a_whole_visit(app: Flask, chromium: Any) -> None:
    """On both engines: sign in, make a chat, be answered, rename, search, delete, undo, sign out."""
    with at(app) as site, browser.context(chromium, site.address) as windows:
        who = site.account("alice")
        visit = windows().open()
        visit.sign_in(who.name, PASSWORD)
        expect(visit.sidebar.get_by_text("alice", exact=True)).to_be_visible()
        visit.button("+ New Chat").click()
        visit.page.get_by_label("Title (optional)").fill("My Test Chat")
        visit.button("Create").click()
        expect(visit.chat("My Test Chat")).to_be_visible()
        visit.field.fill("Hello there")
        visit.button("Send").click()
        expect(visit.said("user")).to_have_text(["Hello there"])
        expect(visit.said("assistant")).to_have_text(["Hello there"])
        expect(visit.chat("My Test Chat").locator(".chat-preview")).to_have_text(re.compile("Hello there"))
        visit.chat("My Test Chat").hover()
        visit.button("Rename My Test Chat").click()
        visit.page.get_by_label("Title of the chat").fill("Renamed")
        visit.page.keyboard.press("Enter")
        expect(visit.chat("Renamed")).to_be_visible()
        expect(visit.page).to_have_title("Renamed · chatsvc")
        visit.page.get_by_label("Search chats").fill("RENA")
        expect(visit.chat("Renamed").locator("mark")).to_have_text("Rena")
        visit.page.get_by_label("Search chats").fill("nothing like it")
        expect(visit.sidebar.get_by_text("No chat with “nothing like it” in its title.")).to_be_visible()
        visit.page.get_by_label("Search chats").fill("")
        visit.chat("Renamed").hover()
        visit.button("Delete Renamed").click()
        visit.dialog.get_by_role("button", name="Delete").click()
        expect(visit.chat("Renamed")).to_have_count(0)
        visit.button("Undo").click()
        expect(visit.chat("Renamed")).to_be_visible()
        expect(visit.said("assistant")).to_have_text(["Hello there"])
        visit.button("Logout").click()
        expect(visit.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_account_is_made_and_is_signed_in(bare: Site, kept: Kept) -> None:
    with kept.lent(bare.address) as windows:
        visit = windows().open()
        visit.button("Make an account").click()
        visit.page.get_by_label("Username").fill("newcomer")
        visit.page.get_by_label("Password").fill("short")
        visit.button("Register").click()
        expect(visit.page.get_by_role("alert")).to_contain_text("password")
        visit.page.get_by_label("Password").fill(PASSWORD)
        visit.button("Register").click()
        expect(visit.field).to_be_focused()
        expect(visit.sidebar.get_by_text("newcomer", exact=True)).to_be_visible()


def test_a_wrong_password_is_told_in_words(site: Site, account: Account, kept: Kept) -> None:
    with kept.lent(site.address) as windows:
        visit = windows().open()
        visit.page.get_by_label("Username").fill(account.name)
        visit.page.get_by_label("Password").fill("wrong password")
        visit.page.keyboard.press("Enter")
        expect(visit.page.get_by_role("alert")).to_be_visible()
        visit.sign_in(account.name, PASSWORD)


def test_no_script_can_read_what_signs_the_person_in(visit: Visit) -> None:
    cookies = {one["name"]: one for one in visit.page.context.cookies()}
    assert all(one["sameSite"] == "Strict" for one in cookies.values())
    assert {name for name, one in cookies.items() if not one["httpOnly"]} == {"chatsvc_csrf"}
    assert "chatsvc_csrf" in visit.page.evaluate("document.cookie")
    assert "chatsvc_access" not in visit.page.evaluate("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")


def test_a_first_message_makes_a_chat_with_an_address_of_its_own(visit: Visit) -> None:
    visit.write("Which plants like shade?")
    expect(visit.chat("Which plants like shade?")).to_be_visible()
    expect(visit.page).to_have_url(re.compile(re.escape(visit.address) + r"/chat-ui/[0-9a-f-]{36}"))
    visit.page.go_back()
    assert not visit.page.url.startswith(visit.address), "there was no step in between"
    visit.page.go_forward()
    expect(visit.said("assistant")).to_have_text(["Which plants like shade?"])


def test_a_reply_is_shown_as_it_is_written(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    visit.write("Hello")
    expect(visit.said("user")).to_have_text(["Hello"])
    expect(visit.log.get_by_role("img", name="Writing")).to_be_visible()
    expect(visit.log).to_have_attribute("aria-busy", "true")
    handed.say("One ")
    expect(visit.said("assistant")).to_have_text("One")
    handed.say("two ", "three")
    expect(visit.said("assistant")).to_have_text("One two three")
    expect(visit.button("Stop")).to_be_visible()
    handed.say(None)
    expect(visit.button("Send")).to_be_visible()
    expect(visit.log).to_have_attribute("aria-busy", "false")


def test_a_stopped_reply_keeps_its_text_and_says_so(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    visit.write("Hello")
    handed.say("As far as this")
    expect(visit.said("assistant")).to_have_text("As far as this")
    visit.button("Stop").click()
    expect(visit.log.get_by_text("Stopped")).to_be_visible()
    expect(visit.said("assistant")).to_have_text("As far as this")
    visit.page.reload()
    expect(visit.log.get_by_text("Stopped")).to_be_visible()
    expect(visit.said("assistant")).to_have_text("As far as this")


def test_a_reload_in_the_middle_of_a_reply_loses_nothing(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    visit.write("Hello")
    handed.say("Before 🌱, ")
    expect(visit.said("assistant")).to_have_text(re.compile("Before"))
    visit.page.reload()
    expect(visit.said("assistant")).to_have_text(re.compile("Before 🌱,"))
    expect(visit.button("Stop")).to_be_visible()
    handed.say("after.")
    expect(visit.said("assistant")).to_have_text("Before 🌱, after.")
    handed.say(None)
    expect(visit.button("Send")).to_be_visible()
    expect(visit.said("user")).to_have_count(1)


def test_a_reply_goes_on_while_another_chat_is_read(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    site.chat(account, "The other", ["Hi", "Hello"])
    visit.page.reload()
    visit.write("Long question")
    handed.say("First, ")
    expect(visit.said("assistant")).to_have_text("First,")
    visit.chat("The other").click()
    expect(visit.said("assistant")).to_have_text("Hello")
    handed.say("second.", None)
    visit.page.go_back()
    expect(visit.said("assistant")).to_have_text("First, second.")


def test_another_reply_takes_the_place_of_the_one_before(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    handed.say("Poor", None, "Better", None)
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("Poor")
    visit.log.get_by_role("article", name="Assistant").hover()
    visit.button("Retry").click()
    expect(visit.said("assistant")).to_have_text(["Better"])
    visit.page.reload()
    expect(visit.said("assistant")).to_have_text(["Better"])
    expect(visit.said("user")).to_have_text(["Hello"])


def test_a_message_is_edited_and_asked_again(visit: Visit) -> None:
    visit.write("Frist")
    expect(visit.said("assistant")).to_have_text("Frist")
    mine = visit.log.get_by_role("article", name="You")
    mine.hover()
    visit.button("Edit message").click()
    field = visit.page.get_by_role("textbox", name="Edit message")
    expect(field).to_be_focused()
    field.fill("First")
    visit.button("Save", exact=True).click()
    expect(visit.said("user")).to_have_text("First")
    expect(visit.said("assistant")).to_have_text("Frist")
    mine.hover()
    visit.button("Edit message").click()
    visit.page.get_by_role("textbox", name="Edit message").fill("First again")
    visit.button("Save and ask again").click()
    expect(visit.said("assistant")).to_have_text(["First again"])
    expect(visit.chat("First again")).to_be_visible()
    visit.page.reload()
    expect(visit.said("user")).to_have_text(["First again"])
    expect(visit.log.get_by_text("edited")).to_have_count(1)


def test_an_edit_is_left_by_escape_and_needs_words(visit: Visit) -> None:
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("Hello")
    visit.log.get_by_role("article", name="You").hover()
    visit.button("Edit message").click()
    field = visit.page.get_by_role("textbox", name="Edit message")
    field.fill("  ")
    visit.button("Save", exact=True).click()
    expect(visit.log.get_by_role("alert")).to_have_text("A message needs some words.")
    field.press("Escape")
    expect(visit.said("user")).to_have_text("Hello")


def test_a_deleted_message_comes_back_to_its_place(visit: Visit) -> None:
    for words in ("First", "Second"):
        visit.write(words)
        expect(visit.said("assistant").last).to_have_text(words)
        expect(visit.button("Send")).to_be_visible()
    visit.log.get_by_role("article", name="You").first.hover()
    visit.button("Delete message").first.click()
    expect(visit.said("user")).to_have_text(["Second"])
    visit.button("Undo").click()
    expect(visit.said("user")).to_have_text(["First", "Second"])
    visit.page.reload()
    expect(visit.said("user")).to_have_text(["First", "Second"])


def test_recently_deleted_chats_are_listed_and_brought_back(site: Site, account: Account, visit: Visit) -> None:
    for n in range(3):
        site.chat(account, f"Trip {n}", ["Hello"])
    visit.page.reload()
    visit.chat("Trip 1").hover()
    visit.button("Delete Trip 1").click()
    expect(visit.dialog).to_contain_text("It can be restored for 30 days")
    visit.dialog.get_by_role("button", name="Delete").click()
    expect(visit.chat("Trip 1")).to_have_count(0)
    visit.page.get_by_role("link", name="Recently deleted").click()
    expect(visit.page.get_by_role("heading", name="Recently deleted")).to_be_visible()
    expect(visit.sidebar.locator(".chat-title")).to_have_text(["Trip 1"])
    visit.page.reload()
    visit.button("Restore Trip 1").click()
    expect(visit.sidebar.get_by_text("Nothing is deleted.")).to_be_visible()
    visit.page.get_by_role("link", name="Back to your chats").click()
    expect(visit.chat("Trip 1")).to_be_visible()
    expect(visit.sidebar.locator(".chat-title")).to_have_count(3)


def test_a_message_that_is_long_is_counted_and_never_cut(visit: Visit) -> None:
    visit.field.fill("x" * 9_990)
    expect(visit.page.get_by_text("10 characters left")).to_be_visible()
    visit.field.fill("x" * 10_003)
    expect(visit.page.get_by_text("3 characters too many")).to_be_visible()
    expect(visit.button("Send")).to_be_disabled()
    visit.field.press("Enter")
    expect(visit.said("user")).to_have_count(0)
    assert len(visit.field.input_value()) == 10_003


def test_two_tabs_stay_in_step(site: Site, account: Account, windows: Windows) -> None:
    handed = site.handed(account)
    one, two = windows().open(), windows().open()
    one.field.wait_for()
    one.write("From the first tab")
    expect(two.chat("From the first tab")).to_be_visible()
    two.chat("From the first tab").click()
    handed.say("Both ")
    expect(one.said("assistant")).to_have_text("Both")
    expect(two.said("assistant")).to_have_text("Both")
    expect(two.button("Stop")).to_be_visible()
    handed.say("see this", None)
    for tab in (one, two):
        expect(tab.said("assistant")).to_have_text(["Both see this"])
        expect(tab.said("user")).to_have_text(["From the first tab"])
        expect(tab.button("Send")).to_be_visible()
    two.chat("From the first tab").hover()
    two.button("Rename From the first tab").click()
    two.page.get_by_label("Title of the chat").fill("Named by the second")
    two.page.keyboard.press("Enter")
    expect(one.chat("Named by the second")).to_be_visible()
    two.button("Logout").click()
    expect(one.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_list_that_one_has_scrolled_stays_where_it_is_when_another_tab_changes_it(site: Site, account: Account, windows: Windows) -> None:
    site.many_chats(account, 120)
    one, two = windows().open(), windows().open()
    titles = one.sidebar.locator(".chat-title")
    expect(titles).to_have_count(50)
    one.sidebar.locator(".list").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
    expect(titles).to_have_count(100)
    two.sidebar.locator(".chat").nth(3).hover()
    two.sidebar.locator(".chat").nth(3).get_by_role("button", name="Rename").click()
    two.page.get_by_label("Title of the chat").fill("Renamed elsewhere")
    two.page.keyboard.press("Enter")
    expect(titles.first).to_have_text("Renamed elsewhere")
    shown = titles.all_text_contents()
    assert len(shown) >= 100
    assert len(set(shown)) == len(shown)


def test_a_chat_that_another_tab_deletes_and_restores(site: Site, account: Account, windows: Windows) -> None:
    chat_id = site.chat(account, "Trip", ["Hello"])
    one, two = windows().open(f"/chat-ui/{chat_id}"), windows().open()
    expect(one.said("user")).to_have_text("Hello")
    two.chat("Trip").hover()
    two.button("Delete Trip").click()
    two.dialog.get_by_role("button", name="Delete").click()
    expect(one.page.get_by_text("This chat is not here.")).to_be_visible()
    expect(one.chat("Trip")).to_have_count(0)
    two.button("Undo").click()
    expect(one.said("user")).to_have_text("Hello")


def test_a_chat_of_somebody_else_is_not_there(site: Site, visit: Visit) -> None:
    other = site.account()
    visit.open(f"/chat-ui/{site.chat(other, 'Secret', ['Secret words'])}")
    expect(visit.page.get_by_text("This chat is not here. It may have been deleted.")).to_be_visible()
    assert "Secret" not in visit.page.content()
