"""When something is away, too slow, too much or over: nothing that was written is lost, and the page says what is the matter."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from chatsvc.responders.base import ResponderError
from config import ROOT
from tests import factories
from tests.web import browser
from tests.web.browser import Visit, expect
from tests.web.conftest import Windows, enter
from tests.web.site import PASSWORD, Account, Site, serving


def test_a_failed_reply_says_why_and_is_tried_again(site: Site, account: Account, visit: Visit) -> None:
    site.responder.failing[account.id] = ResponderError("unreachable", "Nobody listens at the model's address")
    visit.write("Hello")
    expect(visit.log.get_by_text("Couldn't reach the model. Your message is saved.")).to_be_visible()
    visit.log.get_by_text("Details").click()
    expect(visit.log.get_by_text("Nobody listens at the model's address")).to_be_visible()
    visit.page.reload()
    expect(visit.log.get_by_text("Couldn't reach the model. Your message is saved.")).to_be_visible()
    visit.button("Retry").click()
    expect(visit.said("assistant")).to_have_text(["Hello"])
    expect(visit.said("user")).to_have_text(["Hello"])
    expect(visit.log.get_by_text("Couldn't reach the model")).to_have_count(0)


def test_asking_again_in_vain_leaves_the_reply_there_is(visit: Visit) -> None:
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("Hello")
    expect(visit.button("Send")).to_be_visible()
    refusal = {
        "status": 429,
        "headers": {"Retry-After": "2"},
        "content_type": "application/json",
        "body": '{"detail":"Too many requests. Wait, then try again"}',
    }
    visit.page.route("**/api/v1/chat/stream", lambda route: route.fulfill(**refusal))
    visit.log.get_by_role("article", name="Assistant").hover()
    visit.button("Retry").click()
    expect(visit.page.locator(".notice")).to_contain_text("Couldn't ask again. Too many requests.")
    expect(visit.said("assistant")).to_have_text(["Hello"])


@pytest.mark.parametrize("known", [False, True])
def test_a_reply_that_is_asked_for_again_is_shown_once_though_the_page_looks_anew(visit: Visit, known: bool) -> None:
    """As after a lost network: before the service knows that another reply is wanted, or before the page knows that the service does."""
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("Hello")
    held: list[Any] = []
    visit.page.route("**/api/v1/chat/stream", lambda route: held.append(route))  # noqa: PLW0108 - it takes no builtin
    visit.log.get_by_role("article", name="Assistant").hover()
    visit.button("Retry").click()
    expect(visit.log.get_by_role("img", name="Writing")).to_be_visible()
    answer = held[0].fetch() if known else None
    with visit.page.expect_response("**/messages?*"):
        visit.page.evaluate("dispatchEvent(new Event('online'))")
    visit.painted()
    held[0].fulfill(response=answer) if answer else held[0].continue_()
    expect(visit.log).to_have_attribute("aria-busy", "false")
    expect(visit.said("assistant")).to_have_text(["Hello"])


def test_a_reply_that_failed_half_way_keeps_its_half(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    visit.write("Hello")
    handed.say("Half of it", ResponderError("timeout", "It took too long"))
    expect(visit.log.get_by_text("The model took too long. Your message is saved.")).to_be_visible()
    expect(visit.said("assistant")).to_have_text("Half of it")


def test_what_could_not_be_sent_stays_and_is_sent_once(account: Account, visit: Visit, site: Site) -> None:
    """The request arrives and its answer is lost: the try that follows must not write a second message."""
    keys: list[str] = []

    def lose_the_answer(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()  # the service has it, the page is not told
            route.abort("connectionreset")
        else:
            route.continue_()

    visit.page.route("**/api/v1/chat/stream", lose_the_answer)
    visit.write("Only once")
    expect(visit.said("assistant")).to_have_text("Only once")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    visit.page.reload()
    expect(visit.said("user")).to_have_text(["Only once"])
    expect(visit.said("assistant")).to_have_text(["Only once"])


def test_offline_is_said_and_what_was_written_goes_out_later(visit: Visit) -> None:
    visit.write("Before")
    expect(visit.said("assistant")).to_have_text("Before")
    visit.page.context.set_offline(True)
    expect(visit.page.get_by_text("You're offline. What you write is kept here.")).to_be_visible()
    visit.write("While offline")
    expect(visit.log.get_by_text("You're offline. Your message is kept here.")).to_be_visible()
    visit.field.fill("And a draft")
    visit.page.context.set_offline(False)
    expect(visit.page.get_by_text("You're offline. What you write is kept here.")).to_have_count(0)
    visit.page.reload()
    expect(visit.field).to_have_value("And a draft")
    expect(visit.said("user")).to_have_text(["Before", "While offline"])
    visit.button("Retry").click()
    expect(visit.said("assistant")).to_have_text(["Before", "While offline"])
    visit.page.reload()
    expect(visit.said("user")).to_have_text(["Before", "While offline"])
    expect(visit.button("Retry")).to_have_count(1)  # of the last reply; nothing is unsent


def test_a_first_message_that_was_not_sent_is_there_after_a_reload(visit: Visit) -> None:
    visit.page.context.set_offline(True)
    visit.write("A new chat, offline")
    expect(visit.log.get_by_text("Your message is kept here.")).to_be_visible()
    visit.page.context.set_offline(False)
    visit.page.reload()
    expect(visit.said("user")).to_have_text(["A new chat, offline"])
    visit.button("Retry").click()
    expect(visit.said("assistant")).to_have_text(["A new chat, offline"])
    expect(visit.chat("A new chat, offline")).to_be_visible()


def test_an_unsent_message_can_be_taken_back(visit: Visit) -> None:
    visit.page.context.set_offline(True)
    visit.write("Never mind")
    visit.button("Remove").click()
    expect(visit.said("user")).to_have_count(0)
    visit.page.context.set_offline(False)
    visit.page.reload()
    visit.field.wait_for()
    expect(visit.said("user")).to_have_count(0)


def test_a_lost_network_in_the_middle_of_a_reply_loses_nothing(site: Site, account: Account, visit: Visit) -> None:
    handed = site.handed(account)
    # Of the first stream only the beginning comes through.
    seen: list[str] = []

    def cut(route: Any) -> None:
        seen.append(route.request.url)
        handed.say("One ", "two ")
        time.sleep(0.3)
        handed.say("three", None)
        whole = route.fetch().text()
        head = whole[: whole.index("event: delta") + len("event: delta") + 30]
        route.fulfill(status=200, content_type="text/event-stream", body=head)

    visit.page.route("**/api/v1/chat/stream", cut)
    visit.write("Hello")
    expect(visit.said("assistant")).to_have_text("One two three")
    expect(visit.button("Send")).to_be_visible()
    assert len(seen) == 1, "the rest was taken up and not asked anew"


def settled_at(visit: Visit, chat_id: str) -> None:
    """At this chat, when the page has asked for all that it asks for by itself: a refusal of that would come at any moment."""
    visit.open(f"/chat-ui/{chat_id}")
    visit.field.wait_for()
    visit.page.wait_for_load_state("networkidle")


def test_signed_out_in_the_middle_of_typing_keeps_every_word(site: Site, account: Account, visit: Visit) -> None:
    settled_at(visit, site.chat(account, "Garden", ["Before", "Yes"]))
    visit.field.press_sequentially("Half a sen")
    site.expire(account)
    visit.field.press_sequentially("tence")
    visit.field.press("Enter")
    expect(visit.dialog).to_contain_text("Your sign-in has run out. What you wrote is still here.")
    expect(visit.said("user")).to_have_text(["Before", "Half a sentence"])
    expect(visit.page.get_by_label("Username")).to_have_value(account.name)
    expect(visit.page.get_by_label("Password")).to_be_focused()
    visit.page.keyboard.press("Escape")
    expect(visit.dialog).to_be_visible()
    site.let_in(account)
    visit.page.get_by_label("Password").fill(PASSWORD)
    visit.page.keyboard.press("Enter")
    expect(visit.dialog).to_have_count(0)
    expect(visit.said("assistant")).to_have_text(["Yes", "Half a sentence"])
    visit.page.reload()
    expect(visit.said("user")).to_have_text(["Before", "Half a sentence"])


def test_a_draft_outlives_an_expired_sign_in(site: Site, account: Account, visit: Visit) -> None:
    settled_at(visit, site.chat(account, "Garden", ["Before", "Yes"]))
    visit.field.fill("Not sent yet")
    site.expire(account)
    visit.page.get_by_label("Search chats").fill("x")
    expect(visit.dialog).to_be_visible()
    site.let_in(account)
    visit.page.get_by_label("Password").fill(PASSWORD)
    visit.button("Login").click()
    expect(visit.dialog).to_have_count(0)
    expect(visit.field).to_have_value("Not sent yet")
    expect(visit.said("user")).to_have_text(["Before"])


def test_an_access_cookie_that_ran_out_is_renewed_without_a_word(visit: Visit) -> None:
    visit.page.wait_for_load_state("networkidle")  # what is under way without the cookie would ask for another one, too
    cookies = visit.page.context.cookies()
    visit.page.context.clear_cookies(name="chatsvc_access")
    assert len(visit.page.context.cookies()) == len(cookies) - 1
    visit.write("Still here")
    expect(visit.said("assistant")).to_have_text("Still here")
    expect(visit.dialog).to_have_count(0)
    assert [one.url for one in visit.requests].count(f"{visit.address}/auths/refresh") == 1
    assert len(visit.page.context.cookies()) == len(cookies)


def test_two_tabs_renew_their_sign_in_once(windows: Windows, account: Account) -> None:
    """A refresh token is good once; the second tab must not end the sign-in by using it again."""
    tabs = [windows().open(), windows().open()]
    for tab in tabs:
        tab.field.wait_for()
        tab.page.wait_for_load_state("networkidle")
    tabs[0].page.context.clear_cookies(name="chatsvc_access")
    for tab in tabs:
        tab.field.fill(f"From {tabs.index(tab)}")
    for tab in tabs:
        tab.page.evaluate("document.querySelector('form.composer').requestSubmit()")
    for number, tab in enumerate(tabs):
        expect(tab.said("assistant")).to_have_text(f"From {number}")
        expect(tab.dialog).to_have_count(0)


def test_too_many_messages_wait_with_a_countdown(chromium: Any, tmp_path: Path) -> None:
    """The minute that one has to wait passes at once, in the page and in the service."""
    with serving(tmp_path, RATELIMIT_ENABLED="true", RATELIMIT_SEND="1/minute") as site, browser.context(chromium, site.address) as windows:
        visit = windows()
        visit.page.clock.install()
        enter(visit, site.account())
        visit.open()
        visit.write("One")
        expect(visit.said("assistant")).to_have_text(["One"])
        visit.write("One too many")
        countdown = visit.page.get_by_text(re.compile(r"You can send again in \d+ s"))
        expect(countdown).to_be_visible()
        expect(visit.log.get_by_text("Too many messages at once. Yours is kept here.")).to_be_visible()
        visit.field.fill("More")
        expect(visit.button("Send", exact=True)).to_be_disabled()
        visit.page.clock.fast_forward(61_000)
        a_minute_passes(site)
        expect(countdown).to_have_count(0)
        visit.log.locator(".outcome").get_by_role("button", name="Retry").click()
        expect(visit.said("assistant")).to_have_text(["One", "One too many"])
        expect(visit.log.get_by_text("Too many messages at once")).to_have_count(0)


def a_minute_passes(site: Site) -> None:
    """For the limits of the service."""
    windows = site.app.extensions["chatsvc.limits"]._own._windows
    for key, (ends_at, amount) in list(windows.items()):
        windows[key] = (ends_at - 61, amount)


def test_a_list_that_does_not_come_is_tried_again(visit: Visit) -> None:
    visit.page.route("**/api/v1/chat-sessions?*", lambda route: route.abort("connectionrefused"))
    visit.page.reload()
    expect(visit.sidebar.get_by_text("Couldn't load your chats.")).to_be_visible()
    visit.page.unroute("**/api/v1/chat-sessions?*")
    # The page may find the service again by itself, and the button be gone.
    visit.page.evaluate("[...document.querySelectorAll('button')].find((one) => one.textContent === 'Try again')?.click()")
    expect(visit.sidebar.get_by_text("No chats yet.")).to_be_visible()


class Served:
    """The service as it is shipped, at one port, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CHAT_", "RATELIMIT_"))},
            "DATABASE_URL": f"sqlite:///{folder / 'served.db'}",
            "CHAT_INSTANCE_PATH": str(folder),
            "JWT_SECRET_KEY": factories.SECRET,
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "1",
            "CHAT_THREADS": "40",
            "FLASK_APP": str(ROOT / "wsgi.py"),
            "LOG_LEVEL": "error",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, pause: int) -> None:
        """Its replies come word by word, with a pause of so many milliseconds."""
        self.environ["CHAT_ECHO_DELAY_MS"] = str(pause)
        command = [sys.executable, "serve.py"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        ends_at = time.monotonic() + 60
        while time.monotonic() < ends_at:
            try:
                with urlopen(f"{self.address}/healthz", timeout=1):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the service did not start")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        if how is signal.SIGKILL:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)
        self.process.wait(40)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = Served(tmp_path)
    found.start(pause=700)  # on no machine is the reply over before the restart
    yield found
    found.stop(signal.SIGKILL)


def test_a_restart_of_the_service_in_the_middle_of_a_reply(chromium: Any, served: Served) -> None:
    """The shipped server: what was written is kept, the page finds the service again by itself, and Retry gives the whole reply."""
    with browser.context(chromium, served.address) as windows:
        visit = windows().open()
        visit.sign_in("alice", "alicepass123")
        visit.write(" ".join(f"word{n}" for n in range(40)))
        expect(visit.said("assistant")).to_contain_text("word1 ")
        served.stop()
        expect(visit.page.get_by_text("The service can't be reached just now.")).to_be_visible()
        visit.field.fill("A draft meanwhile")
        served.start(pause=0)
        expect(visit.page.get_by_text("The service can't be reached just now.")).to_have_count(0)
        expect(visit.log.get_by_text("Your message is saved.")).to_be_visible(timeout=60_000)
        expect(visit.said("assistant")).to_contain_text("word1 ")
        expect(visit.field).to_have_value("A draft meanwhile")
        visit.log.locator(".outcome").get_by_role("button", name="Retry").click()
        expect(visit.said("assistant")).to_contain_text("word39")
        expect(visit.said("assistant")).to_have_count(1)
        expect(visit.said("user")).to_have_count(1)
