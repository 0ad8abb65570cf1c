"""The cockpit in real browsers: numbers and charts that move, levers that fans see at once, and no page too wide."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.e2e.house import Hall
from tests.e2e.test_pages import COLOURS, FINISH, PHONE, WIDTHS
from tests.e2e.test_staff import organiser
from tests.e2e.visitor import OpenBrowser, Visitor

# As many points as a chart has, by what it draws.
INKED = """() => [...document.querySelectorAll('.plot-canvas canvas')].map((canvas) =>
  canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value, at) => at % 4 === 3 && value))"""


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_sale_is_watched_live_and_steered_and_whoever_waits_sees_it(
    hall: Hall, open_browser: OpenBrowser, language: str
) -> None:
    boss, fan = open_browser(language), open_browser(language)
    organiser(boss)
    page = boss.page
    boss.go(f"/organiser/sales/{hall.slug}")
    canvases = page.locator(".plot-canvas canvas")
    expect(canvases).to_have_count(3)
    page.wait_for_function(f"() => ({INKED})().every(Boolean)")

    # It moves by itself: somebody lines up, somebody takes a seat.
    hall.set(capacity=1)
    inside = hall.fan_inside()
    fan.stand_in_line(hall, 1)
    now = page.locator("#now")
    expect(now.locator(".dial").first).to_contain_text("1", timeout=20_000)
    hall.take(inside, 1)
    expect(page.locator("#dates tbody tr").first.locator("td").nth(1)).to_have_text(
        "1", timeout=20_000
    )

    # A lever: its effect first, then done, and whoever waits is told.
    page.locator('button[name="lever"][value="pause"]').click()
    expect(page.locator(".effects li")).to_have_count(1)
    why = f"the hall is not ready {uuid4().hex[:6]}"
    page.locator("input[name=reason]").fill(why)
    page.locator('form[action$="/lever"] button').click()
    page.wait_for_url(f"**/organiser/sales/{hall.slug}")
    expect(page.locator("#sale-state")).to_have_attribute("data-state", "paused")
    paused = fan.words(
        "The line is paused for a moment. Nobody goes in, and nobody loses their place."
    )
    expect(fan.page.locator("main")).to_contain_text(paused, timeout=20_000)
    boss.go(f"/organiser/log?kind=room&subject={hall.slug}")
    expect(page.locator(".log-row", has_text=why)).to_be_visible()

    # By keyboard alone: the page's first lever.
    boss.go(f"/organiser/sales/{hall.slug}")
    boss.tab_to('button[name="lever"][value="resume"]')
    page.keyboard.press("Enter")
    expect(page.locator(".effects")).to_be_visible()


def every_page(visitor: Visitor, hall: Hall) -> Iterator[str]:
    """Lead an organiser through all there is to see of a sale."""
    page = visitor.page
    organiser(visitor)
    visitor.go(f"/organiser/sales/{hall.slug}")
    page.locator("details.card > summary").first.click()
    expect(page.locator(".plot-canvas canvas")).to_have_count(3)
    yield "cockpit"
    for lever in ("pause", "pace&capacity=9&admit_per_minute=99", "message&ko=네&en=Yes"):
        visitor.go(f"/organiser/sales/{hall.slug}/lever?lever={lever}")
        yield f"lever {lever}"
    visitor.go(f"/organiser/reports?room={hall.slug}")
    expect(page.locator(".plot-canvas canvas")).to_have_count(2)
    yield "reports"


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_page_of_a_sale_keeps_anybody_out_or_is_wider_than_its_window(
    hall: Hall, open_browser: OpenBrowser, language: str
) -> None:
    buyer = hall.fan_inside()
    hall.take(buyer, 1, 2)
    assert buyer.charge(1_000_000).status_code == 200
    assert buyer.pay(hall.concert_id, 1).status_code == 200
    visitor = open_browser(language, color_scheme="light", reduced_motion="reduce")
    axe = Axe()
    found, too_wide = {}, []
    for name in every_page(visitor, hall):
        page = visitor.page
        for scheme, rules in (("light", None), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(FINISH)
            violations = axe.run(page, options=rules).response["violations"]
            if violations:
                found[f"{name}, {scheme}"] = [
                    (one["id"], [node["html"][:200] for node in one["nodes"]]) for one in violations
                ]
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_timeout(100)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                too_wide.append((name, width))
        page.set_viewport_size(PHONE)
    assert found == {}
    assert too_wide == []
