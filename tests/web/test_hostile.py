"""Whatever people and models write is shown as words: no dialog, no request to elsewhere, no breach of the policy, in any place and any split."""

from __future__ import annotations

from typing import Any

import pytest

from chatsvc.responders.base import ResponderError
from tests.web.browser import Error, Visit, expect
from tests.web.payloads import PAYLOADS
from tests.web.site import Account, Site

# What is in a message that Markdown, our sanitiser and our own buttons do not put there.
STRANGE = """() => [...document.querySelectorAll(".log *")].filter((one) =>
  one.matches("script, iframe, img, object, embed, style, link, base, meta, form, input, video, audio, math, template, svg, [style], [id], [name]")
  || [...one.attributes].some(({ name }) => name.startsWith("on"))
  || (one.matches("a") && !/^(https?|mailto):/.test(one.getAttribute("href") ?? ""))
  || (one.matches("a") && one.getAttribute("rel") !== "noopener noreferrer nofollow")
).map((one) => one.outerHTML)"""


def is_quiet(visit: Visit) -> None:
    visit.painted()
    assert visit.found() == []
    assert visit.page.evaluate(STRANGE) == []


def test_there_are_enough_of_them() -> None:
    assert len(set(PAYLOADS)) >= 60


def test_titles_are_words(site: Site, account: Account, visit: Visit) -> None:
    for payload in PAYLOADS:
        site.chat(account, payload[:255], ["Hello"])
    visit.page.reload()
    titles = visit.sidebar.locator(".chat-title")
    expect(titles.first).to_be_visible()

    def all_there() -> bool:
        visit.sidebar.locator(".list").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
        return bool(titles.count() == len(PAYLOADS))

    visit.until(all_there)
    assert [one.split() for one in titles.all_text_contents()] == [payload[:255].split() for payload in reversed(PAYLOADS)]
    is_quiet(visit)


@pytest.mark.parametrize("payload", ["<img src=x onerror=alert(1)>", "</title><script>alert(1)</script>"])
def test_a_title_is_words_wherever_the_page_says_it(visit: Visit, payload: str) -> None:
    visit.button("+ New Chat").click()
    visit.page.get_by_label("Title (optional)").fill(payload)
    visit.button("Create").click()
    expect(visit.page.get_by_role("heading", name=payload)).to_be_visible()
    expect(visit.page).to_have_title(f"{payload} · chatsvc")
    visit.page.get_by_label("Search chats").fill(payload)
    expect(visit.sidebar.locator("mark")).to_have_text(payload)
    visit.page.get_by_label("Search chats").fill(f"{payload}?")
    expect(visit.sidebar.get_by_text(f"No chat with “{payload}?” in its title.")).to_be_visible()
    visit.page.reload()
    expect(visit.sidebar.get_by_text(f"No chat with “{payload}?” in its title.")).to_be_visible()
    visit.page.get_by_label("Search chats").fill("")
    visit.chat(payload).hover()
    visit.button(f"Delete {payload}").click()
    expect(visit.dialog).to_contain_text(payload)
    visit.dialog.get_by_role("button", name="Delete").click()
    expect(visit.page.locator(".notice")).to_contain_text(payload)
    is_quiet(visit)


def test_messages_and_their_metadata_are_words_in_a_chat_that_is_read(site: Site, account: Account, visit: Visit) -> None:
    chat_id = site.chat(account, "Hostile", [one for payload in PAYLOADS[:24] for one in (payload, payload)])
    for payload in PAYLOADS:
        body = {"content": payload, "message_type": "assistant", "metadata": {"error": {"kind": payload, "message": payload}, payload: payload}}
        post(visit, f"/api/v1/chat-sessions/{chat_id}/messages", body)
    for payload in PAYLOADS[:5]:
        post(visit, f"/api/v1/chat-sessions/{chat_id}/messages", {"content": payload, "message_type": "system"})
    visit.open(f"/chat-ui/{chat_id}")
    expect(visit.page.locator(".formatted").last).to_be_attached()

    def all_there() -> bool:
        visit.log.evaluate("(log) => log.scrollTo(0, 0)")
        return bool(visit.page.locator(".message").count() == 48 + len(PAYLOADS) + 5)

    visit.until(all_there)
    assert visit.said("user").all_text_contents() == list(PAYLOADS[:24])
    is_quiet(visit)


