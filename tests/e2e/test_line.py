"""The waiting room: order, and a page that always says where one stands."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import groupby

from playwright.sync_api import expect

from tests.e2e.house import Hall, House
from tests.e2e.visitor import OpenBrowser, Visitor
from tests.e2e.wire import Wire
from tests.sale import Fan

PEOPLE = 30
A_GROUP = 5
AN_OUTAGE_MS = 10_000

# Tells the test each number that the page shows.
WATCH_THE_PLACE = """
addEventListener("DOMContentLoaded", () => {
  const tell = () => {
    const number = document.querySelector(".place-number");
    if (number) notePlace(Number(number.textContent));
  };
  new MutationObserver(tell).observe(document.body, { childList: true, characterData: true, subtree: true });
  tell();
});
"""
# Chromium without a screen has no tab in the background; the page is told what it would be told.
CAN_BE_HIDDEN = """
let isHidden = window.name === "hidden";
Object.defineProperty(Document.prototype, "hidden", { get: () => isHidden });
Object.defineProperty(Document.prototype, "visibilityState", { get: () => isHidden ? "hidden" : "visible" });
window.addEventListener("hide-or-show", (event) => {
  isHidden = event.detail;
  document.dispatchEvent(new Event("visibilitychange"));
});
"""
# Counts the screen locks that the browser has given and not taken back.
COUNT_LOCKS = """
window.locks = 0;
if (navigator.wakeLock) {
  const request = WakeLock.prototype.request;
  WakeLock.prototype.request = async function (kind) {
    const lock = await request.call(this, kind);
    locks += 1;
    lock.addEventListener("release", () => (locks -= 1));
    return lock;
  };
}
"""
PICTURE = "document.getElementById('crowd').toDataURL()"
DRAWN = """() => {
  const canvas = document.getElementById("crowd");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return canvas.width > 300 && data.some((value) => value > 0);
}"""
A_LONG_LINE = """
document.querySelector("[data-told=behind]").textContent = "12,345";
document.querySelector(".place").dataset.position = "2000";
"""
HIDE = 'dispatchEvent(new CustomEvent("hide-or-show", { detail: true }))'
SHOW = 'dispatchEvent(new CustomEvent("hide-or-show", { detail: false }))'


def test_thirty_people_are_let_in_in_order_and_the_last_ones_page_counts_down(
    hall: Hall, open_browser: OpenBrowser
) -> None:
    hall.set(capacity=1)
    hall.fan_inside()
    numbers: list[int] = []
    line: list[Fan | Visitor] = []
    for place in range(1, PEOPLE + 1):
        if place in (7, 19, PEOPLE):
            visitor = open_browser()
            if place == PEOPLE:
                visitor.page.expose_function("notePlace", lambda number: numbers.append(number))
                visitor.page.add_init_script(WATCH_THE_PLACE)
            visitor.stand_in_line(hall, place)
            line.append(visitor)
            last_page = visitor.page
        else:
            line.append(hall.fan())

    deadline = time.monotonic() + 60

    def is_inside(person: Fan | Visitor) -> bool:
        if isinstance(person, Visitor):
            return person.page.url.endswith(hall.map_path)
        return bool(person.place().json["status"] == "admitted")

    def how_many_inside() -> int:
        last_page.wait_for_timeout(20)  # in which Playwright hears where the pages are
        inside, somebody_behind_is = 0, False
        # From the back, so that whoever is let in meanwhile cannot look like one out of order.
        for person in reversed(line):
            is_in = is_inside(person)
            inside += is_in
            if isinstance(person, Fan):
                assert is_in or not somebody_behind_is
                somebody_behind_is = is_in
        return inside

    for group in range(1, PEOPLE // A_GROUP + 1):
        hall.set(capacity=1 + group * A_GROUP)
        while how_many_inside() < group * A_GROUP:
            assert time.monotonic() < deadline, f"group {group} is not let in"
    shown = [number for number, _ in groupby(numbers)]
    assert shown[0] == PEOPLE
    assert shown == sorted(set(shown), reverse=True)
    assert len(shown) >= PEOPLE // A_GROUP


def test_a_place_is_shown_as_it_is_while_people_ahead_leave(hall: Hall, visitor: Visitor) -> None:
    hall.set(capacity=1)
    hall.fan_inside()
    ahead = [hall.fan() for _ in range(3)]
    visitor.stand_in_line(hall, 4)
    behind = hall.fan()
    for place in (3, 2, 1):
        ahead.pop().call("DELETE", "/v1/enqueues")
        visitor.sees_place(place)
    assert behind.place().json["position"] == 2


def test_the_line_is_drawn_with_oneself_in_it_and_stands_still_for_whoever_wants_that(
    hall: Hall, open_browser: OpenBrowser
) -> None:
    hall.set(capacity=1)
    somebody_inside = hall.fan_inside()
    visitor = open_browser(reduced_motion="reduce")
    visitor.stand_in_line(hall, 1)
    until(visitor, lambda: visitor.page.evaluate(DRAWN))
    picture = visitor.page.evaluate(PICTURE)
    # What moves is drawn every tenth of a second.
    visitor.page.wait_for_timeout(400)
    assert visitor.page.evaluate(PICTURE) == picture
    visitor.page.emulate_media(reduced_motion="no-preference")
    until(visitor, lambda: visitor.page.evaluate(PICTURE) != picture)
    scale = visitor.page.locator("#crowd-scale")
    expect(scale).to_be_hidden()
    # A long line: each dot is several people, and the page says how many.
    visitor.page.evaluate(A_LONG_LINE)
    expect(scale).to_have_text(re.compile(r"One dot is about \d+ people\."))
    somebody_inside.call("DELETE", "/v1/enqueues")
    visitor.is_taken_in(hall)


def test_a_missed_turn_is_said_plainly_with_one_button_to_line_up_again(
    hall: Hall, visitor: Visitor
) -> None:
    hall.set(capacity=1, entry_seconds=2)
    somebody_inside = hall.fan_inside()
    assert somebody_inside.seats(hall.concert_id).status_code == 200
    visitor.context.add_init_script(CAN_BE_HIDDEN)
    visitor.stand_in_line(hall, 1)
    visitor.page.evaluate(HIDE)
    somebody_inside.call("DELETE", "/v1/enqueues")
    expect(visitor.place()).to_have_attribute("data-status", "expired")
    assert not visitor.page.title().startswith("●")

    visitor.page.evaluate(SHOW)
    expect(visitor.place()).to_have_attribute("data-status", "expired")
    expect(visitor.place()).to_contain_text(visitor.words("Your turn has passed"))
    expect(visitor.page.locator("main button:visible, main a:visible")).to_have_count(1)
    hall.set(entry_seconds=120)
    visitor.button("/join").click()
    visitor.is_taken_in(hall)


def test_a_pause_is_shown_and_so_is_its_end(hall: Hall, visitor: Visitor) -> None:
    hall.set(capacity=1)
    somebody_inside = hall.fan_inside()
    visitor.stand_in_line(hall, 1)
    paused = visitor.words(
        "The line is paused for a moment. Nobody goes in, and nobody loses their place."
    )
    expect(visitor.place()).not_to_contain_text(paused)
    hall.set(paused=True)
    expect(visitor.place()).to_contain_text(paused)
    somebody_inside.call("DELETE", "/v1/enqueues")
    hall.set(paused=False)
    visitor.is_taken_in(hall)


def test_ten_seconds_without_network_cost_nobody_their_place(
    hall: Hall, house: House, open_browser: OpenBrowser
) -> None:
    with Wire(house.address) as wire:
        visitor = open_browser(address=wire.address)
        visitor.complaints.expect_broken_network()
        hall.set(capacity=1)
        hall.fan_inside()
        ahead = [hall.fan() for _ in range(3)]
        visitor.stand_in_line(hall, 4)
        # Playwright tells the page and refuses new requests; what is open goes silent by the wire.
        wire.cut()
        visitor.context.set_offline(True)
        visitor.sees_connection("lost")
        expect(visitor.page.locator("#connection-text")).to_have_text(
            visitor.words("Reconnecting. Your place is safe.")
        )
        ahead.pop().call("DELETE", "/v1/enqueues")
        behind = hall.fan()
        # The outage itself, in which the page must give up nothing.
        visitor.page.wait_for_timeout(AN_OUTAGE_MS)
        visitor.sees_place(4)
        visitor.sees_connection("lost")
        wire.mend()
        visitor.context.set_offline(False)
        visitor.sees_place(3, seconds=2)
        visitor.sees_connection("live")
        assert behind.place().json["position"] == 4


def test_the_screen_stays_on_for_whoever_wants_that(hall: Hall, visitor: Visitor) -> None:
    hall.set(capacity=1)
    hall.fan_inside()
    visitor.context.add_init_script(COUNT_LOCKS)
    visitor.stand_in_line(hall, 1)
    box = visitor.page.get_by_label(visitor.words("Keep the screen on while I wait"))
    # A browser that does not want to is believed: the box says how it is.
    box.click()
    expect(box).not_to_be_checked()
    assert visitor.page.evaluate("locks") == 0
    visitor.context.grant_permissions(["screen-wake-lock"])
    box.check()
    until(visitor, lambda: visitor.page.evaluate("locks") == 1)
    box.uncheck()
    until(visitor, lambda: visitor.page.evaluate("locks") == 0)


def test_a_tab_in_the_background_says_in_its_title_that_it_is_its_turn(
    hall: Hall, visitor: Visitor
) -> None:
    hall.set(capacity=1)
    somebody_inside = hall.fan_inside()
    visitor.context.add_init_script(CAN_BE_HIDDEN)
    said_here: list[str] = []
    visitor.page.on(
        "request", lambda asked: asked.url.endswith("/here") and said_here.append(asked.url)
    )
    visitor.stand_in_line(hall, 1)
    until(visitor, lambda: len(said_here) == 1)
    # Nobody is in front of a page in the background; as soon as somebody is, it says so, once.
    visitor.page.evaluate("window.name = 'hidden'")
    visitor.page.reload()
    visitor.sees_connection("live")
    assert len(said_here) == 1
    visitor.page.evaluate(SHOW)
    until(visitor, lambda: len(said_here) == 2)
    icon = visitor.page.locator("link[data-turn]").get_attribute("href")
    visitor.page.evaluate(HIDE)
    somebody_inside.call("DELETE", "/v1/enqueues")
    expect(visitor.page).to_have_title(f"● {visitor.words('It is your turn!')}")
    assert visitor.page.locator("link[data-turn]").get_attribute("href") != icon
    visitor.page.evaluate(SHOW)
    visitor.is_taken_in(hall)


def until(visitor: Visitor, holds: Callable[[], bool]) -> None:
    """Wait for something that the page's own events tell."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        visitor.page.wait_for_timeout(20)  # in which Playwright hears the page


