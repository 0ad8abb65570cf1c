"""Where numbered seats stand: rows from the stage back, seats from left to right.

A performance has only a capacity, so the plan is drawn from it: rows of one
length, about twice as wide as the house is deep, the last row taking what is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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


def rows_of(capacity: int, row_seats: int | None = None) -> list[Row]:
    """The rows of a house, the one next to the stage first.

    ``row_seats`` is how many a full row has; None: as many as suit the capacity.
    """
    length = row_seats or row_length(capacity)
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


def row_of(seat_no: int, capacity: int, row_seats: int | None = None) -> Row:
    """The row in which a seat stands, though the house may have been enlarged since it was read."""
    length = row_seats or row_length(capacity)
    index = (seat_no - 1) // length
    start = index * length + 1
    return Row(row_label(index), range(start, min(start + length, max(capacity, seat_no) + 1)))
