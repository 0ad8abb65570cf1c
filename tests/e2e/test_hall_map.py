"""The map of a hall of five thousand: with a finger, with the keyboard alone, and while others choose."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.house import Hall
from tests.e2e.test_pages import COLOURS, EVERYTHING, FINISH, Traffic, violations_of
from tests.e2e.test_seat_map import until
from tests.e2e.visitor import OpenBrowser, Visitor
from tests.halls.hall import keep_example
from tests.sale import NEW_YEARS_EVE

PHONE = {"width": 360, "height": 740}
MOST_BYTES = 100 * 1024
MOST_REQUESTS = 10
MOST_KEYS = 40
PRICES = {
    "Standing": 165_000,
    "Lower tier, front": 143_000,
    "Lower tier, side": 121_000,
    "Upper tier": 99_000,
}
# Where a seat is in the picture, as the page lays it out now.
PLACE = """(n) => {
  const { plan, pane } = document.getElementById("hall").map;
  const box = pane.canvas.getBoundingClientRect();
  return { x: box.x + (plan.x[n] - pane.view.x) * pane.view.scale, y: box.y + (plan.y[n] - pane.view.y) * pane.view.scale };
}"""
VIEW = "() => document.getElementById('hall').map.pane.view"
STILL = "() => { const { pane } = document.getElementById('hall').map; return !pane.travel && !pane.waiting; }"


@pytest.fixture
def arena(open_hall: Callable[..., Hall]) -> Hall:
    """A date in the arena that comes with us."""
    hall = open_hall()
    number = keep_example(hall.sale, "arena")
    date = {"starts_at": NEW_YEARS_EVE.isoformat(), "hall": number, "prices": PRICES}
    body = {"title": "Winter Songs", "venue": "Arena", "room": hall.slug, "dates": [date]}
    made = hall.sale.organise("POST", "/v1/concerts", json=body)
    assert made.status_code == 201, made.text
    return Hall(hall.sale, hall.slug, made.json["id"])


def see(visitor: Visitor, hall: Hall) -> Page:
    """Come in, and see the map drawn."""
    visitor.join(hall)
    visitor.is_taken_in(hall)
    return drawn(visitor.page)


def drawn(page: Page) -> Page:
    expect(page.locator("#hall[data-ready]")).to_be_visible()
    page.wait_for_function(STILL)
    return page


def tap(page: Page, seat_no: int) -> None:
    """Tap where a seat is."""
    at = page.evaluate(PLACE, seat_no)
    page.touchscreen.tap(at["x"], at["y"])
    page.wait_for_function(STILL)


def hold(page: Page) -> None:
    page.locator("#tray button[type=submit]").click()
    page.wait_for_url("**/reservations/*")


def test_the_whole_arena_is_in_view_and_a_seat_is_two_taps_away(
    arena: Hall, open_browser: OpenBrowser
) -> None:
    visitor = open_browser(viewport=PHONE, has_touch=True, device_scale_factor=2)
    visitor.complaints.expect_status(409)
    visitor.join(arena)
    visitor.is_taken_in(arena)
    known = visitor.context.storage_state()

    # Who has never been here moves little, and sees all of it.
    first = open_browser(viewport=PHONE, has_touch=True, storage_state=known)
    traffic = Traffic(first.page)
    with first.page.expect_response("**part=states*"):
        first.go(arena.map_path)
    page = drawn(first.page)
    assert traffic.bytes <= MOST_BYTES, traffic.bytes
    assert len(traffic.requests) <= MOST_REQUESTS, traffic.requests
    assert page.evaluate("document.querySelectorAll('*').length") < 500
    frame = page.locator(".hall-frame").bounding_box() or {}
    assert frame["y"] + frame["height"] <= PHONE["height"]
    for number in (1, 1001, 2000, 3000, 4000, 5000):
        at = page.evaluate(PLACE, number)
        assert frame["x"] < at["x"] < frame["x"] + frame["width"]
        assert frame["y"] < at["y"] < frame["y"] + frame["height"]
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")

    # A section first, its seats then; what is chosen is in the tray by its name, and summed up.
    seat = 1500
    tap(page, seat)
    expect(page.locator("#tray-seats li")).to_have_count(0)
    if page.evaluate(
        "(n) => { const { plan, pane } = document.getElementById('hall').map; return plan.pitch * pane.view.scale < 17; }",
        seat,
    ):
        tap(page, seat)
    expect(page.locator("#hall-small")).to_be_visible()
    tap(page, seat)
    tap(page, seat + 1)
    names = [
        page.evaluate("(n) => document.getElementById('hall').map.choice.name(n)", n)
        for n in (seat, seat + 1)
    ]
    expect(page.locator("#tray-seats li span")).to_have_text(names)
    assert "row" in names[0]
    prices = page.evaluate(
        "([a, b]) => { const { choice } = document.getElementById('hall').map; return choice.price(a) + choice.price(b); }",
        [seat, seat + 1],
    )
    expect(page.locator("#tray-amount")).to_have_text(f"₩{prices:,}")

    # Others take seats, one of mine among them: it is said, and nothing moves.
    view = page.evaluate(VIEW)
    other = arena.fan_inside()
    arena.take(other, seat + 1, seat + 2, seat + 3)
    expect(page.locator("#say")).to_have_text(
        visitor.words("%(seat)s, which you had chosen, was just taken.", seat=names[1])
    )
    expect(page.locator("#tray-seats li")).to_have_count(1)
    expect(page.locator("[data-count=h]")).to_have_text("3")
    assert page.evaluate(VIEW) == view
    states = "([n]) => document.getElementById('hall').map.choice.states.slice(n, n + 4).join('')"
    assert page.evaluate(states, [seat]) == "ahhh"

    # One price alone: what costs another cannot be tapped by mistake.
    category = page.evaluate("(n) => document.getElementById('hall').map.plan.category[n]", seat)
    other_price = page.locator(f".hall-price:not([data-category='{category}'])").first
    other_price.click()
    expect(other_price).to_have_attribute("aria-pressed", "true")
    tap(page, seat - 1)
    expect(page.locator("#tray-seats li")).to_have_count(1)
    other_price.click()

    # Somebody is faster by the moment in which the form is on its way.
    page.route("**/hold*", lambda route: (arena.take(arena.fan_inside(), seat), route.continue_()))
    page.locator("#tray button[type=submit]").click()
    expect(page.locator("#lost")).to_contain_text(names[0])
    page.unroute_all()
    drawn(page)
    [offered] = json.loads(f"[{page.locator('#hall').get_attribute('data-offered')}]")
    expect(page.locator("#tray-seats li")).to_have_count(1)
    at = page.evaluate(PLACE, offered)
    frame = page.locator(".hall-frame").bounding_box() or {}
    assert frame["x"] < at["x"] < frame["x"] + frame["width"]
    hold(page)


def test_the_map_is_turned_dragged_and_pinched_about_the_point_that_is_meant(
    arena: Hall, open_browser: OpenBrowser
) -> None:
    visitor = open_browser(viewport={"width": 1280, "height": 800})
    page = see(visitor, arena)
    seat = 1500
    frame = page.locator("#hall-canvas").bounding_box() or {}
    whole = page.evaluate(VIEW)

    # The wheel brings near what is under the mouse, and leaves it there.
    at = page.evaluate(PLACE, seat)
    page.mouse.move(at["x"], at["y"])
    for _ in range(12):
        page.mouse.wheel(0, -200)
        page.wait_for_function(STILL)
    now = page.evaluate(PLACE, seat)
    assert page.evaluate(VIEW)["scale"] > 3 * whole["scale"]
    assert abs(now["x"] - at["x"]) < 60 and abs(now["y"] - at["y"]) < 60

    # What is dragged goes with the mouse, and is no click.
    page.mouse.move(now["x"], now["y"])
    page.mouse.down()
    page.mouse.move(now["x"] + 40, now["y"] - 30, steps=6)
    page.mouse.up()
    page.wait_for_function(STILL)
    then = page.evaluate(PLACE, seat)
    assert abs(then["x"] - now["x"] - 40) < 2 and abs(then["y"] - now["y"] + 30) < 2
    expect(page.locator("#tray-seats li")).to_have_count(0)
    page.mouse.click(then["x"], then["y"])
    expect(page.locator("#tray-seats li")).to_have_count(1)

    # Two fingers that go apart.
    before = page.evaluate(VIEW)
    middle = {"x": frame["x"] + frame["width"] / 2, "y": frame["y"] + frame["height"] / 2}
    session = page.context.new_cdp_session(page)
    page.get_by_role("button", name="Further away").click()
    page.wait_for_function(STILL)
    before = page.evaluate(VIEW)
    for apart, kind in ((30, "touchStart"), (45, "touchMove"), (60, "touchMove"), (0, "touchEnd")):
        points = (
            [{"x": middle["x"] + side * apart, "y": middle["y"], "id": side} for side in (-1, 1)]
            if apart
            else []
        )
        for number, point in enumerate(points):
            point["id"] = number
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function(STILL)
    assert 1.6 < page.evaluate(VIEW)["scale"] / before["scale"] < 2.1

    # All of it again; turning the wheel towards oneself moves the page on then.
    page.get_by_role("button", name="The whole hall").click()
    page.wait_for_function(STILL)
    assert page.evaluate(VIEW)["scale"] == pytest.approx(whole["scale"], rel=0.01)
    page.mouse.move(middle["x"], middle["y"])
    page.mouse.wheel(0, 300)
    page.wait_for_function("() => scrollY > 0")


def test_two_seats_side_by_side_are_bought_with_few_keys(
    arena: Hall, open_browser: OpenBrowser
) -> None:
    visitor = open_browser(viewport={"width": 1280, "height": 800})
    page = see(visitor, arena)
    keys = 0

    def press(key: str) -> None:
        nonlocal keys
        keys += 1
        page.keyboard.press(key)

    def has_focus(selector: str) -> bool:
        return bool(page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector))

    def tab_to(selector: str) -> None:
        while not has_focus(selector):
            press("Tab")
            assert keys < MOST_KEYS, f"{selector} is not reached"

    tab_to(".skip")
    press("Enter")
    tab_to("a[href='#list']")
    press("Enter")
    tab_to("[data-roving=sections] a")
    for _ in range(3):
        press("ArrowDown")
    press("Enter")
    expect(page.locator("[data-roving=rows] a:focus")).to_have_count(1)
    press("ArrowRight")
    press("Enter")
    expect(page.locator("[data-roving=seats] input:focus")).to_have_count(1)
    press("Space")
    press("ArrowRight")
    press("Space")
    expect(page.locator("#tray-seats li")).to_have_count(2)
    tab_to("#tray button[type=submit]")
    press("Enter")
    page.wait_for_url("**/reservations/*")
    expect(page.locator(".bill-table tbody tr")).to_have_count(2)
    tab_to("form[action*='/top-up'] button")
    press("Enter")
    page.wait_for_url("**/tickets/*")
    expect(page.locator("svg.qr")).to_have_count(2)
    assert keys < MOST_KEYS


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_map_keeps_nobody_out(arena: Hall, open_browser: OpenBrowser, language: str) -> None:
    visitor = open_browser(language, viewport=PHONE, color_scheme="light", reduced_motion="reduce")
    page = see(visitor, arena)
    link = page.locator("[data-roving=sections] a").nth(1)
    link.click()
    page.locator("[data-roving=rows] a").first.click()
    page.locator("[data-roving=seats] .seat").first.click()
    expect(page.locator("#tray-seats li")).to_have_count(1)
    # The list, the map and the tray say the same; one Tab stop for all seats of the row.
    expect(page.locator("[data-roving=seats] input[tabindex='0']")).to_have_count(1)
    said = page.locator("[data-roving=seats] input").first.get_attribute("aria-label") or ""
    assert said.endswith(visitor.words("chosen"))
    # Four at the most, and the tray says so; a chip lets one go.
    for place in range(1, 5):
        page.locator("[data-roving=seats] .seat").nth(place).click()
    expect(page.locator("#tray-seats li")).to_have_count(4)
    limit = "You have chosen %(limit)s seats, the most for one person."
    expect(page.locator("#say")).to_have_text(visitor.words(limit, limit=4))
    for _ in range(3):
        page.locator("#tray-seats button").last.click()
    expect(page.locator("#tray-seats li")).to_have_count(1)
    found = {}
    for scheme, rules in (("light", EVERYTHING), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(FINISH)
        if violations := violations_of(page, rules):
            found[scheme] = [
                (one["id"], [node["html"][:200] for node in one["nodes"]]) for one in violations
            ]
    assert found == {}
    # Whoever has colours of their own gets the drawing in those.
    page.emulate_media(color_scheme="light", forced_colors="active")
    page.wait_for_function(
        "() => new Set(document.getElementById('hall').map.painter.palette.prices).size === 1"
    )
    # A seat taken under the focus moves the focus on, and is said.
    box = page.locator("[data-roving=seats] input").first
    box.focus()
    arena.take(arena.fan_inside(), int(box.get_attribute("value") or 0))
    expect(box).to_be_disabled()
    expect(page.locator("[data-roving=seats] input:focus")).to_have_count(1)
    expect(page.locator("#say")).not_to_be_empty()


def test_a_hall_is_bought_from_without_javascript(arena: Hall, open_browser: OpenBrowser) -> None:
    visitor = open_browser(java_script_enabled=False)
    visitor.join(arena)
    visitor.is_taken_in(arena)
    page = visitor.page
    expect(page.locator("#hall")).to_be_hidden()
    page.locator("[data-roving=sections] a").nth(20).click()
    page.locator("[data-roving=rows] a").nth(2).click()
    for place in (3, 4):
        page.locator("[data-roving=seats] .seat").nth(place).click()
    hold(page)
    expect(page.locator(".bill-table tbody tr")).to_have_count(2)


LOGIC = """async (script) => {
  const logic = await import(script);
  const column = (first, count, x, y) => ({ label: String(y), count, first, seats: 1, category: first > 5 ? 1 : 0, x, y: [y] });
  const told = {
    capacity: 15, seat_size: 8, flags: ["wheelchair"], categories: [{}, {}], stage: { label: "Stage", outline: [[0, -40], [90, -40], [45, -20]] },
    sections: [
      { name: "Block 1", standing: false, outline: [[-10, -10], [100, -10], [100, 25], [-10, 25]], rows: [
        { ...column(1, 5, [0, 100], 0), flags: { 1: 1 } },
        { ...column(6, 5, [0, 100, 100, 400], 100), seats: { from: 9, step: -2 } },
      ] },
      { name: "Floor", standing: true, outline: [[0, 40], [90, 40], [90, 90], [0, 90]], rows: [{ ...column(11, 5, [450], 600), label: "" }] },
    ],
  };
  const plan = logic.readPlan(told);
  const size = { width: 300, height: 200 };
  const seats = [...Array(10).keys()].map((n) => n + 1);
  const whole = logic.fit(plan.box, size);
  const corner = { x: 140, y: 110 };
  const near = logic.zoomed(whole, 3, corner, plan, size);
  const [before, after] = [whole, near].map((view) => logic.floorAt(view, corner));
  return {
    places: seats.map((n) => [plan.x[n], plan.y[n]]),
    labels: plan.label.slice(1),
    wheelchairs: seats.filter((n) => logic.hasFlag(plan, n, "wheelchair")),
    each: seats.every((n) => logic.seatAt(plan, plan.x[n] + 1, plan.y[n] - 1, 5) === n),
    none: [logic.seatAt(plan, 40, 10, 9), logic.seatAt(plan, 45, 60, 5), logic.seatAt(plan, 0, 0, 5, (n) => n !== 1)],
    sections: [logic.sectionAt(plan, 50, 5), logic.sectionAt(plan, 10, 80), logic.sectionAt(plan, 50, 32)],
    names: plan.sections.map((one) => one.shortName),
    seen: [plan.box.x0, plan.box.y0, plan.box.x1, plan.box.y1].every(Number.isFinite)
      && (plan.box.x0 - whole.x) * whole.scale >= 0 && (plan.box.x1 - whole.x) * whole.scale <= 300
      && (plan.box.y0 - whole.y) * whole.scale >= 0 && (plan.box.y1 - whole.y) * whole.scale <= 200,
    kept: Math.hypot(before.x - after.x, before.y - after.y) < 0.01 && near.scale > whole.scale * 2.9,
    bounded: logic.zoomed(whole, 1e6, corner, plan, size).scale === logic.bounds(plan, size).most
      && logic.zoomed(whole, 1e-6, corner, plan, size).scale === whole.scale,
    halfway: logic.between(whole, near, 1).x === near.x,
    contrasts: [["#ffff00", "#ffffff"], ["#101010", "#192122"], ["#7a4fd0", "rgb(25, 33, 34)"], ["#abc", "#fff"]].map(
      ([colour, ground]) => logic.contrast(logic.readable(colour, ground), ground) >= 3),
    kept_colour: logic.readable("#0a6660", "#ffffff"),
    letters: [["held", true], ["held", false], ["sold", false], ["available", true], ["blocked", false]].map((one) => logic.letterOf(...one)).join(""),
  };
}"""


def test_seats_are_found_where_they_stand(hall: Hall, visitor: Visitor) -> None:
    visitor.go("/")
    found: dict[str, Any] = visitor.page.evaluate(LOGIC, "/static/js/hall.js")
    straight = [[10.0 * place, 0.0] for place in range(5)]
    with_an_aisle = [[x, 10.0] for x in (0.0, 10.0, 20.0, 60.0, 100.0)]
    assert found["places"] == straight + with_an_aisle
    assert found["labels"] == [*"12345", "9", "7", "5", "3", "1", *"12345"]
    assert found["wheelchairs"] == [2]
    assert found["each"] is True
    assert found["none"] == [0, 0, 0]
    assert found["sections"] == [0, 1, -1]
    assert found["names"] == ["Block 1", "Floor"]
    for name in ("seen", "kept", "bounded", "halfway"):
        assert found[name] is True, name
    assert found["contrasts"] == [True] * 4
    assert found["kept_colour"] == "rgb(10 102 96)"
    assert found["letters"] == "mhsab"


def test_what_was_told_before_the_plan_came_is_made_good(
    arena: Hall, open_browser: OpenBrowser
) -> None:
    visitor = open_browser(viewport=PHONE)
    waiting: list[Route] = []
    released: list[bool] = []
    visitor.page.route(
        "**/plan?*", lambda route: route.continue_() if released else waiting.append(route)
    )
    with visitor.page.expect_response("**/live/performances/*"):
        visitor.join(arena)
        visitor.is_taken_in(arena)
    # The stream has begun; somebody takes a seat, and only then the plan arrives.
    arena.take(arena.fan_inside(), 1500)
    until(visitor, lambda: bool(waiting))
    released.append(True)
    for route in waiting:
        route.continue_()
    page = drawn(visitor.page)
    expect(page.locator("[data-count=h]")).to_have_text("1")


def test_new_prices_are_shown_and_said_and_what_was_chosen_stays(
    arena: Hall, open_browser: OpenBrowser
) -> None:
    visitor = open_browser(viewport=PHONE)
    page = see(visitor, arena)
    seat = 1500
    category, name = page.evaluate(
        """(n) => {
          const { plan, choice } = document.getElementById("hall").map;
          choice.toggle(n);
          return [plan.category[n], plan.categories[plan.category[n]].name];
        }""",
        seat,
    )
    total = page.locator("#tray-amount")
    expect(total).to_have_text(f"₩{PRICES[name]:,}")
    section = page.locator("#list-body a[data-step]").nth(1)
    section.focus()
    focused = section.get_attribute("href")
    view = page.evaluate(VIEW)

    [date] = arena.sale.call("GET", f"/v1/concerts/{arena.concert_id}").json["dates"]
    path = f"/v1/performances/{date['performance_id']}"
    halved = {one: price // 2 for one, price in PRICES.items()}
    moved = arena.sale.organise("PATCH", path, json={"prices": halved})
    assert moved.status_code == 200, moved.text

    words = visitor.words("The organiser has changed the prices.")
    expect(page.locator("#say")).to_have_text(words, timeout=20_000)
    expect(total).to_have_text(f"₩{halved[name]:,}")
    legend = page.locator(f".hall-price[data-category='{category}'] b")
    expect(legend).to_have_text(f"₩{halved[name]:,}")
    expect(page.locator("#best-category")).to_contain_text(f"{name} · ₩{halved[name]:,}")
    expect(section.locator("span").first).to_contain_text("₩")
    until(
        visitor,
        lambda: page.evaluate("document.activeElement.getAttribute('href')") == focused,
    )
    assert page.evaluate(VIEW) == view
    assert not any(
        f"₩{price:,}" in page.locator("#list-body").inner_text() for price in PRICES.values()
    )