def test_whoever_lines_up_before_the_doors_open_sees_when_and_is_taken_in_then(
    hall: Hall, visitor: Visitor
) -> None:
    hall.set(opens_at="2030-12-31T18:00:00+09:00")
    visitor.stand_in_line(hall, 1)
    expect(visitor.place().locator("time[data-until]")).to_be_visible()
    hall.set(opens_at="2020-12-31T18:00:00+09:00")
    visitor.is_taken_in(hall)


def test_leaving_the_line_asks_nothing_and_gives_the_place_away(
    hall: Hall, visitor: Visitor
) -> None:
    hall.set(capacity=1)
    hall.fan_inside()
    visitor.stand_in_line(hall, 1)
    behind = hall.fan()
    visitor.button("/leave").click()
    expect(visitor.place()).to_have_attribute("data-status", "none")
    assert behind.place().json["position"] == 1


def test_the_waiting_room_recovers_when_web_is_started_again(
    hall: Hall, house: House, visitor: Visitor
) -> None:
    visitor.complaints.expect_broken_network()
    hall.set(capacity=1)
    hall.fan_inside()
    ahead = [hall.fan() for _ in range(2)]
    visitor.stand_in_line(hall, 3)
    with house.web_is_down():
        visitor.sees_connection("lost")
        visitor.sees_place(3)
    visitor.sees_connection("live", seconds=30)
    ahead.pop().call("DELETE", "/v1/enqueues")
    visitor.sees_place(2)
