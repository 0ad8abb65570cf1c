"""Money back in a real browser: a refund at the till, a date that is cancelled, and what its owner is told."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from concert.refunds.cancelling import refund_cancelled
from concert.web.door import USER_COOKIE
from tests.e2e.house import PRICE, Hall
from tests.e2e.test_pages import COLOURS, FINISH, PHONE, WIDTHS
from tests.e2e.test_staff import organiser
from tests.e2e.visitor import OpenBrowser, Visitor


def faults(visitor: Visitor, axe: Axe) -> list[object]:
    """What keeps anybody out of this page, or is wider than its window."""
    page, found = visitor.page, list[object]()
    for scheme, rules in (("light", None), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(FINISH)
        violations = axe.run(page, options=rules).response["violations"]
        found += [
            (scheme, one["id"], [node["html"][:200] for node in one["nodes"]]) for one in violations
        ]
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(("too wide", width))
    page.set_viewport_size(PHONE)
    return found


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_payment_is_refunded_in_part_and_its_date_cancelled(
    hall: Hall, open_browser: OpenBrowser, language: str
) -> None:
    fan = hall.fan_inside()
    fan.charge(2 * PRICE)
    assert fan.hold(hall.concert_id, 3, 4).status_code == 200
    payment = fan.pay(hall.concert_id, 3).json
    boss, axe, found = open_browser(language), Axe(), {}
    page = boss.page
    organiser(boss)

    page.locator('.nav a[href="/organiser/payments"]').click()
    page.locator("#q").fill(payment["payment_id"])
    page.locator("form.filters button").click()
    found["payments"] = faults(boss, axe)
    page.locator(f'a[href="/organiser/payments/{payment["payment_id"]}"]').click()
    page.locator('input[name="seats"][value="3"]').uncheck(force=True)
    page.locator("#reason").fill("A pillar")
    found["payment"] = faults(boss, axe)
    page.locator("#choose ~ form button").click()
    expect(page.locator("#preview")).to_be_visible()
    found["preview"] = faults(boss, axe)
    assert fan.balance() == 0
    page.locator("form[action$='/refund'] button").click()
    expect(page.locator(".notice-good")).to_be_visible()
    assert fan.balance() == PRICE

    boss.go(f"/organiser/performances/{payment['performance_id']}/cancellation")
    found["a date"] = faults(boss, axe)
    page.locator("#reason").fill("The band is ill")
    page.locator("#day").fill(hall.date)
    page.locator("form[action$='/cancellation'] button").click()
    expect(page.locator("#progress")).to_contain_text("0 / 1")
    found["a cancelled date"] = faults(boss, axe)
    # The clock's job; the page hears of it by itself.
    assert refund_cancelled() >= 1
    expect(page.locator("#progress")).to_contain_text("1 / 1", timeout=20_000)
    assert fan.balance() == 2 * PRICE

    owner = open_browser(language)
    address = str(hall.sale.client.base_url)
    cookie = {"name": USER_COOKIE, "value": fan.user_token, "url": address}
    owner.context.add_cookies([cookie])  # type: ignore[list-item]
    owner.go(f"/tickets/{payment['payment_id']}")
    expect(owner.page.locator("main")).to_contain_text("The band is ill")
    expect(owner.page.locator("main")).to_contain_text("A pillar")
    found["a ticket"] = faults(owner, axe)
    owner.go(hall.path)
    expect(owner.page.locator("#act")).to_have_text(owner.words("Cancelled"))
    assert {name: one for name, one in found.items() if one} == {}
