"""In which order the tests run, and which worker begins with which of them.

A worker that is done takes tests from the end of another's list. So each worker's list begins
with slow tests, which share what they have started, and ends with quick ones, which are soon
taken. In the order of the folders one worker would have all browsers, and the last long test
would run alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

# Folders and files that start processes or wait, and the seconds they take about together:
# only their proportions matter. Whatever is not named is quick.
SLOW = {
    "e2e": 190,
    "e2e/test_quiet.py": 120,
    "e2e/test_door.py": 30,
    "local": 100,
    "rehearsal": 80,
    "faults": 100,
    "deploy": 60,
    "races": 30,
    "waiting_room": 60,
    "scale": 40,
    "test_cli.py": 20,
    "mutants": 12,
    "tickets/test_storms.py": 6,
}
# These share a crew of processes.
TOGETHER = {"waiting_room": "races"}
HERE = Path(__file__).parent


def group_of(path: Path) -> str:
    """The folder or file of tests/ that a test belongs to, by what it shares with others."""
    inside = path.relative_to(HERE)
    name = str(inside) if str(inside) in SLOW else inside.parts[0]
    return TOGETHER.get(name, name)


def in_lanes(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests in an order in which equal shares of it, one a worker, each begin with slow ones."""
    weights: dict[str, int] = {}
    for name, seconds in SLOW.items():
        weights[TOGETHER.get(name, name)] = weights.get(TOGETHER.get(name, name), 0) + seconds
    lanes: list[list[pytest.Item]] = [[] for _ in range(workers)]
    loads = [0] * workers
    lane_of: dict[str, int] = {}
    for name, seconds in sorted(weights.items(), key=lambda one: -one[1]):
        lane_of[name] = loads.index(min(loads))
        loads[lane_of[name]] += seconds
    quick = []
    for item in items:
        lane = lane_of.get(group_of(item.path))
        (quick if lane is None else lanes[lane]).append(item)
    # xdist gives the first worker its share, rounded down, then the next of what is left.
    left = iter(quick)
    rest = len(items)
    for number, lane in enumerate(lanes):
        share = rest // (workers - number)
        lane.extend(item for _, item in zip(range(share - len(lane)), left, strict=False))
        rest -= len(lane)
    return [item for lane in lanes for item in lane] + list(left)
