"""What tests of the page share: a service, a browser, and somebody who is signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import tables
from tests.web import browser
from tests.web.browser import Kept, Visit
from tests.web.site import PASSWORD, Account, Site, serving

Windows = Callable[[], Visit]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that drives the browser has a second try, the last net where a machine is too busy; the end of the run names each that needed it."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture
def bare(site: Site) -> Iterator[Site]:
    """The service where nothing has happened yet; what a test makes there for everybody to see is gone afterwards."""
    tables.empty(site.app)
    yield site
    tables.empty(site.app)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if browser.WHY_NOT:
        pytest.skip(browser.WHY_NOT)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = browser.launched(playwright)
        yield found
        found.close()


@pytest.fixture(scope="session")
def kept(chromium: Any) -> Kept:
    """The browser of all who need no other: making one anew, with nothing in its cache, takes longer than most tests."""
    return Kept(chromium)


@pytest.fixture
def account(site: Site) -> Account:
    return site.account()


@pytest.fixture
def windows(site: Site, kept: Kept, account: Account) -> Iterator[Windows]:
    """New windows of the person's browser, which is signed in; at the end nothing may have gone wrong in any of them."""
    site.split = False
    with kept.lent(site.address) as visit:
        enter(kept.first, account)
        yield visit


@pytest.fixture
def visit(windows: Windows) -> Visit:
    """A window at the page."""
    found = windows().open()
    found.field.wait_for()
    return found


def enter(visit: Visit, account: Account) -> None:
    """Signs the browser in, without the form."""
    form = {"username": account.name, "password": PASSWORD}
    response = visit.page.context.request.post(f"{visit.address}/auths/login", form=form, headers={"X-Session": "cookie"})
    assert response.status == 200
