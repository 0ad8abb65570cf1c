"""The map of the arena on a slow phone: ``python -m benchmarks.map``.

Chromium with a phone's window (360 by 740, two pixels to one) and a processor four times slower than
this one: what the first view moves, how long until it can be used, how smoothly it is panned and
pinched, near and far, and how soon a tap is answered. Beside it, the same for a house of as many
numbered seats without a plan, which is what there was before: a box for each.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.live import HOST, new_person, page_cookies, running_service
from benchmarks.load import percentile
from concert.catalogue.service import NewDate, create_concert
from concert.halls.service import example, keep_hall
from concert.waiting_room import rooms

RESULTS = Path(__file__).parent / "maps"
PHONE = {"width": 360, "height": 740}
SLOWER = 4
ROUNDS = 3
SEATS = 5_000
TAPS = 12
# A finger moves so far in so many steps, back and forth; a screen shows sixty pictures a second.
STROKES, STEPS, STEP_PX = 4, 30, 6

GOALS = {
    "moved_kb": ("first view, moved over the network (KB)", "at most", 100),
    "requests": ("first view, requests", "at most", 10),
    "usable_s": ("first view, until it can be used (s)", "at most", 2.0),
    "pan_far_fps": ("panning the whole hall, pictures a second", "at least", 50),
    "pan_near_fps": ("panning near by, pictures a second", "at least", 50),
    "pinch_fps": ("pinching, pictures a second", "at least", 50),
    "pan_far_cpu_ms": ("panning the whole hall, processor time a picture x 4 (ms)", "at most", 20),
    "pan_near_cpu_ms": ("panning near by, processor time a picture x 4 (ms)", "at most", 20),
    "pinch_cpu_ms": ("pinching, processor time a picture x 4 (ms)", "at most", 20),
    "tap_cpu_ms": ("a tap on a seat, processor time x 4 (ms)", "at most", 50),
    "tap_ms": ("a tap on a seat until it is drawn, p95 (ms)", "at most", 50),
}
# What a frame took, between two that were shown.
WATCH_FRAMES = """() => {
  window.frames_ = [];
  const note = (now) => { window.frames_.push(now); window.watching = requestAnimationFrame(note); };
  window.watching = requestAnimationFrame(note);
}"""
STOP = "() => { cancelAnimationFrame(window.watching); return window.frames_; }"
# From the finger until the picture that answers it has been handed over to be shown.
WATCH_TAPS = """() => {
  window.taps = [];
  document.getElementById("hall-canvas").addEventListener("pointerup", (event) => {
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.taps.push(performance.now() - event.timeStamp);
      channel.port2.postMessage(0);
    });
  }, { capture: true });
}"""
PLACE = """(n) => {
  const { plan, pane } = document.getElementById("hall").map;
  const box = pane.canvas.getBoundingClientRect();
  return { x: box.x + (plan.x[n] - pane.view.x) * pane.view.scale, y: box.y + (plan.y[n] - pane.view.y) * pane.view.scale };
}"""
NEAR = """(seatPx) => {
  const { plan, pane } = document.getElementById("hall").map;
  const scale = seatPx / plan.pitch;
  const [x, y] = [plan.x[2400], plan.y[2400]];
  pane.look({ scale, x: x - pane.size.width / 2 / scale, y: y - pane.size.height / 2 / scale });
}"""
FREE_NEARBY = """(count) => {
  const { plan, pane, choice } = document.getElementById("hall").map;
  const { view, size } = pane;
  const found = [];
  for (let n = 1; n <= plan.count && found.length < count; n++) {
    const [x, y] = [(plan.x[n] - view.x) * view.scale, (plan.y[n] - view.y) * view.scale];
    if (choice.states[n] === "a" && x > 120 && x < size.width - 30 && y > 70 && y < size.height - 110) found.push(n);
  }
  return found;
}"""


def main() -> int:
    """Measure, print, and keep it; exits 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.map")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/maps/DAY.json")
    keep = parser.parse_args().keep
    directory = Path(tempfile.mkdtemp(prefix="concert-map-"))
    directory.chmod(0o711)
    try:
        with running_service(directory) as port, sync_playwright() as playwright:
            root = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--disable-background-networking", *root],
            )
            with_plan, without = _addresses()
            rounds = [_arena(browser, port, *with_plan) for _ in range(ROUNDS)]
            before = [_boxes(browser, port, *without) for _ in range(2)]
            browser.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    found = {name: median(one[name] for one in rounds) for name in GOALS}
    beside = {name: median(one[name] for one in before) for name in before[0]}
    missed = _print(found, beside)
    if keep:
        document: dict[str, Any] = {
            "taken": datetime.now(UTC).isoformat(timespec="seconds"),
            "slower": SLOWER,
        }
        document |= {"seats": SEATS, "load": os.getloadavg()[0], "rounds": rounds}
        document["figures"] = [
            {
                "what": words,
                "sense": sense,
                "goal": goal,
                "value": round(found[name], 1),
                "boxes": round(beside[name], 1) if name in beside else None,
            }
            for name, (words, sense, goal) in GOALS.items()
        ]
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.json"
        file.write_text(json.dumps(document, indent=2) + "\n")
    return 1 if missed else 0


