"""What a hall plan is: sections, rows and seats, numbered through in their order.

Lengths and coordinates are whole tenths of the plan's own unit, so that the same plan is always
written in the same way. ``docs/halls.md`` has the document that is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median_low

Point = tuple[int, int]

LARGEST_PLAN = 20_000
# What may be true of a seat; the first is bit 1, the next bit 2, and so on.
FLAGS = ("wheelchair", "companion", "restricted_view", "aisle", "blocked")
WHEELCHAIR, COMPANION, RESTRICTED_VIEW, AISLE, BLOCKED = (1 << bit for bit in range(len(FLAGS)))
# A gap so many times as wide as the row's usual one is an aisle.
AISLE_GAP = 1.6
# How large a seat is where nothing stands beside another.
USUAL_SEAT = 100


@dataclass(frozen=True, slots=True)
class Category:
    """Seats of one price at each performance; ``color`` is ``#rrggbb``."""

    name: str
    color: str


@dataclass(frozen=True, slots=True)
class Row:
    """Seats one after the other, a value each: label, place, index of the category, flags as bits."""

    label: str
    seats: tuple[str, ...]
    xs: tuple[int, ...]
    ys: tuple[int, ...]
    categories: tuple[int, ...]
    flags: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the house; a standing one has one row whose places all are at one point."""

    name: str
    standing: bool
    outline: tuple[Point, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everybody looks."""

    label: str
    outline: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What one seat is called: section, row and number within the row; empty where there is none."""

    section: str
    row: str
    seat: str
    standing: bool


@dataclass(frozen=True)
class Plan:
    """A whole hall. Its seats have the numbers 1 to ``capacity``, in the order of the plan."""

    name: str
    size: Point
    seat_size: int
    stage: Stage | None
    categories: tuple[Category, ...]
    sections: tuple[Section, ...]

    @cached_property
    def capacity(self) -> int:
        """How many seats and standing places there are."""
        return len(self.categories_of_seats)

    @cached_property
    def categories_of_seats(self) -> tuple[int, ...]:
        """The index of each seat's category, in number order."""
        return tuple(one for _, row in self._rows() for one in row.categories)

    @cached_property
    def flags_of_seats(self) -> tuple[int, ...]:
        """What is true of each seat, as bits, in number order."""
        return tuple(one for _, row in self._rows() for one in row.flags)

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Where each seat is, in number order."""
        return tuple(point for _, row in self._rows() for point in zip(row.xs, row.ys, strict=True))

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """What each seat is called, in number order."""
        return tuple(
            Place(section.name, row.label, seat, section.standing)
            for section, row in self._rows()
            for seat in row.seats
        )

    @cached_property
    def runs(self) -> tuple[range, ...]:
        """The numbers of seats that stand side by side, between aisles, from end to end."""
        found: list[range] = []
        first = 1
        for section, row in self._rows():
            stop = first + len(row.seats)
            breaks = [] if section.standing else [first + gap for gap in aisles(row.xs, row.ys)]
            edges = [first, *breaks, stop]
            found += [range(*ends) for ends in pairwise(edges)]
            first = stop
        return tuple(found)

    @cached_property
    def run_of_seats(self) -> tuple[int, ...]:
        """The index of the run in which each seat stands, in number order."""
        return tuple(index for index, run in enumerate(self.runs) for _ in run)

    @cached_property
    def focus(self) -> Point:
        """What is looked at: the middle of the stage, or of the front where there is none."""
        if self.stage is None:
            return self.size[0] // 2, 0
        return middle(self.stage.outline)

    @cached_property
    def has_wheelchairs(self) -> bool:
        """Whether there is a place for one."""
        return any(flags & WHEELCHAIR for flags in self.flags_of_seats)

    @property
    def blocked(self) -> list[int]:
        """The numbers of the seats that are not sold when a date is made."""
        return [number for number, flags in enumerate(self.flags_of_seats, 1) if flags & BLOCKED]

    def _rows(self) -> Iterator[tuple[Section, Row]]:
        for section in self.sections:
            for row in section.rows:
                yield section, row


def aisles(xs: tuple[int, ...], ys: tuple[int, ...]) -> list[int]:
    """Before which seats of a row, counted from 0, there is an aisle."""
    gaps = gaps_of(xs, ys)
    if len(gaps) < 2:
        return []
    widest = AISLE_GAP * median_low(gaps)
    return [index for index, gap in enumerate(gaps, 1) if gap > widest]


def gaps_of(xs: tuple[int, ...], ys: tuple[int, ...]) -> list[float]:
    """How far each seat of a row is from the one before it."""
    points = list(zip(xs, ys, strict=True))
    return [math.dist(one, other) for one, other in pairwise(points)]


def middle(outline: tuple[Point, ...]) -> Point:
    """The middle of a polygon's corners."""
    count = len(outline)
    return sum(x for x, _ in outline) // count, sum(y for _, y in outline) // count
