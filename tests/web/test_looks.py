"""How the page looks, as far as a test can say it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.browser import Visit, expect
from tests.web.site import Account, Site
from tests.web.states import REPLY

PURPLE = "rgb(109, 74, 255)"
WHITE = "rgb(255, 255, 255)"


def colours(element: Any) -> tuple[str, str]:
    ground, ink = element.evaluate("(one) => [getComputedStyle(one).backgroundColor, getComputedStyle(one).color]")
    return ground, ink


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_persons_messages_stand_right_on_purple_and_the_assistants_left_on_white(site: Site, account: Account, visit: Visit, scheme: str) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    visit.open(f"/chat-ui/{site.chat(account, 'Trip', ['Hello', 'Hi there'])}")
    mine, theirs = visit.said("user"), visit.said("assistant")
    expect(theirs).to_have_text("Hi there")
    visit.becomes(lambda: colours(mine), (PURPLE, WHITE))
    visit.becomes(lambda: colours(theirs)[0], WHITE if scheme == "light" else "rgb(31, 31, 37)")
    column = visit.at_rest(visit.page.locator(".column").bounding_box)
    assert mine.bounding_box()["x"] + mine.bounding_box()["width"] == pytest.approx(column["x"] + column["width"] - 16, abs=1)
    assert theirs.bounding_box()["x"] == pytest.approx(column["x"] + 16, abs=1)
    assert column["width"] <= 760


def test_markdown_is_shown_as_what_it_means(site: Site, account: Account, visit: Visit) -> None:
    visit.open(f"/chat-ui/{site.chat(account, 'Loops', ['Explain', REPLY])}")
    reply = visit.said("assistant")
    expect(reply.locator(".hljs-keyword").first).to_be_attached()
    expect(reply.get_by_role("listitem")).to_have_count(3)
    expect(reply.get_by_role("table")).to_have_count(1)
    expect(reply.locator("td").last).to_have_css("text-align", "right")
    expect(reply.locator("blockquote")).to_contain_text("Python also has")
    link = reply.get_by_role("link", name="the tutorial")
    for name, value in (("href", "https://docs.example/loops"), ("target", "_blank"), ("rel", "noopener noreferrer nofollow")):
        expect(link).to_have_attribute(name, value)


def test_a_text_looks_the_same_streamed_as_read(site: Site, account: Account, visit: Visit) -> None:
    """What was painted piece by piece must be what is painted at once."""
    handed = site.handed(account)
    text = REPLY + "\n\n1. one\n2. two\n\n   more of two\n\n[later]: https://docs.example/\n\nSee [later].\n\n- a\n\n- b\n"
    visit.write("Explain")
    for start in range(0, len(text), 11):
        handed.say(text[start : start + 11])
        if start % 110 == 0:
            visit.painted()
    handed.say(None)
    expect(visit.button("Send")).to_be_visible()
    expect(visit.said("assistant").locator(".hljs-keyword").first).to_be_attached()
    streamed = visit.at_rest(visit.page.locator(".formatted").inner_html)
    visit.page.reload()
    expect(visit.said("assistant").locator(".hljs-keyword").first).to_be_attached()
    visit.becomes(visit.page.locator(".formatted").inner_html, streamed)


def test_what_a_model_takes_long_to_load_is_shown_as_plain_text_meanwhile(site: Site, account: Account, visit: Visit) -> None:
    chat_id = site.chat(account, "Loops", ["Explain", "Some **bold** words"])
    visit.page.route("**/markdown-it.js", lambda route: route.abort())
    visit.open(f"/chat-ui/{chat_id}")
    expect(visit.said("assistant")).to_have_text("Some **bold** words")
    visit.wrongs.clear()  # the library that was kept away