def _print(found: dict[str, float], beside: dict[str, float]) -> list[str]:
    missed = []
    for name, (words, sense, goal) in GOALS.items():
        value = found[name]
        met = value <= goal if sense == "at most" else value >= goal
        if not met:
            missed.append(name)
        other = f"   boxes {beside[name]:.1f}" if name in beside else ""
        print(f"{words:60} {value:8.1f}  {sense} {goal}  {'met' if met else 'NOT MET'}{other}")
    return missed


def _addresses() -> tuple[tuple[str, dict[str, str]], tuple[str, dict[str, str]]]:
    """A date in the arena, and one of as many seats without a plan; each with somebody's cookies."""
    slug = f"room-{uuid4().hex[:8]}"
    rooms.create_room(slug, {"capacity": 1000, "admit_per_minute": 100_000})
    starts = datetime.now(UTC) + timedelta(days=30)
    hall, _ = keep_hall(example("arena"))
    dates = (
        NewDate(starts, 1000, hall_id=hall.hall_id),
        NewDate(starts, 1000, capacity=SEATS),
    )
    found = []
    for date in dates:
        concert = create_concert("Bench", "Bench", slug, [date])
        path = f"/concerts/{concert.concert_id}/seats/{concert.performances[0].date}"
        found.append((path, page_cookies(new_person(slug))))
    return found[0], found[1]


