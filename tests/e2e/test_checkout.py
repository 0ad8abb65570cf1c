"""The checkout: the deadline, the money, and hands that are quicker than the network."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.house import PRICE, Hall
from tests.e2e.visitor import OpenBrowser, Visitor

HOLD_SECONDS = 300


def payments_of(hall: Hall) -> int:
    """How many payments there are for a hall's concert."""
    (date,) = hall.fan_inside().call("GET", f"/v1/concerts/{hall.concert_id}/dates").json["dates"]
    sold: int = date["sold"]
    return sold


def ledger(visitor: Visitor) -> list[int]:
    """The amounts in the visitor's ledger, in won, the newest first."""
    visitor.go("/wallet")
    shown = visitor.page.locator(".ledger tbody tr td:nth-child(2)").all_inner_texts()
    amounts = [int("".join(filter(str.isdigit, text))) for text in shown]
    return [amount if "+" in text else -amount for text, amount in zip(shown, amounts, strict=True)]


def test_a_hold_that_ends_while_one_looks_is_said_and_leads_back_to_the_map(
    hall: Hall, visitor: Visitor
) -> None:
    visitor.enter(hall)
    visitor.choose(12)
    visitor.hold()
    hall.sale.let_time_pass(HOLD_SECONDS - 3)
    visitor.page.reload()
    expect(visitor.button("/top-up")).to_be_visible()
    expect(visitor.page.locator("#checkout [role=status] h2")).to_have_text(
        visitor.words("The time to pay is over")
    )
    expect(visitor.button("/pay")).to_have_count(0)
    visitor.page.locator("#checkout a.button").click()
    visitor.is_taken_in(hall)
    expect(visitor.seat(12)).to_have_attribute("data-state", "available")


def test_paying_after_the_deadline_is_refused_and_takes_nothing(
    hall: Hall, visitor: Visitor
) -> None:
    visitor.complaints.expect_status(409)
    visitor.enter(hall)
    visitor.choose(12)
    visitor.hold()
    visitor.top_up()
    hall.sale.let_time_pass(HOLD_SECONDS + 1)
    visitor.button("/pay").click()
    expect(visitor.page.locator("#checkout [role=status] h2")).to_have_text(
        visitor.words("The time to pay is over")
    )
    assert len(ledger(visitor)) == 1


def test_the_shortfall_is_topped_up_with_one_tap_that_comes_back(
    hall: Hall, visitor: Visitor
) -> None:
    visitor.enter(hall)
    visitor.choose(12, 13)
    visitor.hold()
    checkout = visitor.page.url
    expect(visitor.button("/top-up")).to_contain_text(f"{2 * PRICE:,}")
    visitor.top_up()
    assert visitor.page.url == checkout
    visitor.pay()
    visitor.go("/wallet")
    expect(visitor.page.locator(".purse-balance b")).to_have_text("₩0")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_two_quick_taps_on_pay_pay_once(
    hall: Hall, open_browser: OpenBrowser, scripts: bool
) -> None:
    visitor = open_browser(java_script_enabled=scripts)
    visitor.enter(hall)
    visitor.choose(12)
    visitor.hold()
    visitor.button("/top-up").dblclick()
    expect(visitor.button("/pay")).to_be_visible()
    visitor.button("/pay").dblclick()
    visitor.sees_ticket()
    assert ledger(visitor) == [-PRICE, PRICE]
    assert payments_of(hall) == 1


def test_the_back_button_does_no_harm(hall: Hall, visitor: Visitor) -> None:
    visitor.enter(hall)
    visitor.choose(12)
    visitor.hold()
    visitor.page.go_back()
    visitor.is_taken_in(hall)
    expect(visitor.seat(12).locator("input")).to_be_disabled()
    checkout = visitor.page.locator('main a[href^="/reservations/"]')
    expect(checkout).to_be_visible()
    checkout.click()
    visitor.top_up()
    visitor.pay()
    ticket = visitor.page.url
    visitor.page.go_back()
    visitor.sees_ticket()
    assert visitor.page.url == ticket
    assert len(ledger(visitor)) == 2
