"""Where numbered seats stand: rows from the stage back, seats from left to right.

A performance has only a capacity, so the plan is drawn from it: rows of one
length, about twice as wide as the house is deep, the last row taking what is left.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import nsmallest

SHORTEST_ROW, LONGEST_ROW = 5, 40


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its letter and the numbers of its seats, from left to right."""

    label: str
    seat_nos: range


def row_length(capacity: int) -> int:
    """How many seats a full row has."""
    if capacity <= SHORTEST_ROW:
        return capacity
    even = 2 * round(math.sqrt(2 * capacity) / 2)
    return max(SHORTEST_ROW, min(LONGEST_ROW, even))


def rows_of(capacity: int) -> list[Row]:
    """The rows of a house, the one next to the stage first."""
    length = row_length(capacity)
    starts = range(1, capacity + 1, length)
    return [
        Row(row_label(index), range(start, min(start + length, capacity + 1)))
        for index, start in enumerate(starts)
    ]


def row_label(index: int) -> str:
    """A, B, ... Z, AA, AB, ... for 0, 1, ..."""
    label = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        label = chr(ord("A") + letter) + label
    return label


def row_of(seat_no: int, capacity: int) -> Row:
    """The row in which a seat stands."""
    return rows_of(capacity)[(seat_no - 1) // row_length(capacity)]


def best_together(
    free: Collection[int], count: int, capacity: int, most: int = 1
) -> list[tuple[int, ...]]:
    """The best places for ``count`` people side by side, ``most`` of them at the most, the best first.

    Near the front and the middle is best. They may overlap.
    """
    middle, available = (row_length(capacity) - count) / 2, set(free)
    found: list[tuple[float, int]] = []
    for depth, row in enumerate(rows_of(capacity)):
        beside = 0
        for seat_no in row.seat_nos:
            beside = beside + 1 if seat_no in available else 0
            if beside >= count:
                first = seat_no - count + 1
                found.append((depth + abs(first - row.seat_nos.start - middle) * 1.5, first))
    return [tuple(range(first, first + count)) for _, first in nsmallest(most, found)]


def nearest_free(free: Collection[int], wanted: Sequence[int], capacity: int) -> tuple[int, ...]:
    """As many free seats as were wanted, together where it can be, nearest to where they were."""
    length = row_length(capacity)

    def place(seat_no: int) -> tuple[int, int]:
        return divmod(seat_no - 1, length)

    centre = [
        sum(axis) / len(wanted) for axis in zip(*(place(seat) for seat in wanted), strict=True)
    ]

    def distance(seat_no: int) -> float:
        depth, across = place(seat_no)
        return float(abs(depth - centre[0]) * 1.5 + abs(across - centre[1]))

    available = set(free)
    groups = [
        tuple(range(start, start + len(wanted)))
        for row in rows_of(capacity)
        for start in range(row.seat_nos.start, row.seat_nos.stop - len(wanted) + 1)
        if available.issuperset(range(start, start + len(wanted)))
    ]
    if groups:
        return min(groups, key=lambda group: sum(distance(seat) for seat in group))
    return tuple(sorted(sorted(available, key=distance)[: len(wanted)]))
