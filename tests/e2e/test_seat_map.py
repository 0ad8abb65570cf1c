"""The seat map while others choose, too."""

from __future__ import annotations

import time
from statistics import median

from playwright.sync_api import expect

from tests.e2e.house import Hall, House
from tests.e2e.visitor import OpenBrowser, Visitor


def test_of_two_browsers_on_one_seat_one_wins_and_the_other_is_told_at_once(
    hall: Hall, open_browser: OpenBrowser
) -> None:
    winner, loser = open_browser(), open_browser()
    winner.enter(hall)
    loser.enter(hall)
    winner.choose(12)
    loser.choose(12)
    expect(loser.seat(12).locator("input")).to_be_checked()
    winner.hold()
    expect(loser.seat(12)).to_have_attribute("data-state", "held")
    expect(loser.page.locator("#say")).to_have_text(
        loser.words("Seat %(seat)s, which you had chosen, was just taken.", seat=12)
    )
    expect(loser.seat(12).locator("input")).to_be_disabled()
    expect(loser.seat(12).locator("input")).not_to_be_checked()

    winner.top_up()
    winner.pay()
    expect(loser.seat(12)).to_have_attribute("data-state", "sold")
    loser.choose(13)
    loser.hold()


def test_a_seat_taken_by_one_browser_is_seen_by_another_within_a_second(
    hall: Hall, visitor: Visitor
) -> None:
    visitor.enter(hall)
    took = []
    for seat_no in range(1, 6):
        other = hall.fan_inside()
        began = time.monotonic()
        hall.take(other, seat_no)
        expect(visitor.seat(seat_no)).to_have_attribute("data-state", "held")
        took.append(time.monotonic() - began)
    # The promise is one second; of five, one may meet a busy machine.
    assert median(took) < 1.0


def test_a_seat_that_is_given_back_is_free_again_on_every_map(
    hall: Hall, open_browser: OpenBrowser
) -> None:
    holder, watcher = open_browser(), open_browser()
    holder.enter(hall)
    watcher.enter(hall)
    holder.choose(20, 21)
    holder.hold()
    expect(watcher.seat(20)).to_have_attribute("data-state", "held")
    expect(watcher.page.locator("[data-count=held]")).to_have_text("2")
    holder.button("/release").click()
    expect(watcher.seat(20)).to_have_attribute("data-state", "available")
    expect(watcher.seat(21)).to_have_attribute("data-state", "available")
    expect(watcher.page.locator("[data-count=held]")).to_have_text("0")


def test_a_race_lost_without_javascript_is_said_and_the_nearest_seat_is_offered(
    hall: Hall, open_browser: OpenBrowser
) -> None:
    visitor = open_browser(java_script_enabled=False)
    visitor.complaints.expect_status(409)
    visitor.join(hall)
    visitor.is_taken_in(hall)
    visitor.choose(12)
    hall.take(hall.fan_inside(), 12)
    visitor.button("/hold").click()
    expect(visitor.page.locator("#lost")).to_contain_text("12")
    offered = visitor.page.locator("input[name=seats]:checked")
    expect(offered).to_have_count(1)
    assert abs(int(offered.get_attribute("value") or 0) - 12) == 1
    visitor.hold()


def test_the_seats_offered_after_a_lost_race_stay_chosen_while_the_map_is_refreshed(
    hall: Hall, visitor: Visitor
) -> None:
    visitor.complaints.expect_status(409)
    visitor.enter(hall)
    visitor.choose(12, 13)
    other = hall.fan_inside()
    # Somebody is faster by the moment in which the form is on its way.
    visitor.page.route("**/hold*", lambda route: (hall.take(other, 12), route.continue_()))
    with visitor.page.expect_response("**part=states*"):
        visitor.button("/hold").click()
    visitor.page.unroute_all()
    expect(visitor.page.locator("#lost")).to_be_visible()
    # The map is drawn anew when somebody comes back to it and it has changed meanwhile.
    visitor.page.evaluate("document.querySelector('#seat-40').dataset.state = 'sold'")
    with visitor.page.expect_response("**part=map*"):
        visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(visitor.seat(13).locator("input")).to_be_checked()
    expect(visitor.page.locator("input[name=seats]:checked")).to_have_count(2)
    visitor.hold()


def test_the_best_seats_are_picked_with_one_button(hall: Hall, visitor: Visitor) -> None:
    visitor.enter(hall)
    visitor.page.locator('form[action*="/best"] button[value="3"]').click()
    visitor.page.wait_for_url("**/reservations/*")
    expect(visitor.page.locator(".bill-table tbody tr")).to_have_count(3)


def test_the_map_keeps_to_the_limit_and_says_so(hall: Hall, visitor: Visitor) -> None:
    visitor.enter(hall)
    visitor.choose(1, 2, 3, 4, 5)
    expect(visitor.page.locator("input[name=seats]:checked")).to_have_count(4)
    expect(visitor.page.locator("#say")).to_have_text(
        visitor.words("You have chosen %(limit)s seats, the most for one person.", limit=4)
    )


def test_the_seat_map_recovers_when_web_is_started_again(
    hall: Hall, house: House, visitor: Visitor
) -> None:
    visitor.complaints.expect_broken_network()
    visitor.enter(hall)
    other = hall.fan_inside()
    visitor.choose(30)
    with house.web_is_down():
        pass
    hall.take(other, 12)
    expect(visitor.seat(12)).to_have_attribute("data-state", "held", timeout=30_000)
    expect(visitor.seat(30).locator("input")).to_be_checked()
    visitor.hold()
