"""How often a page asks: a settled page of any state sends no more than its design says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, Request, expect

from concert.ground.database import connection
from tests.e2e.house import Hall, House
from tests.e2e.test_line import CAN_BE_HIDDEN, HIDE
from tests.e2e.visitor import Complaints, OpenBrowser, Visitor
from tests.e2e.wire import Wire
from tests.waiting import wait_until

LOOKED_AT_MS = 10_000
HOLD_SECONDS = 300


@dataclass(frozen=True)
class Budget:
    """How many requests a settled page may send in ten seconds, and why."""

    most: int
    why: str


NOTHING = Budget(0, "nothing on it changes by itself")
STREAM = Budget(0, "its one stream was opened before, stands, and tells what changes")
OVER = Budget(0, "the place is over: the stream has said so, and nobody asks again")
MAP = Budget(2, "its stream stands; now and then it looks whether the map is still right")

BUDGETS = {
    "home": NOTHING,
    "concert": NOTHING,
    "no place": NOTHING,
    "waiting": STREAM,
    "waiting, paused": STREAM,
    "waiting, before the doors open": STREAM,
    "standing by": STREAM,
    "line closed": OVER,
    "line closed, not in it": NOTHING,
    "seat map, nothing free": MAP,
    "home, in line": NOTHING,
    "missed turn": OVER,
    "missed turn, opened anew": NOTHING,
    "left": NOTHING,
    "left, by another device": OVER,
    "completed": NOTHING,
    "completed, by another device": OVER,
    "seat map": MAP,
    "checkout, held": NOTHING,
    "checkout, lapsed": NOTHING,
    "tickets": NOTHING,
    "wallet": NOTHING,
    "me": NOTHING,
    "error": NOTHING,
}


class Requests:
    """What a page asks the service for, as the browser itself counts it."""

    def __init__(self, page: Page) -> None:
        self.sent: list[str] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        self.sent.append(re.sub(r"^https?://[^/]+", "", request.url))

    def to(self, path: str) -> int:
        """How many were sent to addresses that begin with ``path``."""
        return sum(one.startswith(path) for one in self.sent)


def every_state(open_browser: OpenBrowser, open_hall: Callable[..., Hall]) -> dict[str, Visitor]:
    """A browser in each state, settled."""
    hall, dawn = open_hall(capacity=1), open_hall(opens_at="2030-12-31T18:00:00+09:00")
    paused, busy = open_hall(capacity=1, paused=True), open_hall(capacity=9)
    found: dict[str, Visitor] = {}

    def looking_at(path: str) -> Visitor:
        visitor = open_browser()
        visitor.go(path)
        return visitor

    for name, path in (
        ("home", "/"),
        ("concert", hall.path),
        ("no place", hall.room_path),
        ("tickets", "/tickets"),
        ("wallet", "/wallet"),
        ("me", "/me"),
        ("error", "/nothing-here"),
    ):
        found[name] = looking_at(path)

    # Those whose place ends while they look at it, or while they do not.
    missing = open_hall(capacity=1, entry_seconds=2)
    inside = missing.fan_inside()
    assert inside.seats(missing.concert_id).status_code == 200
    missed = found["missed turn"] = open_browser()
    missed.context.add_init_script(CAN_BE_HIDDEN)
    missed.stand_in_line(missing, 1)
    missed.page.evaluate(HIDE)
    inside.call("DELETE", "/v1/enqueues")
    expect(missed.place()).to_have_attribute("data-status", "expired")
    anew = found["missed turn, opened anew"] = open_browser(
        storage_state=missed.context.storage_state()
    )
    anew.go(missing.room_path)
    expect(anew.place()).to_have_attribute("data-status", "expired")

    completed = found["completed"] = open_browser()
    completed.enter(busy)
    completed.choose(1)
    completed.hold()
    completed.top_up()
    completed.pay()
    completed.go(busy.room_path)
    expect(completed.place()).to_have_attribute("data-status", "none")

    hall.fan_inside()
    left = found["left"] = open_browser()
    left.stand_in_line(hall, 1)
    left.button("/leave").click()
    expect(left.place()).to_have_attribute("data-status", "none")

    # Two tabs of one person: what one does ends what the other shows.
    ended = found["left, by another device"] = open_browser()
    ended.stand_in_line(hall, 1)
    other = ended.context.new_page()
    other.goto(ended.page.url)
    other.locator('form[action*="/leave"] button').click()
    expect(ended.place()).to_contain_text("You have left the line")
    other.close()

    narrow = open_hall(capacity=1)
    first = narrow.fan_inside()
    paid = found["completed, by another device"] = open_browser()
    paid.context.add_init_script(CAN_BE_HIDDEN)
    paid.stand_in_line(narrow, 1)
    paid.page.evaluate(HIDE)
    first.call("DELETE", "/v1/enqueues")
    expect(paid.place()).to_have_attribute("data-status", "admitted")
    buying = Visitor(paid.context, paid.context.new_page(), paid.complaints, paid.words)
    buying.open_map(narrow)
    buying.choose(1)
    buying.hold()
    buying.top_up()
    buying.pay()
    buying.page.close()
    expect(paid.place()).to_have_attribute("data-status", "none")

    found["waiting"] = open_browser()
    found["waiting"].stand_in_line(hall, 1)
    found["waiting, before the doors open"] = open_browser()
    found["waiting, before the doors open"].stand_in_line(dawn, 1)
    found["waiting, paused"] = open_browser()
    found["waiting, paused"].stand_in_line(paused, 1)

    full = open_hall(date={"capacity": 1})
    buyer = full.fan_inside()
    full.take(buyer, 1)
    by = found["standing by"] = open_browser()
    by.stand_in_line(full, 1)
    assert buyer.charge(200_000).status_code == 200
    assert buyer.pay(full.concert_id, 1).status_code == 200
    expect(by.place()).to_have_attribute("data-seats", "sold_out")

    scarce = open_hall(date={"capacity": 2})
    looking = found["seat map, nothing free"] = open_browser()
    looking.enter(scarce)
    scarce.take(scarce.fan_inside(), 1, 2)
    expect(looking.button("/leave")).to_be_visible()

    closing = open_hall(paused=True)
    closed = found["line closed"] = open_browser()
    closed.stand_in_line(closing, 1)
    with connection() as link:
        ends = "UPDATE performances SET sales_close_at = statement_timestamp() WHERE concert_id"
        link.execute(f"{ends} = %s", (closing.concert_id,))
    expect(closed.place()).to_have_attribute("data-seats", "ended")
    found["line closed, not in it"] = looking_at(closing.room_path)

    met = found["home, in line"] = open_browser()
    met.stand_in_line(paused, 2)
    met.go("/")
    expect(met.page.locator("#greeting")).to_be_visible()

    lapsed = found["checkout, lapsed"] = open_browser()
    lapsed.enter(busy)
    lapsed.choose(2)
    lapsed.hold()
    busy.sale.let_time_pass(HOLD_SECONDS - 3)
    lapsed.page.reload()
    expect(lapsed.page.locator("#checkout [role=status] h2")).to_be_visible()

    held = found["checkout, held"] = open_browser()
    held.enter(busy)
    held.choose(3)
    held.hold()
    found["seat map"] = open_browser()
    found["seat map"].enter(busy)
    return found


def test_a_settled_page_of_any_state_asks_no_more_than_its_design_says(
    open_hall: Callable[..., Hall], open_browser: OpenBrowser, complaints: Complaints
) -> None:
    complaints.expect_status(404)
    states = every_state(open_browser, open_hall)
    assert set(states) == set(BUDGETS)
    for visitor in states.values():
        visitor.page.wait_for_load_state("load")
    # What a state brings with it, such as the look that a page takes when its place is over, is done
    # when everything has been quiet for a moment.
    states["home"].page.wait_for_timeout(2_000)
    counted = {name: Requests(visitor.page) for name, visitor in states.items()}
    states["home"].page.wait_for_timeout(LOOKED_AT_MS)
    over = {
        name: (requests.sent, BUDGETS[name].why)
        for name, requests in counted.items()
        if len(requests.sent) > BUDGETS[name].most
    }
    assert over == {}
    # They were not quiet because they were dead: those who wait hear of a change at once.
    for name in ("waiting", "waiting, paused", "waiting, before the doors open"):
        states[name].sees_connection("live")


def test_a_stream_that_says_it_is_over_is_not_opened_again(hall: Hall, visitor: Visitor) -> None:
    hall.set(capacity=1, entry_seconds=2)
    inside = hall.fan_inside()
    assert inside.seats(hall.concert_id).status_code == 200
    visitor.context.add_init_script(CAN_BE_HIDDEN)
    requests = Requests(visitor.page)
    visitor.stand_in_line(hall, 1)
    visitor.page.evaluate(HIDE)
    inside.call("DELETE", "/v1/enqueues")
    expect(visitor.place()).to_have_attribute("data-status", "expired")
    expect(visitor.page.locator("#say")).to_have_text(visitor.words("Your turn has passed"))
    visitor.page.wait_for_timeout(5_000)
    assert requests.to("/live/") == 1
    assert requests.to(f"/rooms/{hall.slug}/place") <= 1


def test_a_stream_that_is_refused_stays_closed_and_the_page_asks_instead(
    hall: Hall, visitor: Visitor
) -> None:
    visitor.complaints.expect_status(403)
    hall.set(capacity=1)
    hall.fan_inside()
    ahead = [hall.fan() for _ in range(2)]
    requests = Requests(visitor.page)
    visitor.page.route("**/live/**", lambda route: route.fulfill(status=403, body="no"))
    visitor.join(hall)
    visitor.sees_place(3)
    visitor.sees_connection("lost")
    ahead.pop().call("DELETE", "/v1/enqueues")
    visitor.sees_place(2)
    visitor.page.wait_for_timeout(5_000)
    assert requests.to("/live/") == 1
    assert requests.to(f"/rooms/{hall.slug}/place") >= 2
    assert visitor.page.locator("#notices").inner_text() == ""


def test_a_stream_that_fails_is_tried_ever_more_seldom(hall: Hall, visitor: Visitor) -> None:
    visitor.complaints.expect_status(503)
    hall.set(capacity=1)
    hall.fan_inside()
    hall.fan()
    requests = Requests(visitor.page)
    visitor.page.route("**/live/**", lambda route: route.fulfill(status=503, body="away"))
    visitor.join(hall)
    visitor.sees_place(2)
    visitor.page.wait_for_timeout(8_000)
    # Half a second between them would make sixteen.
    assert 3 <= requests.to("/live/") <= 7, requests.sent
    visitor.page.unroute("**/live/**")
    visitor.sees_connection("live", seconds=35)


def test_a_stream_that_ends_as_soon_as_it_began_is_tried_ever_more_seldom(
    hall: Hall, visitor: Visitor
) -> None:
    hall.set(capacity=1)
    hall.fan_inside()
    hall.fan()
    requests = Requests(visitor.page)
    visitor.page.route(
        "**/live/**",
        lambda route: route.fulfill(
            status=200, content_type="text/event-stream", body="event: beat\ndata: -\n\n"
        ),
    )
    visitor.join(hall)
    visitor.sees_place(2)
    visitor.page.wait_for_timeout(8_000)
    assert 3 <= requests.to("/live/") <= 7, requests.sent


def test_twenty_seconds_without_the_live_part_leave_the_page_right(
    hall: Hall, house: House, open_browser: OpenBrowser
) -> None:
    with Wire(house.address) as wire:
        visitor = open_browser(address=wire.address)
        visitor.complaints.expect_broken_network()
        hall.set(capacity=1)
        hall.fan_inside()
        ahead = [hall.fan() for _ in range(3)]
        visitor.stand_in_line(hall, 4)
        requests = Requests(visitor.page)
        # Frozen, as a process that is stopped: connections stand, and nobody answers.
        wire.cut("/live/")
        ahead.pop().call("DELETE", "/v1/enqueues")
        visitor.sees_place(3, seconds=22)
        visitor.sees_connection("lost")
        ahead.pop().call("DELETE", "/v1/enqueues")
        visitor.sees_place(2, seconds=5)
        wait_until(lambda: requests.to("/live/") >= 1, seconds=15)
        visitor.page.wait_for_timeout(8_000)
        assert requests.to("/live/") <= 3
        wire.mend()
        visitor.sees_connection("live", seconds=32)
        settled = len(requests.sent)
        visitor.page.wait_for_timeout(3_000)
        assert len(requests.sent) - settled <= 1
