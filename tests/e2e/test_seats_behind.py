"""The line knows the seats, and says so in browsers, in streams, in JSON, and without scripts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import expect

from concert.ground.database import connection
from tests.e2e.house import Hall
from tests.e2e.test_pages import COLOURS, EVERYTHING, FINISH, violations_of
from tests.e2e.visitor import OpenBrowser, Visitor
from tests.sale import Fan
from tests.waiting import wait_until

SAID = {"ko": "<b>곧</b> 열려요.", "en": "We open <b>soon</b>."}
# How quickly everybody is told, by the contract.
TOLD_MS = 5_000
STREAM_SECONDS = 20
OpenHall = Callable[..., Hall]


def pay(hall: Hall, fan: Fan, seat_no: int) -> None:
    """Buy what is held."""
    assert fan.charge(200_000).status_code == 200
    assert fan.pay(hall.concert_id, seat_no).status_code == 200


def a_seat_comes_back(hall: Hall, seat_no: int) -> None:
    """As a refund does."""
    with connection() as link:
        link.execute(
            "UPDATE seats SET sold_at = NULL, reservation_id = NULL WHERE seat_no = %s AND "
            "performance_id IN (SELECT id FROM performances WHERE concert_id = %s)",
            (seat_no, hall.concert_id),
        )


def sees_seats(visitor: Visitor, state: str) -> None:
    """Tells within the time of the contract how the seats stand, without a reload."""
    expect(visitor.place()).to_have_attribute("data-seats", state, timeout=TOLD_MS)


@contextmanager
def stream(hall: Hall, fan: Fan) -> Iterator[Callable[[Callable[[dict[str, Any]], bool]], None]]:
    """The stream of somebody's place; what is yielded reads on until a place is as it should be."""
    headers = {"Authorization": f"Bearer {fan.queue_token}"}
    with hall.sale.client.stream("GET", "/v1/enqueues/events", headers=headers) as answer:
        lines = answer.iter_lines()
        deadline = time.monotonic() + STREAM_SECONDS

        def until(is_so: Callable[[dict[str, Any]], bool]) -> None:
            for line in lines:
                assert time.monotonic() < deadline, "not told in the stream"
                kind, _, data = line.partition(":")
                if kind == "data" and data.strip().startswith("{") and is_so(json.loads(data)):
                    return
            raise AssertionError("the stream has ended")

        yield until


