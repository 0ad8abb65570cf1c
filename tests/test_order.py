"""The order of the tests: none is lost, and each worker begins with slow ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.order import HERE, SLOW, group_of, in_lanes


def collected() -> list[Any]:
    """Some tests of every folder and file that there is."""
    places = [one for one in HERE.iterdir() if one.is_dir() or one.name.startswith("test_")]
    files = [place / "test_it.py" if place.is_dir() else place for place in sorted(places)]
    return [SimpleNamespace(path=file, number=n) for file in files for n in range(20)]


def begins_slowly(share: list[Any]) -> bool:
    """Whether no slow test comes after a quick one."""
    slow = [group_of(item.path) in SLOW for item in share]
    return slow == sorted(slow, reverse=True) and slow[0]


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_every_share_has_all_its_slow_tests_first_and_no_test_is_lost(workers: int) -> None:
    before = collected()
    after = in_lanes(before, workers)
    assert sorted(map(id, after)) == sorted(map(id, before))
    # As xdist shares them out.
    for number in range(workers):
        share = len(after) // (workers - number)
        assert begins_slowly(after[:share])
        after = after[share:]


def test_what_is_said_to_be_slow_is_there() -> None:
    assert [name for name in SLOW if not (HERE / name).exists()] == []
    assert group_of(Path(HERE / "waiting_room" / "test_line.py")) == "races"
