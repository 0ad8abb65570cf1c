"""Rehearsals of the whole service: a good one passes, and each seeded defect breaks its promise.

A defect is a change to a copy of the source; the service that is rehearsed runs from that copy.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.test_judge import CAPACITY, MONEY, ORDER, OWNERS, TRUE

PROJECT = Path(__file__).parent.parent.parent
NEEDED = ("app.py", "concert", "templates", "static", "migrations")
CROWD = ("--fans", "60", "--seats", "24", "--capacity", "8", "--arrive-within", "1")
# An evening with a defect may have no end; what is broken shows early.
BROKEN_EVENING_SECONDS = 12


@dataclass(frozen=True)
class Defect:
    """A change to one file, and the promises of which at least one has to break."""

    file: str
    old: str
    new: str
    breaks: tuple[int, ...]


DEFECTS = {
    "sells a seat twice": Defect(
        "migrations/versions/0003_holds_that_lapse.py",
        "              AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)  -- guard: free now\n",
        "",
        (OWNERS,),
    ),
    "swaps two in line": Defect(
        "concert/waiting_room/lua/admit.lua",
        "    local front = redis.call('ZPOPMIN', WAITING, admitted)\n",
        "    local front = redis.call('ZPOPMIN', WAITING, admitted + 1)\n"
        "    if #front > 2 * admitted then\n"
        "      local one = 2 * (now_us % (admitted + 1)) + 1\n"
        "      redis.call('ZADD', WAITING, table.remove(front, one + 1), table.remove(front, one))\n"
        "    end\n",
        (ORDER,),
    ),
    "lets one too many in": Defect(
        "concert/waiting_room/lua/_room.lua",
        "math.min(room.capacity - inside, math.floor(tokens))",
        "math.min(room.capacity + 1 - inside, math.floor(tokens))",
        (CAPACITY,),
    ),
    "loses an answer": Defect(
        "concert/payments/service.py",
        "    if row is None:\n        return _explain(",
        "    if payment_id.int % 4 == 0:\n"
        '        link.execute("ROLLBACK")\n'
        "    if row is None:\n        return _explain(",
        (TRUE, MONEY),
    ),
}


def rehearsed(source: Path, report: Path, longest: int = 60) -> tuple[int, dict[str, Any]]:
    """The exit code and the report of a rehearsal of the service in this folder."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "concert.cli",
            "rehearse",
            *CROWD,
            "--longest",
            str(longest),
            "--report",
            str(report),
        ],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    return done.returncode, json.loads(report.read_text())


def test_a_rehearsal_of_the_service_keeps_every_promise(tmp_path: Path) -> None:
    code, found = rehearsed(PROJECT, tmp_path / "report.json")
    assert [(one["promise"], one["verdict"], one["shown"]) for one in found["promises"]] == [
        (one["promise"], "PASS", []) for one in found["promises"]
    ]
    assert code == 0 and found["passed"]
    assert found["seats_sold"] == 24
    assert {wait["call"] for wait in found["waits"]} >= {"join", "ask", "hold", "charge", "pay"}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_seeded_defect_breaks_its_promise(name: str, tmp_path: Path) -> None:
    defect = DEFECTS[name]
    source = tmp_path / "source"
    source.mkdir()
    for needed in NEEDED:
        original = PROJECT / needed
        if original.is_dir():
            shutil.copytree(original, source / needed, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(original, source / needed)
    changed = source / defect.file
    text = changed.read_text()
    assert text.count(defect.old) == 1
    changed.write_text(text.replace(defect.old, defect.new))
    code, found = rehearsed(source, tmp_path / "report.json", BROKEN_EVENING_SECONDS)
    assert code == 1 and not found["passed"]
    broken = [index for index, one in enumerate(found["promises"]) if one["verdict"] == "FAIL"]
    assert set(broken) & set(defect.breaks), found["promises"]


def test_somebody_elses_address_is_not_rehearsed_without_saying_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "concert.cli", "rehearse", "--url", "https://concert.example"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--i-own-this-server" in done.stderr
