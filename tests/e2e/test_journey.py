"""The whole sale, as a fan walks through it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.house import Hall
from tests.e2e.visitor import OpenBrowser, Visitor

HANGUL = re.compile("[가-힣]")


def buy(visitor: Visitor, hall: Hall) -> None:
    """From the front page to the ticket."""
    page = visitor.page
    visitor.go("/")
    page.locator(f'a[href="{hall.path}"]').click()
    visitor.button("/join").click()
    visitor.is_taken_in(hall)
    visitor.choose(12, 13)
    visitor.hold()
    visitor.top_up_and_pay()
    expect(page.locator(".ticket")).to_contain_text("12")
    expect(page.locator(".ticket")).to_contain_text("13")
    page.locator('nav a[href="/wallet"]').click()
    expect(page.locator(".ledger tbody tr")).to_have_count(2)
    page.locator('nav a[href="/tickets"]').click()
    expect(page.locator('a[href^="/tickets/"]')).to_have_count(1)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_fan_lines_up_chooses_pays_and_owns_the_seats(
    hall: Hall, open_browser: OpenBrowser, language: str
) -> None:
    visitor = open_browser(language)
    buy(visitor, hall)
    expect(visitor.page.locator("html")).to_have_attribute("lang", language)
    expect(visitor.page.locator("h1")).to_have_text(visitor.words("Tickets"))
    assert bool(HANGUL.search(visitor.page.locator("h1").inner_text())) == (language == "ko")


def test_the_whole_journey_works_without_javascript(hall: Hall, open_browser: OpenBrowser) -> None:
    hall.set(capacity=1)
    somebody_inside = hall.fan_inside()
    visitor = open_browser(java_script_enabled=False)
    visitor.go(hall.path)
    visitor.button("/join").click()
    visitor.sees_place(1)
    # Nothing but the page's own refresh takes them in.
    somebody_inside.call("DELETE", "/v1/enqueues")
    visitor.is_taken_in(hall)
    visitor.choose(12)
    visitor.hold()
    visitor.top_up_and_pay()
    expect(visitor.page.locator(".ticket")).to_contain_text("12")


def test_the_whole_journey_works_by_keyboard_alone(hall: Hall, visitor: Visitor) -> None:
    hall.set(capacity=1)
    somebody_inside = hall.fan_inside()
    page, press = visitor.page, visitor.page.keyboard.press
    visitor.go("/")
    visitor.tab_to(f'a[href="{hall.path}"]')
    press("Enter")
    page.wait_for_url(f"**{hall.path}")
    visitor.tab_to('form[action*="/join"] button')
    press("Enter")
    visitor.sees_place(1)
    visitor.tab_to("#sound")
    press("Space")
    expect(page.locator("#sound")).to_be_checked()
    somebody_inside.call("DELETE", "/v1/enqueues")
    visitor.is_taken_in(hall)
    expect(visitor.seat(1)).to_be_visible()

    visitor.tab_to("#seat-1 input")
    press("Space")
    press("ArrowRight")
    press("ArrowDown")
    press("ArrowUp")
    press("Space")
    expect(visitor.seat(1).locator("input")).to_be_checked()
    expect(visitor.seat(2).locator("input")).to_be_checked()
    visitor.tab_to("#tray button")
    press("Enter")
    page.wait_for_url("**/reservations/*")
    visitor.tab_to('form[action*="/top-up"] button')
    press("Enter")
    visitor.sees_ticket()
