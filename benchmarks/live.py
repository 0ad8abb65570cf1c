"""How soon live pages show what has happened: ``python -m benchmarks.live``.

The service runs as it does for an organiser: the local process set. Viewers are open streams,
and one real browser. ``make bench-full`` measures the live process of the deployment.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from playwright.sync_api import sync_playwright

from benchmarks.crowd import crowd
from benchmarks.load import percentile
from concert.accounts.service import issue_user_token
from concert.catalogue.service import NewDate, create_concert
from concert.factory import create_app
from concert.ground.database import connection
from concert.ground.settings import load_settings
from concert.local.instance import attach_environment
from concert.reservations.service import hold_seats, release_reservation
from concert.waiting_room import rooms, service
from concert.waiting_room.tokens import QueueToken
from tests.chromium import installed_chromium
from tests.service import UP, Program, free_port

HOST = "127.0.0.1"
CHANGES = 15
SEAT_CHANGES = 40


def main() -> int:
    """Measure and print; exits 1 where a goal is missed."""
    directory = Path(tempfile.mkdtemp(prefix="concert-bench-"))
    directory.chmod(0o711)
    try:
        with running_service(directory) as port:
            figures = [
                ("place shown, 100 viewers, local process set, p95 s", 1.5, _places(port, 100)),
                ("seat shown in another browser, p95 s", 0.5, _seats(port)),
            ]
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for name, goal, value in figures:
        print(f"{name:58} {value:6.3f}  goal {goal}  {'met' if value <= goal else 'NOT MET'}")
    return 0 if all(value <= goal for _, goal, value in figures) else 1


@contextlib.contextmanager
def running_service(directory: Path) -> Iterator[int]:
    """The local process set on a free port; this process acts beside it, on the same servers."""
    port = free_port()
    environment = {
        **os.environ,
        "CONCERT_DATA_DIR": str(directory / "data"),
        "PORT": str(port),
        "CONCERT_LOG_LEVEL": "warning",
    }
    program = Program(UP, environment)
    try:
        _wait((directory / "data" / "running.json").exists, 60)
        os.environ["CONCERT_DATA_DIR"] = str(directory / "data")
        with attach_environment(load_settings()) as found:
            os.environ.update(found)
            with create_app(load_settings(log_level="error")).app_context():
                yield port
    finally:
        program.end()


def _places(port: int, count: int) -> float:
    """p95 of the time from a change of the line until a viewer is told of the new place, in seconds."""
    slug = f"room-{uuid4().hex[:8]}"
    rooms.create_room(slug, {"capacity": 1, "entry_seconds": 3600})
    tokens = [service.join(slug, uuid4()).token for _ in range(1 + CHANGES + count)]
    leavers, watchers = tokens[1 : 1 + CHANGES], tokens[1 + CHANGES :]
    lags: list[float] = []
    with crowd(port) as viewers:
        viewers.open(f"/live/rooms/{slug}", watchers)
        for change, token in enumerate(leavers, 1):
            time.sleep(0.37)  # so that changes fall anywhere between two looks
            service.leave(token)
            changed = time.monotonic()
            lags += [max(0.0, at - changed) for at in viewers.told("look", change)]
    return percentile(lags, 0.95)


def _seats(port: int) -> float:
    """p95 of the time from a hold's commit until another browser's map shows it, in seconds."""
    slug = f"room-{uuid4().hex[:8]}"
    rooms.create_room(slug, {"capacity": 1000, "admit_per_minute": 100_000})
    starts = datetime.now(UTC) + timedelta(days=30)
    concert = create_concert("Bench", "Bench", slug, [NewDate(starts, 1000, capacity=100)])
    performance = concert.performances[0]
    looking, taking = new_person(slug), new_person(slug)
    path = f"/concerts/{concert.concert_id}/seats"
    lags = []
    chromium = installed_chromium()
    options = ["--disable-background-networking", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        context = browser.new_context()
        context.add_cookies(
            [
                {"name": name, "value": value, "url": f"http://{HOST}:{port}"}
                for name, value in page_cookies(looking).items()
            ]
        )
        page = context.new_page()
        page.goto(f"http://{HOST}:{port}{path}")
        page.evaluate(_WATCH)
        page.wait_for_timeout(1500)
        for number in range(1, SEAT_CHANGES + 1):
            held = hold_seats(taking, slug, performance, [number])
            committed = time.time() * 1000
            page.wait_for_selector(f"#seat-{number}[data-state=held]", timeout=10_000)
            lags.append((page.evaluate(f"window.seenHeld[{number}]") - committed) / 1000)
            release_reservation(taking.user_id, held.reservation_id)
        browser.close()
    return percentile([max(0.0, lag) for lag in lags], 0.95)


_WATCH = """() => {
  window.seenHeld = {};
  new MutationObserver(() => {
    for (const seat of document.querySelectorAll(".seat[data-state=held]"))
      window.seenHeld[seat.dataset.seat] ??= Date.now();
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


def new_person(slug: str) -> QueueToken:
    """Somebody new in this room."""
    person = uuid4()
    with connection() as link:
        link.execute("INSERT INTO users (id) VALUES (%s)", (person,))
    return service.join(slug, person).token


def page_cookies(token: QueueToken) -> dict[str, str]:
    """What this person's browser sends."""
    return {
        "concert_user": issue_user_token(token.user_id),
        f"concert_queue_{token.room}": token.encoded(),
    }


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the figure cannot be taken: the service did not get there")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
