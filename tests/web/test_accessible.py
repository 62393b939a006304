"""Every state of the page, light and dark, wide and narrow, by the rules of axe-core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.web import states
from tests.web.browser import EVERYTHING, Visit
from tests.web.site import Site

AXE = (Path(__file__).parent / "vendor/axe/axe.min.js").read_text()
RUN = """() => axe.run(document, {resultTypes: ["violations"]}).then(({violations, passes}) => [passes.length, ...violations.map(
  (one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html.slice(0, 120) + " " + (node.any[0]?.message ?? "")).slice(0, 3).join(" | ")}`)])"""


pytestmark = pytest.mark.long
LOOKS = [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]
PARTS = 4


@pytest.mark.parametrize(("part", "scheme", "width"), [(part, *look) for part in range(PARTS) for n, look in enumerate(LOOKS) if EVERYTHING or n == part])
def test_no_state_breaks_a_rule(site: Site, chromium: Any, part: int, scheme: str, width: int) -> None:
    found: list[str] = []

    def check(visit: Visit, name: str) -> None:
        visit.page.add_script_tag(content=AXE)
        passed, *violations = visit.page.evaluate(RUN)
        assert passed > 10, "the rules were asked"
        found.extend(f"{name}: {one}" for one in violations)

    # The tool is a script of the test's own, which the page's policy would not let in.
    options = {"viewport": {"width": width, "height": 780}, "color_scheme": scheme, "bypass_csp": True}
    states.every_state(chromium, site, check, states.ALL[part::PARTS], **options)
    assert found == [], "\n".join(found)
