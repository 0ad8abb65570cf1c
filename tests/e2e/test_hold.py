"""What is held follows its owner: to every page, to every tab, and to another device."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.e2e.house import Hall
from tests.e2e.visitor import OpenBrowser, Visitor

HOLD_SECONDS = 300


def bar(page: Page) -> Locator:
    """What a page says of a hold."""
    return page.locator("#hold")


def hold(visitor: Visitor, hall: Hall, seat_no: int) -> str:
    """Hold a seat; the address is the checkout's."""
    visitor.enter(hall)
    visitor.choose(seat_no)
    visitor.hold()
    return visitor.page.url


def test_a_hold_is_said_until_its_time_is_over_and_then_no_more(
    hall: Hall, visitor: Visitor
) -> None:
    checkout = hold(visitor, hall, 12)
    hall.sale.let_time_pass(HOLD_SECONDS - 8)
    visitor.go("/")
    expect(bar(visitor.page)).to_contain_text("12")
    bar(visitor.page).get_by_role("link").click()
    visitor.page.wait_for_url(checkout)
    visitor.go(hall.path)
    expect(bar(visitor.page)).to_be_visible()
    expect(bar(visitor.page)).to_have_count(0)


def test_what_is_given_back_in_one_tab_is_said_in_no_other(hall: Hall, visitor: Visitor) -> None:
    hold(visitor, hall, 12)
    other = visitor.context.new_page()
    other.goto(hall.sale.client.base_url.join("/me").__str__())
    expect(bar(other)).to_be_visible()
    visitor.button("/release").click()
    visitor.is_taken_in(hall)
    expect(bar(other)).to_have_count(0)


def test_going_back_to_a_page_from_before_the_hold_says_so(hall: Hall, visitor: Visitor) -> None:
    visitor.enter(hall)
    visitor.go("/")
    visitor.go(hall.map_path)
    visitor.choose(12)
    visitor.hold()
    for _ in range(2):
        visitor.page.go_back()
    visitor.page.wait_for_url(lambda address: address.endswith("/"))
    expect(bar(visitor.page)).to_be_visible()


def test_another_device_sees_the_place_the_turn_and_the_hold_and_pays(
    hall: Hall, open_browser: OpenBrowser
) -> None:
    hall.set(capacity=1)
    inside = hall.fan_inside()
    ahead = hall.fan()
    phone, laptop = open_browser(), open_browser()
    phone.stand_in_line(hall, 2)

    # The phone shows a code, which the laptop opens.
    shown = phone.context.new_page()
    shown.goto(phone.page.url.partition("/rooms/")[0] + "/me")
    shown.locator('form[action="/me/devices"] button').click()
    laptop.page.goto(shown.locator("a.offer-link").get_attribute("href") or "")
    laptop.button("/me/continue").click()
    laptop.page.wait_for_url("**/tickets")

    laptop.go(hall.path)
    expect(laptop.page.locator(".concert-act")).to_contain_text(
        laptop.words("You are number %(n)s in line.", n=2)
    )
    laptop.page.locator(".concert-act a").click()
    laptop.sees_place(2)
    laptop.sees_connection("live")
    ahead.call("DELETE", "/v1/enqueues")
    for device in (phone, laptop):
        device.sees_place(1)
    inside.call("DELETE", "/v1/enqueues")
    for device in (phone, laptop):
        device.is_taken_in(hall)

    phone.choose(12)
    phone.hold()
    laptop.go("/")
    expect(bar(laptop.page)).to_contain_text("12")
    bar(laptop.page).get_by_role("link").click()
    laptop.page.wait_for_url("**/reservations/*")
    laptop.top_up()
    laptop.pay()
