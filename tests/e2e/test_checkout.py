"""The checkout: the deadline, the money, and hands that are quicker than the network."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

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


def test_the_shortfall_is_topped_up_and_paid_with_one_tap(hall: Hall, visitor: Visitor) -> None:
    visitor.enter(hall)
    visitor.choose(12, 13)
    visitor.hold()
    expect(visitor.button("/top-up")).to_have_text(
        visitor.words("Top up %(amount)s and pay", amount=f"₩{2 * PRICE:,}")
    )
    visitor.top_up_and_pay()
    assert ledger(visitor) == [-2 * PRICE, 2 * PRICE]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("action", ["/top-up", "/pay"])
def test_two_quick_taps_pay_once(
    hall: Hall, open_browser: OpenBrowser, scripts: bool, action: str
) -> None:
    visitor = open_browser(java_script_enabled=scripts)
    visitor.enter(hall)
    visitor.choose(12)
    visitor.hold()
    if action == "/pay":
        visitor.top_up()
    visitor.button(action).dblclick()
    visitor.sees_ticket()
    assert ledger(visitor) == [-PRICE, PRICE]
    assert payments_of(hall) == 1


def test_a_stale_checkout_tab_adds_no_money(hall: Hall, visitor: Visitor) -> None:
    visitor.enter(hall)
    visitor.choose(12)
    visitor.hold()
    other_tab = replace(visitor, page=visitor.context.new_page())
    other_tab.go(urlsplit(visitor.page.url).path)
    visitor.top_up_and_pay()
    # It learns what has happened when somebody comes back to it; this is quicker.
    other_tab.button("/top-up").click()
    other_tab.sees_ticket()
    assert other_tab.page.url == visitor.page.url
    assert ledger(visitor) == [-PRICE, PRICE]


def test_an_answer_that_was_lost_is_asked_for_again_and_adds_no_more(
    hall: Hall, visitor: Visitor
) -> None:
    visitor.complaints.expect_broken_network()
    visitor.enter(hall)
    visitor.choose(12)
    visitor.hold()
    checkout = urlsplit(visitor.page.url).path

    def lose_the_answer(route: Route) -> None:
        route.fetch(max_redirects=0)
        route.abort()

    visitor.page.route("**/top-up", lose_the_answer, times=1)
    visitor.button("/top-up").click()
    visitor.page.wait_for_url("chrome-error://**")
    visitor.go(checkout)
    visitor.sees_ticket()
    assert ledger(visitor) == [-PRICE, PRICE]


def test_the_back_button_does_no_harm(hall: Hall, visitor: Visitor) -> None:
    visitor.enter(hall)
    visitor.choose(12)
    visitor.hold()
    visitor.page.go_back()
    visitor.is_taken_in(hall)
    expect(visitor.seat(12).locator("input")).to_be_disabled()
    checkout = visitor.page.locator('#hold a[href^="/reservations/"]')
    expect(checkout).to_be_visible()
    checkout.click()
    visitor.top_up_and_pay()
    ticket = visitor.page.url
    visitor.page.go_back()
    visitor.sees_ticket()
    assert visitor.page.url == ticket
    assert len(ledger(visitor)) == 2
