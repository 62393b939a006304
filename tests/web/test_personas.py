"""Who answers: chosen for a new chat and for an open one, kept, and told of in words when it was switched off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.browser import Kept, Visit, expect
from tests.web.conftest import enter
from tests.web.payloads import PAYLOADS
from tests.web.site import Site

USUAL = "The usual responder"


@pytest.fixture
def own(bare: Site) -> Site:
    """A service that is the test's own, since everybody sees its personas."""
    return bare


@pytest.fixture
def visit(own: Site, kept: Kept) -> Iterator[Visit]:
    with kept.lent(own.address) as windows:
        one = windows()
        enter(one, own.account())
        yield one


def choice(visit: Visit) -> Any:
    return visit.page.locator(".topbar").get_by_label("Answered by")


def sends(visit: Visit) -> list[dict[str, Any]]:
    """What has been sent so far."""
    return [one.post_data_json for one in visit.requests if one.url.endswith("/chat/stream")]


def answered_by(own: Site, visit: Visit) -> Any:
    """By what the service has, of the open chat."""
    chat_id = visit.page.url.rsplit("/", 1)[1]
    return visit.page.context.request.get(f"{own.address}/api/chat-sessions/{chat_id}").json()["data"]["personaId"]


def test_nothing_is_said_of_personas_where_there_is_none(own: Site, visit: Visit) -> None:
    own.switch(own.persona("Asleep"), on=False)
    with visit.page.expect_response("**/api/personas?*"):
        visit.open()
    visit.field.wait_for()
    expect(visit.page.get_by_label("Answered by")).to_have_count(0)
    visit.button("+ New Chat").click()
    expect(visit.page.get_by_label("Title (optional)")).to_be_visible()
    expect(visit.page.get_by_label("Answered by")).to_have_count(0)


def test_a_new_chat_is_answered_by_whom_one_chose_until_one_chooses_again(own: Site, visit: Visit) -> None:
    gardener, cook = own.persona("Gardener"), own.persona("Cook")
    own.switch(own.persona("Asleep"), on=False)
    visit.open()
    expect(choice(visit).locator("option")).to_have_text([USUAL, "Cook", "Gardener"])
    choice(visit).select_option("Gardener")
    visit.page.reload()
    expect(choice(visit)).to_have_value(gardener)
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text(["Hello"])
    expect(choice(visit)).to_have_value(gardener)
    assert answered_by(own, visit) == gardener
    visit.write("Again")
    expect(visit.said("assistant")).to_have_text(["Hello", "Again"])
    choice(visit).select_option("Cook")
    expect(choice(visit)).to_have_value(cook)
    visit.page.reload()
    expect(choice(visit)).to_have_value(cook)
    visit.write("And you?")
    expect(visit.said("assistant")).to_have_text(["Hello", "Again", "And you?"])
    assert answered_by(own, visit) == cook
    choice(visit).select_option(USUAL)
    visit.write("Who else?")
    expect(visit.said("assistant")).to_have_text(["Hello", "Again", "And you?", "Who else?"])
    assert answered_by(own, visit) is None
    assert [one.get("persona_id", "none") for one in sends(visit)] == [gardener, "none", cook, None]
    visit.open()
    expect(choice(visit)).to_have_value("")


def test_the_dialog_offers_it_beside_the_title(own: Site, visit: Visit) -> None:
    gardener = own.persona("Gardener")
    visit.open()
    expect(choice(visit)).to_be_visible()
    visit.button("+ New Chat").click()
    visit.page.get_by_label("Title (optional)").fill("Shade plants")
    visit.dialog.get_by_label("Answered by").select_option("Gardener")
    visit.button("Create").click()
    expect(visit.page).to_have_title("Shade plants · chatsvc")
    expect(choice(visit)).to_have_value(gardener)
    visit.page.reload()
    expect(choice(visit)).to_have_value(gardener)
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("Hello")
    assert answered_by(own, visit) == gardener
    expect(visit.chat("Shade plants")).to_be_visible()


def test_one_that_is_switched_off_is_told_of_and_the_message_is_kept_for_another(own: Site, visit: Visit) -> None:
    gardener = own.persona("Gardener")
    visit.open()
    choice(visit).select_option("Gardener")
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("Hello")
    own.switch(gardener, on=False)
    visit.write("Still there?")
    expect(visit.log).to_contain_text("“Gardener” is switched off and answers no more. Choose above who answers, then try again.")
    expect(visit.page.get_by_text("Choose above who answers from now on.")).to_be_visible()
    expect(choice(visit).locator("option")).to_have_text([USUAL, "Gardener (switched off)"])
    visit.button("Retry").last.click()
    expect(visit.log.get_by_text("is switched off")).to_be_visible()
    choice(visit).select_option(USUAL)
    expect(visit.page.get_by_text("Choose above who answers from now on.")).to_have_count(0)
    visit.log.locator(".outcome").get_by_role("button", name="Retry").click()
    expect(visit.said("assistant")).to_have_text(["Hello", "Still there?"])
    assert answered_by(own, visit) is None


def test_it_is_told_of_before_anything_is_sent(own: Site, visit: Visit) -> None:
    gardener = own.persona("Gardener")
    visit.open()
    choice(visit).select_option("Gardener")
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("Hello")
    own.switch(gardener, on=False)
    visit.page.reload()
    expect(visit.page.get_by_role("status").get_by_text("“Gardener” is switched off and answers no more.")).to_be_visible()
    own.switch(gardener, on=True)
    visit.page.reload()
    expect(choice(visit)).to_have_value(gardener)
    expect(visit.page.get_by_text("is switched off")).to_have_count(0)


def test_a_message_that_did_not_arrive_goes_to_whom_it_was_meant_for(own: Site, visit: Visit) -> None:
    gardener = own.persona("Gardener")
    visit.open()
    choice(visit).select_option("Gardener")
    visit.page.context.set_offline(True)
    visit.write("Hello")
    expect(visit.log.get_by_text("Your message is kept here.")).to_be_visible()
    visit.page.context.set_offline(False)
    visit.page.reload()
    expect(choice(visit)).to_have_value(gardener)
    choice(visit).select_option(USUAL)
    visit.button("Retry").click()
    expect(visit.said("assistant")).to_have_text("Hello")
    assert {one["persona_id"] for one in sends(visit)} == {gardener}


def test_names_of_personas_are_words(own: Site, visit: Visit) -> None:
    names = sorted({payload[:255] for payload in PAYLOADS})
    made = {name: own.persona(name) for name in names}
    visit.open()
    expect(choice(visit).locator("option")).to_have_count(len(names) + 1)
    assert {" ".join(one.split()) for one in choice(visit).locator("option").all_text_contents()} == {USUAL, *(" ".join(name.split()) for name in names)}
    choice(visit).select_option(made[names[0]])
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("Hello")
    own.switch(made[names[0]], on=False)
    visit.page.reload()
    expect(visit.page.get_by_text(f"“{names[0]}” is switched off")).to_be_visible()
    assert visit.found() == []
