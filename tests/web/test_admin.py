"""The page for admins: its figures are those of the statistics routes, read by eye, by keyboard and by a screen reader; others are told why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.web import admin
from tests.web.admin import ADMIN, exchanges, opened
from tests.web.browser import EVERYTHING, Kept, Visit, expect
from tests.web.conftest import enter
from tests.web.payloads import PAYLOADS
from tests.web.site import PASSWORD, Site, at, serving
from tests.web.test_accessible import AXE, RUN


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("admin")) as found:
        admin.furnish(found)
        yield found


@contextmanager
def visiting(kept: Kept, site: Site) -> Iterator[Visit]:
    """A window of an admin."""
    with kept.lent(site.address) as windows:
        visit = windows()
        enter(visit, site.admin())
        yield visit


@pytest.fixture
def visit(furnished: Site, kept: Kept) -> Iterator[Visit]:
    with visiting(kept, furnished) as found:
        yield found


@pytest.fixture
def beginning(bare: Site, kept: Kept) -> Iterator[tuple[Site, Visit]]:
    """A service where nothing has happened yet, and an admin's window."""
    with visiting(kept, bare) as found:
        yield bare, found


def asked(visit: Visit, query: str) -> Any:
    return visit.page.context.request.get(f"{visit.address}/api/chat-sessions/stats?scope=global&groupBy=day&{query}").json()["data"]


def figure(visit: Visit, name: str) -> Any:
    return visit.page.locator(".figure", has=visit.page.get_by_text(name, exact=True)).locator(".value")


def plot(visit: Visit, title: str) -> Any:
    return visit.page.get_by_role("region", name=title, exact=True)


def row(visit: Visit, name: str) -> Any:
    return visit.page.get_by_role("row").filter(has=visit.page.get_by_role("rowheader", name=name, exact=True))


# Who gets in