def post(visit: Visit, path: str, body: dict[str, Any]) -> None:
    csrf = next(one["value"] for one in visit.page.context.cookies() if one["name"] == "chatsvc_csrf")
    response = visit.page.context.request.post(visit.address + path, data=body, headers={"X-CSRF-Token": csrf})
    assert response.status == 201, response.text()


@pytest.mark.parametrize("part", range(6))
def test_a_reply_is_words_while_it_is_streamed_split_at_every_byte(site: Site, account: Account, visit: Visit, part: int) -> None:
    site.split = True
    handed = site.handed(account)
    for payload in PAYLOADS[part::6]:
        visit.write(payload)
        for character in payload:
            handed.say(character)
        handed.say(None)
        expect(visit.log).to_have_attribute("aria-busy", "false")
        is_quiet(visit)
    visit.becomes(visit.said("user").all_text_contents, list(PAYLOADS[part::6]))
    visit.page.reload()
    expect(visit.said("user")).to_have_count(len(PAYLOADS[part::6]))
    is_quiet(visit)


def test_all_of_them_in_one_reply(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    visit.write("Everything")
    for payload in PAYLOADS:
        for start in range(0, len(payload), 7):
            handed.say(payload[start : start + 7])
        handed.say("\n\n")
    handed.say(None)
    expect(visit.button("Send")).to_be_visible()
    is_quiet(visit)


def test_the_words_of_a_failure_are_words(site: Site, account: Account, visit: Visit) -> None:
    for payload in PAYLOADS[:3]:
        site.responder.failing[account.id] = ResponderError("bad_response", payload)
        visit.write("Hello")
        expect(visit.log.get_by_text("Details").last).to_be_visible()
        visit.log.get_by_text("Details").last.click()
        expect(visit.log.get_by_text(payload).last).to_be_visible()
    is_quiet(visit)


def test_a_picture_is_asked_for_by_a_click_and_never_before(site: Site, account: Account, visit: Visit) -> None:
    chat_id = site.chat(account, "Pictures", ["Show me", "![A plant](https://pictures.example/plant.png?who=1)"])
    visit.open(f"/chat-ui/{chat_id}")
    link = visit.page.get_by_role("link", name="Show image: A plant")
    expect(link).to_have_attribute("href", "https://pictures.example/plant.png?who=1")
    link.hover()
    link.focus()
    is_quiet(visit)
    with visit.page.context.expect_page() as opened:
        link.click()
    assert opened.value.evaluate("opener") is None
    opened.value.close()


def test_the_policy_holds_even_where_the_page_would_err(visit: Visit) -> None:
    with pytest.raises(Error, match="TrustedHTML"):
        visit.page.evaluate("document.querySelector('main').innerHTML = '<b>x</b>'")
    with pytest.raises(Error, match=r"unsafe-eval|TrustedScript|Trusted Type"):
        visit.page.evaluate("setTimeout('window.x = 1'); new Function('return 1')()")
    blocked = visit.page.evaluate("fetch('https://evil.example/').then(() => 'went', () => 'blocked')")
    assert blocked == "blocked"
    image = "new Promise((resolve) => { const one = new Image(); one.onload = () => resolve('came'); one.onerror = () => resolve('blocked'); one.src = '%s'; })"
    assert visit.page.evaluate(image % "https://evil.example/x.png") == "blocked"
    with pytest.raises(Error):
        visit.page.evaluate("trustedTypes.createPolicy('mine', { createHTML: (text) => text })")
    assert visit.found(), "each was a breach that the tests of this file would have seen"
    visit.wrongs.clear()
    visit.page.evaluate("window.breaches.length = 0")
