"""Lighthouse on a phone's profile: ``python -m benchmarks.lighthouse``.

Looks at the home page, a waiting room in which one waits, and a seat map, with Debian's
Chromium and the npm package ``lighthouse`` (fetched by npx). The goal is 95 everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from playwright.sync_api import sync_playwright

from benchmarks.live import HOST, new_person, page_cookies, running_service
from concert.catalogue.service import NewDate, create_concert
from concert.waiting_room import rooms
from tests.chromium import installed_chromium
from tests.service import free_port

GOAL = 95
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
LIGHTHOUSE = os.environ.get("LIGHTHOUSE", "npx --yes lighthouse@13.5.0").split()


def main() -> int:
    """Look and print; exits 1 where a page falls short."""
    directory = Path(tempfile.mkdtemp(prefix="concert-lighthouse-"))
    directory.chmod(0o711)
    try:
        with running_service(directory) as port:
            scores = _looked_at(port, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for page, found in scores.items():
        words = "  ".join(f"{name} {score}" for name, score in found.items())
        print(f"{page:14} {words}")
    short = [score for found in scores.values() for score in found.values() if score < GOAL]
    print(f"goal {GOAL}: {'NOT MET' if short else 'met'}")
    return 1 if short else 0


def _looked_at(port: int, directory: Path) -> dict[str, dict[str, int]]:
    full, free = f"full-{uuid4().hex[:6]}", f"free-{uuid4().hex[:6]}"
    rooms.create_room(full, {"capacity": 1})
    rooms.create_room(free, {"capacity": 100})
    starts = NewDate(datetime.now(UTC) + timedelta(days=30), 50_000)
    behind = {
        room: create_concert("Winter Songs", "Blue Hall", room, [starts]) for room in (full, free)
    }
    new_person(full)  # has the only slot
    waiting, inside = new_person(full), new_person(free)
    performance = behind[free].performances[0]
    seat_map = f"/concerts/{behind[free].concert_id}/seats/{performance.date}"
    pages = {
        "home": ("/", {}),
        "waiting room": (
            f"/rooms/{full}?concert={behind[full].concert_id}",
            page_cookies(waiting),
        ),
        "seat map": (seat_map, page_cookies(inside)),
    }
    return {
        name: _scores(f"http://{HOST}:{port}{path}", cookies, directory / "report.json")
        for name, (path, cookies) in pages.items()
    }


def _scores(address: str, cookies: dict[str, str], report: Path) -> dict[str, int]:
    chromium, port = installed_chromium(), free_port()
    flags = ["--disable-background-networking", f"--remote-debugging-port={port}"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    command = [
        *LIGHTHOUSE,
        address,
        "--quiet",
        "--form-factor=mobile",
        f"--only-categories={','.join(CATEGORIES)}",
        "--output=json",
        f"--output-path={report}",
        f"--port={port}",
        "--disable-storage-reset",
    ]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=flags, locale="en-US"
        )
        browser.add_cookies(
            [{"name": name, "value": value, "url": address} for name, value in cookies.items()]
        )
        subprocess.run(command, check=True, timeout=180)
        browser.close()
    document = json.loads(report.read_text())
    for error in document["audits"]["errors-in-console"]["details"].get("items", []):
        print("  console:", error.get("description"), error.get("sourceLocation", {}).get("url"))
    for name, found in document["audits"].items():
        if found["score"] is not None and found["score"] < 0.9:
            print(f"  {address}: {name}: {found.get('displayValue', found['title'])}")
    return {name: round(document["categories"][name]["score"] * 100) for name in CATEGORIES}


if __name__ == "__main__":
    sys.exit(main())