def test_nobody_signed_in_gets_the_sign_in_and_stays_here(furnished: Site, kept: Kept) -> None:
    who = furnished.admin()
    with kept.lent(furnished.address) as windows:
        visit = windows().open(f"{ADMIN}?days=7")
        expect(visit.page.get_by_role("heading", name="Sign in")).to_be_visible()
        visit.page.get_by_label("Username").fill(who.name)
        visit.page.get_by_label("Password").fill(PASSWORD)
        visit.button("Login").click()
        expect(visit.page.get_by_role("heading", name="How it is going")).to_be_visible()
        expect(visit.page).to_have_url(f"{visit.address}{ADMIN}?days=7")
        visit.button("Logout").click()
        expect(visit.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_is_no_admin_is_told_so_and_nothing_is_asked(furnished: Site, kept: Kept) -> None:
    who = furnished.account()
    with kept.lent(furnished.address) as windows:
        visit = windows()
        enter(visit, who)
        visit.open(ADMIN)
        expect(visit.page.get_by_role("heading", name="For admins only")).to_be_visible()
        expect(visit.page.get_by_role("main")).to_contain_text(f"You are signed in as {who.name}, who is not an admin here.")
        assert not [one.url for one in visit.requests if "/api/" in one.url or "/auths/users" in one.url]
        visit.page.get_by_role("link", name="Back to your chats").click()
        visit.field.wait_for()
        expect(visit.page.get_by_role("link", name="Admin")).to_have_count(0)


def test_an_admin_finds_the_page_from_the_chats_and_the_chats_from_the_page(visit: Visit) -> None:
    visit.open()
    visit.page.get_by_role("link", name="Admin").click()
    expect(visit.page).to_have_title("Admin · chatsvc")
    visit.page.get_by_role("link", name="Chats").click()
    visit.field.wait_for()


# Figures and plots


def test_a_whole_look_on_both_engines(app: Flask, kept: Kept) -> None:
    with at(app) as site, visiting(kept, site) as visit:
        person, gardener = site.account(), site.persona("Gardener")
        ended: list[admin.Ended] = [("COMPLETED", 0, 400, None)] * 3 + [("FAILED", 0, 900, "bad_status"), ("ACTIVE", 0, 0, None), ("COMPLETED", 3, 2500, None)]
        exchanges(site, person, gardener, [*ended, ("TIMEOUT", 2, 9000, "cleanup"), ("COMPLETED", 60, 100, None)])
        opened(visit)
        expect(figure(visit, "Active now")).to_have_text("1")
        expect(figure(visit, "Success rate")).to_have_text("71.4%")
        expect(figure(visit, "Response time, p95")).to_have_text("2.5 s")
        expect(figure(visit, "Failures today")).to_have_text("1")
        expect(plot(visit, "Sessions by status").locator(".legend li")).to_have_text(["Completed 4", "Active 1", "Failed 1", "Timed out 1", "Cancelled 0"])
        expect(plot(visit, "Failures").locator(".legend li").filter(has_text="Refused")).to_have_text("Refused 1")
        expect(plot(visit, "Response times").locator(".legend li").first).to_have_text("Average 400 ms")
        expect(row(visit, "Gardener").get_by_role("cell").nth(3)).to_have_text("Closed")
        expect(row(visit, person.name)).to_contain_text("User")
        expect(visit.page.get_by_role("region", name="Recent events, table").get_by_role("row").nth(1)).to_contain_text("Made a persona")


def test_the_figures_are_those_of_the_route(visit: Visit) -> None:
    opened(visit)
    found = asked(visit, "")
    expect(figure(visit, "Active now")).to_have_text(str(found["active"]))
    expect(figure(visit, "Success rate")).to_have_text(f"{round(found['successRate'] * 100, 1):g}%")
    expect(figure(visit, "Failures today")).to_have_text(str(sum(found["series"][-1]["failures"].values())))
    total = sum(day["byStatus"].get("COMPLETED", 0) for day in found["series"])
    expect(plot(visit, "Sessions by status").locator(".legend li").first).to_have_text(f"Completed {total}")


def test_each_plot_is_a_table_with_every_day_and_number(visit: Visit) -> None:
    opened(visit, "?days=7")
    found = asked(visit, "")["series"][-7:]
    sessions = plot(visit, "Sessions by status")
    sessions.get_by_text("As a table").click()
    table = sessions.get_by_role("table")
    assert table.get_by_role("columnheader").all_text_contents() == ["Day", "Completed", "Active", "Failed", "Timed out", "Cancelled"]
    statuses = ("COMPLETED", "ACTIVE", "FAILED", "TIMEOUT", "CANCELLED")
    said = [one.get_by_role("cell").all_text_contents() for one in table.get_by_role("row").all()[1:]]
    assert said == [[str(day["byStatus"].get(status, 0)) for status in statuses] for day in reversed(found)]


def test_a_plot_tells_its_numbers_by_hovering_and_by_keys(visit: Visit) -> None:
    opened(visit, "?days=7")
    found = asked(visit, "")["series"][-7:]
    sessions = plot(visit, "Sessions by status")
    first, slider = sessions.locator(".legend li").first, sessions.get_by_role("slider")
    over_all = first.text_content()
    box = slider.bounding_box()
    slider.hover(position={"x": box["width"] - 30, "y": 90})
    expect(first).to_have_text(f"Completed {found[-1]['byStatus']['COMPLETED']}")
    slider.hover(position={"x": 40, "y": 90})
    expect(first).to_have_text(f"Completed {found[0]['byStatus']['COMPLETED']}")
    visit.page.mouse.move(0, 0)
    expect(first).to_have_text(str(over_all))
    slider.focus()
    for key, at_day in (("ArrowLeft", -2), ("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("End", -1)):
        slider.press(key)
        expect(first).to_have_text(f"Completed {found[at_day]['byStatus']['COMPLETED']}")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(rf": Completed {found[at_day]['byStatus']['COMPLETED']}, Active"))
    slider.blur()
    expect(first).to_have_text(str(over_all))


def test_a_plot_is_read_without_its_colours(visit: Visit) -> None:
    """Columns differ by texture; lines by dashes and the shape of their points."""
    opened(visit)
    for title in ("Sessions by status", "Failures"):
        textures = plot(visit, title).locator(".drawing pattern")
        drawn = textures.evaluate_all("(all) => all.map((one) => one.querySelector('path')?.getAttribute('d') ?? 'plain')")
        assert len(set(drawn)) == len(drawn) >= 5
        assert not plot(visit, title).locator(".drawing svg > rect:not(.pointed):not([fill^='url(#'])").count()
    lines = plot(visit, "Response times").locator(".drawing .line")
    assert len(set(lines.evaluate_all("(all) => all.map((one) => one.querySelector('path').getAttribute('stroke-dasharray'))"))) == 2
    assert lines.evaluate_all("(all) => all.map((one) => one.children[1].tagName)") == ["circle", "rect"]


def test_the_columns_are_as_high_as_their_numbers(visit: Visit) -> None:
    opened(visit, "?days=7")
    found = [day["byStatus"].get("COMPLETED", 0) for day in asked(visit, "")["series"][-7:]]
    heights = (
        plot(visit, "Sessions by status").locator(".drawing rect[fill$='-0)']").evaluate_all("(all) => all.map((one) => Number(one.getAttribute('height')))")
    )
    assert len(heights) == 7
    for height, value in zip(heights, found, strict=True):
        assert (height + 1) / (heights[0] + 1) == pytest.approx(value / found[0], abs=0.02)


def test_the_parts_of_a_column_stand_upon_each_other(visit: Visit) -> None:
    opened(visit, "?days=7")
    drawn = plot(visit, "Sessions by status").locator(".drawing rect[fill^='url(#']")
    columns: dict[float, list[tuple[float, float]]] = {}
    for left, top, height in drawn.evaluate_all("(all) => all.map((one) => ['x', 'y', 'height'].map((name) => Number(one.getAttribute(name))))"):
        columns.setdefault(left, []).append((top, top + height))
    assert len(columns) == 7
    assert max(map(len, columns.values())) >= 3
    for parts in columns.values():
        parts.sort()
        assert all(above[1] <= below[0] for above, below in pairwise(parts))


def test_the_period_and_the_persona_stand_in_the_address(visit: Visit) -> None:
    opened(visit)
    when = plot(visit, "Sessions by status").locator(".plot-when")
    expect(when).to_have_text("30 days, by the day they began (UTC)")
    visit.page.get_by_text("90 days", exact=True).click()
    expect(when).to_have_text("90 days, by the day they began (UTC)")
    expect(visit.page).to_have_url(f"{visit.address}{ADMIN}?days=90")
    expect(figure(visit, "Active now")).to_have_text("6")
    visit.page.get_by_label("Figures of").select_option("Cook")
    expect(figure(visit, "Active now")).to_have_text("3")
    expect(visit.page).to_have_url(re.compile(r"\?days=90&persona=[0-9a-f-]{36}$"))
    visit.page.reload()
    expect(figure(visit, "Active now")).to_have_text("3")
    expect(visit.page.get_by_label("Figures of").locator("option:checked")).to_have_text("Cook")
    visit.page.go_back()
    expect(figure(visit, "Active now")).to_have_text("6")
    visit.page.go_back()
    expect(when).to_have_text("30 days, by the day they began (UTC)")


# Empty, loading, failing, refreshing


def test_where_nothing_has_happened_words_say_so(beginning: tuple[Site, Visit]) -> None:
    _, visit = beginning
    opened(visit)
    for words in ("No session has begun in these days.", "No exchange of these days has ended.", "No exchange of these days was answered."):
        expect(visit.page.get_by_text(words)).to_be_visible()
    expect(visit.page.get_by_text("Nothing has failed in these days.")).to_be_visible()
    expect(visit.page.get_by_text("There is no persona yet.")).to_be_visible()
    expect(figure(visit, "Active now")).to_have_text("0")
    expect(figure(visit, "Success rate")).to_have_text("–")


def test_what_did_not_come_is_told_and_asked_for_again(visit: Visit) -> None:
    visit.page.route("**/api/chat-sessions/stats*", lambda route: route.fulfill(status=503, json={"success": False, "message": "The database is away"}))
    visit.open(ADMIN)
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("Couldn't load the figures. The database is away.")
    expect(row(visit, "Gardener")).to_be_visible()
    visit.page.unroute("**/api/chat-sessions/stats*")
    visit.button("Try again").click()
    expect(figure(visit, "Active now")).to_have_text("6")
    expect(alert).to_have_count(0)
    visit.page.route("**/api/**", lambda route: route.abort())
    visit.button("Refresh").click()
    expect(alert.first).to_contain_text("Couldn't refresh the figures; this is how it was before.")
    expect(figure(visit, "Active now")).to_have_text("6")


def test_where_personas_are_switched_off_the_rest_is_there(tmp_path: Path, kept: Kept) -> None:
    with serving(tmp_path, ENABLE_CHAT_SESSIONS="false") as site, visiting(kept, site) as visit:
        visit.open(ADMIN)
        expect(visit.page.get_by_role("alert")).to_contain_text("Conversations and personas are switched off here")
        expect(figure(visit, "Active now")).to_have_text("0")


def test_a_refresh_moves_nothing_and_brings_what_is_new(beginning: tuple[Site, Visit]) -> None:
    site, visit = beginning
    person, gardener = site.account(), site.persona("Gardener")
    exchanges(site, person, gardener, [("COMPLETED", 0, 400, None)] * 2)
    opened(visit)
    visit.page.evaluate("document.querySelector('.admin').scrollTo(0, 500)")
    visit.page.evaluate("""() => { window.shifts = []; new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((one) => one.value)))
      .observe({type: "layout-shift", buffered: false}); }""")
    heading = plot(visit, "Failures").get_by_role("heading")
    before = visit.at_rest(heading.bounding_box)
    exchanges(site, person, gardener, [("COMPLETED", 0, 400, None), ("FAILED", 1, 400, "timeout")])
    visit.page.evaluate("[...document.querySelectorAll('button')].find((one) => one.textContent === 'Refresh').click()")
    expect(plot(visit, "Sessions by status").locator(".legend li").first).to_have_text("Completed 3")
    expect(visit.page.locator(".plots")).to_have_attribute("aria-busy", "false")
    visit.painted()
    assert heading.bounding_box() == before
    assert visit.page.evaluate("window.shifts") == []


# Personas, people, events


def test_tables_say_how_personas_and_their_breakers_stand(visit: Visit) -> None:
    opened(visit)
    expect(row(visit, "Gardener")).to_contain_text(re.compile(r"Webhook \(n8n\).*http://flows\.example/webhook/garden.*On.*Open since .*, 5 failures in a row"))
    expect(row(visit, "Cook")).to_contain_text(re.compile(r"Chat Completions.*small-one at http://models\.example/v1.*On.*Closed"))
    expect(row(visit, "Parrot")).to_contain_text(re.compile(r"Echo.*Switched off.*Closed"))
    row(visit, "Cook").get_by_role("button", name="Cook", exact=True).click()
    expect(figure(visit, "Active now")).to_have_text("3")


def test_a_persona_is_made_changed_and_switched_off(beginning: tuple[Site, Visit]) -> None:
    _, visit = beginning
    opened(visit)
    visit.button("+ New persona").click()
    expect(visit.page.get_by_label("Name", exact=True)).to_be_focused()
    visit.page.get_by_label("Name", exact=True).fill("Gardener")
    visit.page.get_by_role("combobox", name="Answers", exact=True).select_option("Later, by a signed callback")
    visit.page.get_by_label("Webhook address").fill("http://flows.example/webhook/garden")
    visit.button("Create").click()
    expect(visit.dialog.get_by_role("alert")).to_contain_text("secret")
    visit.page.get_by_label("Signing secret").fill("between the two of us")
    visit.button("Create").click()
    expect(row(visit, "Gardener")).to_contain_text("http://flows.example/webhook/garden")
    visit.button("Edit Gardener").click()
    assert "between the two of us" not in visit.page.content()
    expect(visit.page.get_by_label("Signing secret", exact=True)).to_have_value("")
    visit.page.get_by_label("Name", exact=True).fill("Head gardener")
    visit.button("Save").click()
    expect(row(visit, "Head gardener")).to_be_visible()
    visit.button("Edit Head gardener").click()
    visit.page.get_by_label("Kind").select_option("Echo")
    visit.page.get_by_label("Waits at most").wait_for(state="detached")
    visit.button("Cancel").click()
    visit.button("Switch off Head gardener").click()
    expect(row(visit, "Head gardener")).to_contain_text("Switched off")
    visit.button("Switch on Head gardener").click()
    expect(visit.button("Switch off Head gardener")).to_be_visible()
    assert [one.post_data_json for one in visit.requests if one.method == "PATCH"] == [{"name": "Head gardener"}, {"isActive": False}, {"isActive": True}]
    expect(visit.page.get_by_role("region", name="Recent events, table")).to_contain_text("changed: name")


def test_a_secret_is_changed_and_the_one_before_is_ended(beginning: tuple[Site, Visit]) -> None:
    _, visit = beginning
    opened(visit)
    visit.button("+ New persona").click()
    visit.page.get_by_label("Name", exact=True).fill("Gardener")
    visit.page.get_by_label("Webhook address").fill("http://flows.example/webhook/garden")
    expect(visit.page.get_by_text("stays good for a day")).to_have_count(0)
    visit.page.get_by_label("Signing secret").fill("between the two of us")
    visit.button("Create").click()

    def edit(secret: str = "", check: str = "") -> None:
        visit.button("Edit Gardener").click()
        if secret:
            visit.page.get_by_label("Signing secret", exact=True).fill(secret)
        if check:
            visit.page.get_by_label(check).check()
        visit.button("Save").click()
        expect(visit.dialog).to_have_count(0)

    edit("another between us")
    edit("a third between us", "The secret that is replaced stays good for a day")
    edit(check="End the secret before it at once (good until")
    assert [one.post_data_json for one in visit.requests if one.method == "PATCH"] == [
        {"secret": "another between us"},
        {"secret": "a third between us", "previousSecretHours": 24},
        {"previousSecretHours": 0},
    ]


def test_more_events_and_users_are_shown_when_asked_for(beginning: tuple[Site, Visit]) -> None:
    site, visit = beginning
    for number in range(25):
        site.account(f"person {number:02}")
        site.persona(f"Persona {number:02}")
    opened(visit)
    for name in ("Users", "Recent events"):
        listed = visit.page.get_by_role("region", name=name, exact=True)
        expect(listed.get_by_role("rowheader")).to_have_count(20)
        listed.get_by_role("button", name="Show more").click()
        expect(listed.get_by_role("button", name="Show more")).to_have_count(0)
        expect(listed.get_by_role("rowheader")).to_have_count(26 if name == "Users" else 27)


def test_whatever_names_and_details_say_is_shown_as_words(beginning: tuple[Site, Visit]) -> None:
    site, visit = beginning
    names = sorted({payload[:255] for payload in PAYLOADS})
    for name in names:
        site.persona(name, kind="openai", model=name, base_url="http://models.example/")
    for name in [payload for payload in PAYLOADS if len(payload) <= 64][:10]:
        site.account(name)
        form = {"username": name, "password": name}
        visit.page.context.request.post(f"{visit.address}/auths/login", form=form)
    opened(visit)
    expect(visit.page.get_by_role("region", name="Personas, table").get_by_role("rowheader")).to_have_count(len(names))
    shown = visit.page.get_by_role("region", name="Personas, table").get_by_role("rowheader").all_text_contents()
    assert {" ".join(one.split()) for one in shown} == {" ".join(name.split()) for name in names}
    expect(visit.page.get_by_role("region", name="Users, table")).to_contain_text(PAYLOADS[0])
    expect(visit.page.get_by_role("region", name="Recent events, table")).to_contain_text(PAYLOADS[0])
    visit.page.get_by_label("Figures of").select_option(index=3)
    visit.page.get_by_role("button", name="Edit").first.click()
    expect(visit.dialog).to_be_visible()
    strange = "[...document.querySelectorAll('#page *')].filter((one) => one.matches('script, iframe, img, object, embed, style, link, [style]')).length"
    assert visit.page.evaluate(strange) == 0
    assert visit.found() == []


# For everybody


@pytest.mark.parametrize("width", [320, 768, 1440])
def test_no_width_needs_a_sideways_scroll_of_the_page(visit: Visit, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 780})
    opened(visit, "?days=90")
    visit.until(lambda: visit.page.evaluate("document.querySelector('.admin').scrollWidth <= document.querySelector('.admin').clientWidth"))
    visit.until(lambda: visit.page.evaluate("document.documentElement.scrollWidth") <= width)


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)] if EVERYTHING else [("dark", 360)])
def test_no_state_breaks_a_rule(furnished: Site, chromium: Any, scheme: str, width: int) -> None:
    found: list[str] = []

    def check(visit: Visit, name: str) -> None:
        visit.page.add_script_tag(content=AXE)
        passed, *violations = visit.page.evaluate(RUN)
        assert passed > 10, "the rules were asked"
        found.extend(f"{name}: {one}" for one in violations)

    options = {"viewport": {"width": width, "height": 780}, "color_scheme": scheme, "bypass_csp": True}
    admin.every_state(chromium, furnished, check, **options)
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("query", ["?days=5", "?days=30&more=1", "?persona=gardener"])
def test_an_address_that_makes_no_sense_is_refused(make_app: Callable[..., Flask], query: str) -> None:
    assert make_app().test_client().get(f"{ADMIN}{query}").status_code == 400