def _slow_phone(
    browser: Browser, port: int, cookies: dict[str, str]
) -> tuple[Page, CDPSession, dict[str, Any]]:
    context = browser.new_context(
        viewport=PHONE, device_scale_factor=2, has_touch=True, is_mobile=True
    )
    context.add_cookies(
        [
            {"name": name, "value": value, "url": f"http://{HOST}:{port}"}
            for name, value in cookies.items()
        ]
    )
    page = context.new_page()
    session = context.new_cdp_session(page)
    moved: dict[str, Any] = {"bytes": 0, "requests": 0}
    session.on("Network.requestWillBeSent", lambda _: moved.update(requests=moved["requests"] + 1))
    session.on(
        "Network.loadingFinished",
        lambda event: moved.update(bytes=moved["bytes"] + event["encodedDataLength"]),
    )
    session.send("Network.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    return page, session, moved


def _arena(browser: Browser, port: int, path: str, cookies: dict[str, str]) -> dict[str, float]:
    page, session, moved = _slow_phone(browser, port, cookies)
    with page.expect_response("**part=states*", timeout=60_000):
        page.goto(f"http://{HOST}:{port}{path}")
    page.wait_for_selector("#hall[data-ready]", timeout=60_000)
    page.wait_for_timeout(500)
    figures: dict[str, float] = {
        "moved_kb": moved["bytes"] / 1024,
        "requests": moved["requests"],
        # The mark is set once everything can be used; the first picture comes with the next frame.
        "usable_s": page.evaluate("performance.getEntriesByName('hall')[0].startTime") / 1000,
    }
    page.evaluate(NEAR, 6)
    figures["pan_far_fps"] = _panned(page, session)
    page.evaluate(NEAR, 28)
    figures["pan_near_fps"] = _panned(page, session)
    page.evaluate(NEAR, 6)
    figures["pinch_fps"] = _pinched(page, session)
    page.evaluate(NEAR, 28)
    figures["tap_ms"] = _tapped(page)[0]
    # Times of a clock say how busy the machine is, too. The processor time of the page's thread does
    # not: measured at full speed, and counted four times.
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    for name, seat_px, move in (
        ("pan_far_cpu_ms", 6, _panned),
        ("pan_near_cpu_ms", 28, _panned),
        ("pinch_cpu_ms", 6, _pinched),
    ):
        page.evaluate(NEAR, seat_px)
        page.wait_for_timeout(300)
        before = _worked_ms(session)
        move(page, session)
        pictures = page.evaluate("window.frames_.length")
        figures[name] = SLOWER * (_worked_ms(session) - before) / pictures
    page.evaluate(NEAR, 28)
    page.wait_for_timeout(300)
    before = _worked_ms(session)
    count = _tapped(page)[1]
    figures["tap_cpu_ms"] = SLOWER * (_worked_ms(session) - before) / count
    page.context.close()
    return figures


def _worked_ms(session: CDPSession) -> float:
    """How much processor time the page's own thread has taken."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in metrics if one["name"] == "TaskDuration") * 1000


def _boxes(browser: Browser, port: int, path: str, cookies: dict[str, str]) -> dict[str, float]:
    """The same of a box for each seat: when its script has read them all."""
    page, _, moved = _slow_phone(browser, port, cookies)
    page.goto(f"http://{HOST}:{port}{path}", timeout=120_000)
    usable = page.evaluate(
        "performance.timing.domContentLoadedEventEnd - performance.timing.navigationStart"
    )
    page.wait_for_timeout(500)
    figures = {
        "moved_kb": moved["bytes"] / 1024,
        "requests": float(moved["requests"]),
        "usable_s": usable / 1000,
    }
    page.context.close()
    return figures


def _panned(page: Page, session: CDPSession) -> float:
    box = page.locator("#hall-canvas").bounding_box() or {}
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(WATCH_FRAMES)
    _touch(session, "touchStart", [(x, y)])
    for stroke in range(STROKES):
        way = -1 if stroke % 2 else 1
        for _ in range(STEPS):
            x += way * STEP_PX / 2
            y += way * STEP_PX / 3
            _touch(session, "touchMove", [(x, y)])
            page.wait_for_timeout(8)
    _touch(session, "touchEnd", [])
    return _pictures_a_second(page.evaluate(STOP))


def _pinched(page: Page, session: CDPSession) -> float:
    box = page.locator("#hall-canvas").bounding_box() or {}
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(WATCH_FRAMES)
    apart = 40.0
    _touch(session, "touchStart", [(x - apart, y), (x + apart, y)])
    for stroke in range(STROKES):
        for _ in range(STEPS):
            apart *= 0.975 if stroke % 2 else 1 / 0.975
            _touch(session, "touchMove", [(x - apart, y), (x + apart, y)])
            page.wait_for_timeout(8)
    _touch(session, "touchEnd", [])
    return _pictures_a_second(page.evaluate(STOP))


def _tapped(page: Page) -> tuple[float, int]:
    page.wait_for_timeout(300)
    page.evaluate(WATCH_TAPS)
    seats = page.evaluate(FREE_NEARBY, TAPS)
    for seat_no in seats:
        for _ in range(2):  # chosen, and let go again, for there is a limit
            at = page.evaluate(PLACE, seat_no)
            page.touchscreen.tap(at["x"], at["y"])
            page.wait_for_timeout(450)
    return percentile(page.evaluate("window.taps"), 0.95), 2 * len(seats)


def _touch(session: CDPSession, kind: str, points: Sequence[tuple[float, float]]) -> None:
    told = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})


def _pictures_a_second(shown: Sequence[float]) -> float:
    """From the middle of the times between pictures, without the first and the last few."""
    inner = shown[5:-5]
    return (len(inner) - 1) * 1000 / (inner[-1] - inner[0])


if __name__ == "__main__":
    sys.exit(main())
