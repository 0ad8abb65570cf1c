"""Every page: fit for everybody, in both languages and both colour schemes, and small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.house import Hall
from tests.e2e.visitor import OpenBrowser, Visitor

HOLD_SECONDS = 300
MOST_BYTES = 60 * 1024
MOST_REQUESTS = 10
# The rules of axe that look at colours.
COLOURS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
EVERYTHING = {"resultTypes": ["violations"]}
# Colours that fade into each other are at their end. What inherits one begins to fade when that
# one is at its end, so it takes several looks.
FINISH = """() => {
  for (let looks = 0; looks < 100; looks++) {
    const fading = document.getAnimations().filter((one) =>
      one.playState !== "finished" && one.effect.getComputedTiming().endTime !== Infinity);
    if (fading.length === 0) return;
    fading.forEach((one) => one.finish());
  }
  throw new Error("it does not come to an end");
}"""
WIDTHS = (360, 1440)
PHONE: ViewportSize = {"width": 390, "height": 844}
PAPER = {"light": "rgb(250, 247, 241)", "dark": "rgb(17, 23, 24)"}


def every_page(visitor: Visitor, hall: Hall) -> Iterator[str]:
    """Lead a visitor through all there is to see; yields what each page shows."""
    page = visitor.page
    hall.set(opens_at="2030-12-31T18:00:00+09:00")
    for path, name in (
        (hall.path, "concert, doors closed"),
        (hall.room_path, "room, doors closed"),
    ):
        visitor.go(path)
        yield name
    hall.set(capacity=1, opens_at=None)
    somebody_inside = hall.fan_inside()
    for path, name in (("/", "home"), (hall.path, "concert"), (hall.room_path, "room, not in it")):
        visitor.go(path)
        yield name
    visitor.button("/join").click()
    visitor.sees_connection("live")
    yield "in line"
    visitor.go(hall.path)
    yield "concert, in line"
    visitor.go(hall.room_path)
    visitor.sees_connection("live")
    hall.set(paused=True)
    expect(visitor.place().locator(".notice")).to_be_visible()
    yield "in line, paused"
    hall.set(paused=False, capacity=10)
    visitor.is_taken_in(hall)
    visitor.choose(12, 13)
    yield "seat map"

    # Somebody takes one of them in the moment in which the form is on its way.
    page.route("**/hold*", lambda route: (hall.take(somebody_inside, 12), route.continue_()))
    visitor.button("/hold").click()
    expect(page.locator("#lost")).to_be_visible()
    page.unroute_all()
    yield "seat map after a lost race"
    visitor.hold()
    yield "checkout"
    checkout = page.url
    for path, name in (("/", "home, holding seats"), (hall.path, "concert, inside")):
        visitor.go(path)
        expect(page.locator("#hold")).to_be_visible()
        yield name
    page.goto(checkout)
    hall.sale.let_time_pass(HOLD_SECONDS + 1)
    page.reload()
    expect(page.locator("#checkout [role=status]")).to_be_visible()
    yield "checkout, too late"
    visitor.open_map(hall)
    visitor.choose(20)
    visitor.hold()
    visitor.top_up()
    yield "checkout, to be paid"
    visitor.pay()
    yield "ticket"
    for path in ("/tickets", "/wallet", "/me"):
        visitor.go(path)
        yield path
    page.locator('form[action="/me/devices"] button').click()
    expect(page.locator("svg.qr")).to_be_visible()
    yield "another device"
    visitor.go("/nothing-here")
    yield "error"


def violations_of(page: Page, rules: dict[str, Any]) -> list[dict[str, Any]]:
    """What axe finds on the page; axe itself is half a megabyte, read once by each page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(
        "async (rules) => (await axe.run(document, rules)).violations", rules
    )
    return found


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_page_keeps_anybody_out_or_is_wider_than_its_window(
    hall: Hall, open_browser: OpenBrowser, language: str
) -> None:
    visitor = open_browser(language, color_scheme="light", reduced_motion="reduce")
    visitor.complaints.expect_status(404, 409)
    found = {}
    too_wide = []
    for name in every_page(visitor, hall):
        page = visitor.page
        assert page.locator("html").get_attribute("lang") == language
        # What axe says of anything but colours is the same in the dark.
        for scheme, rules in (("light", EVERYTHING), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(FINISH)
            violations = violations_of(page, rules)
            if violations:
                found[f"{name}, {scheme}"] = [
                    (one["id"], [node["html"][:200] for node in one["nodes"]]) for one in violations
                ]
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                too_wide.append((name, width))
        page.set_viewport_size(PHONE)
    assert found == {}
    assert too_wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_come_in_the_colours_that_the_device_asks_for(
    hall: Hall, open_browser: OpenBrowser, scheme: str
) -> None:
    visitor = open_browser(color_scheme=scheme)
    visitor.go(hall.path)
    paper = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == PAPER[scheme]


class Traffic:
    """What a page moves over the network, from now on: requests, and bytes as they were sent."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        self.bytes = 0
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.loadingFinished", self._finished)
        session.send("Network.enable")

    def _sent(self, event: dict) -> None:
        if not event["request"]["url"].startswith("data:"):
            self.requests.append(event["request"]["url"])

    def _finished(self, event: dict) -> None:
        self.bytes += event["encodedDataLength"]


def test_the_first_visit_of_any_page_is_small(hall: Hall, open_browser: OpenBrowser) -> None:
    buyer, holder, waiting = open_browser(), open_browser(), open_browser()
    buyer.enter(hall)
    buyer.choose(1)
    buyer.hold()
    buyer.top_up()
    buyer.pay()
    holder.enter(hall)
    holder.choose(2)
    holder.hold()
    hall.set(capacity=1)
    waiting.stand_in_line(hall, 1)
    looks = [
        *((buyer, path) for path in ("/", hall.path, hall.room_path, "/wallet", "/tickets", "/me")),
        (buyer, buyer.page.url),
        (holder, hall.map_path),
        (holder, holder.page.url),
        (waiting, hall.room_path),
    ]
    for known, address in looks:
        # Their cookies, in a browser that has never seen any of our files.
        first = open_browser(storage_state=known.context.storage_state())
        traffic = Traffic(first.page)
        first.go(address)
        # A stream never ends, so that the network is never idle; all else is there by now.
        first.page.wait_for_load_state("load")
        assert traffic.bytes <= MOST_BYTES, address
        assert len(traffic.requests) <= MOST_REQUESTS, traffic.requests
        first.context.close()