def is_fit_for_everybody(visitor: Visitor) -> None:
    """Axe finds nothing, and nothing is wider than a small window."""
    for scheme, rules in (("light", EVERYTHING), ("dark", COLOURS)):
        visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        visitor.page.evaluate(FINISH)
        violations = violations_of(visitor.page, rules)
        assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
    size = visitor.page.viewport_size
    visitor.page.set_viewport_size({"width": 360, "height": 800})
    assert not visitor.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert size is not None
    visitor.page.set_viewport_size(size)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_from_all_held_to_sold_out_to_a_seat_that_comes_back(
    open_hall: OpenHall, open_browser: OpenBrowser, language: str
) -> None:
    hall = open_hall(date={"capacity": 1})
    buyer = hall.fan_inside()
    hall.take(buyer, 1)
    first = hall.fan()
    visitor, plain = open_browser(language), open_browser(language, java_script_enabled=False)
    visitor.stand_in_line(hall, 2)
    sees_seats(visitor, "all_held")
    expect(visitor.place()).to_contain_text(visitor.words("All seats are being paid for right now"))
    is_fit_for_everybody(visitor)

    with stream(hall, first) as told:
        pay(hall, buyer, 1)
        told(lambda place: place["seats"]["state"] == "sold_out")
    sees_seats(visitor, "sold_out")
    expect(visitor.page.locator("#say")).to_contain_text(
        visitor.words("Sold out. You are standing by for seats that come back.")
    )
    expect(visitor.place()).not_to_contain_text(visitor.words("Estimated wait"))
    place = first.place().json
    assert (place["status"], place["chance"]) == ("waiting", "none")
    assert place["estimated_wait_seconds"] is None
    is_fit_for_everybody(visitor)

    # What joining is, is said before the click; and it works without a script.
    for path in (hall.path, hall.room_path):
        plain.go(path)
        expect(plain.button("/join")).to_have_text(plain.words("Stand by for a seat"))
    plain.button("/join").click()
    plain.sees_place(3)
    expect(plain.place()).to_have_attribute("data-seats", "sold_out")

    a_seat_comes_back(hall, 1)
    wait_until(lambda: first.place().json["status"] == "admitted", seconds=5)
    visitor.sees_place(1)
    first.call("DELETE", "/v1/enqueues")
    visitor.is_taken_in(hall)
    expect(visitor.seat(1)).to_have_attribute("data-state", "available")
    plain.go(hall.room_path)
    plain.sees_place(1)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_end_of_a_sale_closes_the_line_and_everybody_is_told(
    open_hall: OpenHall, open_browser: OpenBrowser, language: str
) -> None:
    hall = open_hall(paused=True)
    fan = hall.fan()
    visitor, plain = open_browser(language), open_browser(language, java_script_enabled=False)
    visitor.stand_in_line(hall, 2)
    plain.stand_in_line(hall, 3)
    with stream(hall, fan) as told:
        with connection() as link:
            link.execute(
                "UPDATE performances SET sales_close_at = statement_timestamp() WHERE concert_id = %s",
                (hall.concert_id,),
            )
        told(lambda place: (place["status"], place["seats"]["state"]) == ("expired", "ended"))
    sees_seats(visitor, "ended")
    expect(visitor.place()).to_have_attribute("data-status", "expired")
    expect(visitor.page.locator("#say")).to_have_text(
        visitor.words("The sale is over. The line is closed.")
    )
    expect(visitor.page.locator('form[action*="/join"]')).to_have_count(0)
    expect(visitor.page.locator("main a.button:visible")).to_have_text(
        visitor.words("See what is on")
    )
    is_fit_for_everybody(visitor)
    refused = fan.join(hall.concert_id)
    assert (refused.status_code, refused.json["code"]) == (409, "sales_ended")
    plain.go(hall.room_path)
    expect(plain.place()).to_contain_text(plain.words("The line is closed."))
    expect(plain.page.locator('form[action*="/join"]')).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_message_to_the_line_is_seen_said_once_streamed_and_in_json(
    open_hall: OpenHall, open_browser: OpenBrowser, language: str
) -> None:
    hall = open_hall(paused=True)
    fan = hall.fan()
    visitor, plain = open_browser(language), open_browser(language, java_script_enabled=False)
    visitor.stand_in_line(hall, 2)
    expect(visitor.page.locator(".message")).to_have_count(0)
    say = visitor.page.locator("#say")
    with stream(hall, fan) as told:
        hall.set(message=SAID)
        told(lambda place: place["message"] == SAID)
    words = visitor.page.locator(".message-words")
    expect(words).to_have_text(SAID[language], timeout=TOLD_MS)
    expect(say).to_contain_text(SAID[language])
    is_fit_for_everybody(visitor)
    assert fan.place().json["message"] == SAID
    plain.stand_in_line(hall, 3)
    expect(plain.page.locator(".message-words")).to_have_text(SAID[language])
    # What happens next does not say it again.
    visitor.page.evaluate("document.getElementById('say').textContent = ''")
    fan.call("DELETE", "/v1/enqueues")
    visitor.sees_place(1)
    assert SAID[language] not in say.inner_text()


def test_a_map_offers_only_what_can_be_had_and_a_seat_that_comes_free_can_be_chosen_again(
    open_hall: OpenHall, open_browser: OpenBrowser
) -> None:
    hall = open_hall(date={"capacity": 2})
    visitor = open_browser()
    visitor.enter(hall)
    other = hall.fan_inside()
    best, none = visitor.page.locator(".best"), visitor.page.locator("#none-free")
    expect(best).to_be_visible()
    hall.take(other, 1, 2)
    expect(none).to_contain_text(visitor.words("All seats are being paid for right now"))
    for gone in (best, visitor.page.locator(".tray button"), visitor.page.locator(".tray-sum")):
        expect(gone).to_be_hidden()
    expect(visitor.button("/leave")).to_be_visible()
    is_fit_for_everybody(visitor)
    other.call("DELETE", "/v1/enqueues")
    expect(best).to_be_visible()
    expect(visitor.button("/leave")).to_have_count(0)
    visitor.choose(2)
    visitor.hold()


def test_whoever_waits_meets_it_on_the_front_page_and_goes_back_with_one_tap(
    open_hall: OpenHall, open_browser: OpenBrowser
) -> None:
    hall = open_hall(paused=True)
    visitor = open_browser("ko")
    visitor.stand_in_line(hall, 1)
    visitor.go("/")
    bar = visitor.page.locator("#greeting")
    expect(bar).to_contain_text(
        visitor.words("You are number %(n)s in line for %(title)s.", n=1, title="Winter Songs")
    )
    is_fit_for_everybody(visitor)
    bar.locator("a").click()
    visitor.sees_place(1)
    expect(bar).to_have_count(0)
    visitor.go("/wallet")
    hall.set(paused=False)
    room = f"/v1/rooms/{hall.slug}"
    wait_until(lambda: hall.sale.call("GET", room).json["inside"] == 1, seconds=5)
    visitor.page.reload()
    expect(bar.locator("time[data-until]")).to_be_visible()
    bar.locator("a").click()
    visitor.is_taken_in(hall)
