"""The order of the tests: none is lost, and each worker begins with slow ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.order import HERE, SLOW, group_of, in_lanes


def collected() -> list[Any]:
    """As many tests of every file that there is."""
    return [
        SimpleNamespace(path=file, number=number)
        for file in sorted(HERE.rglob("test_*.py"))
        for number in range(20)
    ]


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
    assert group_of(HERE / "waiting_room" / "test_line.py") == "races"
    assert group_of(HERE / "e2e" / "test_quiet.py") == "e2e/test_quiet.py"
    assert group_of(HERE / "e2e" / "test_line.py") == "e2e"
    assert group_of(HERE / "wallet" / "test_charges.py") not in SLOW
