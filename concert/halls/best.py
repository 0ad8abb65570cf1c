"""Which free seats are the best for so many people, and who would be left sitting alone.

A layout is what of a house matters for that: which seats stand side by side, how far each is from
what is looked at, and what is true of it. A hall plan has one, and so has a house without.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from concert.halls.plan import COMPANION, RESTRICTED_VIEW, WHEELCHAIR, Plan

FREE = "a"
# To sit so far from the middle is as bad as to sit half as far again from the stage.
ASIDE = 1.5
# How many seats farther away somebody would rather sit than where the view is restricted.
RESTRICTED_COSTS = 10.0
# How many seats farther along their row somebody would rather sit than in another row.
OTHER_ROW_COSTS = 1.0


@dataclass(frozen=True, eq=False)
class Layout:
    """A house as choosing sees it; everything but ``runs`` has a value for each seat, in number order.

    ``xs`` and ``ys`` are in seats, from what is looked at. ``standing`` has the runs, by index, in
    which nobody sits beside anybody.
    """

    runs: tuple[range, ...]
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    flags: tuple[int, ...]
    categories: tuple[int, ...]
    standing: frozenset[int] = frozenset()
    # By how many are wanted: where so many sit side by side, the best first. Written when asked for.
    orders: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody would like: how many seats, of which category (its index), near which seats.

    With ``wheelchair``, one of them is a place for a wheelchair and the others are beside it.
    """

    count: int
    category: int | None = None
    near: tuple[int, ...] = ()
    wheelchair: bool = False


@dataclass(frozen=True, slots=True)
class Near:
    """The middle of some seats, in seats, and the runs in which they stand, by index."""

    x: float
    y: float
    runs: frozenset[int]


def layout_of(plan: Plan) -> Layout:
    """The layout of a plan."""
    unit = plan.seat_size / 0.85
    ahead_x, ahead_y = plan.focus
    standing = {
        plan.run_of_seats[number - 1]
        for number, place in enumerate(plan.places, 1)
        if place.standing
    }
    return Layout(
        plan.runs,
        tuple((x - ahead_x) / unit for x, _ in plan.points),
        tuple((y - ahead_y) / unit for _, y in plan.points),
        plan.flags_of_seats,
        plan.categories_of_seats,
        frozenset(standing),
    )


def best_choices(
    layout: Layout,
    letters: str,
    wish: Wish,
    *,
    most: int = 1,
    spare_singles: bool = False,
    released: Collection[int] = (),
) -> list[tuple[int, ...]]:
    """The best places for a wish, ``most`` of them at the most, the best first; they may overlap.

    ``letters`` is the state of each seat. With ``spare_singles``, whatever leaves nobody a single
    seat comes before all that does. ``released`` are places for wheelchairs and their companions
    that anybody may have; the others are for those who ask for one.
    """
    given = frozenset(released)
    if wish.near or wish.wheelchair:
        near = _near(layout, wish.near)
        seated: Iterable[tuple[int, ...]] = sorted(
            _choices(layout, letters, wish, given),
            key=lambda choice: (_cost(layout, choice, near, wish.wheelchair), choice),
        )
    else:
        seated = _choices_in_order(layout, letters, wish, given)
    found: list[tuple[int, ...]] = []
    leaving: list[tuple[int, ...]] = []
    for choice in seated:
        if spare_singles and _leaves_single(layout, letters, choice, given):
            leaving.append(choice)
            continue
        found.append(choice)
        if len(found) == most:
            return found
    # Whoever has not asked for it is sent to stand only where there is nothing to sit on.
    standing = [] if wish.wheelchair else list(_standing(layout, letters, wish, most))
    return [*found, *leaving, *standing][:most]


def left_alone(
    layout: Layout, letters: str, chosen: Sequence[int], released: Collection[int] = ()
) -> list[int]:
    """The free seats that would have a free neighbour no longer, if the chosen ones were taken."""
    taken = set(chosen)
    run_of = {
        number: run
        for index, run in enumerate(layout.runs)
        if index not in layout.standing
        for number in taken
        if number in run
    }

    def is_open(number: int, run: range) -> bool:
        return number in run and number not in taken and _is_open(layout, letters, number, released)

    beside = {(number + step, run) for number, run in run_of.items() for step in (-1, 1)}
    return sorted(
        number
        for number, run in beside
        if is_open(number, run) and not is_open(number - 1, run) and not is_open(number + 1, run)
    )


def could_spare_singles(
    layout: Layout, letters: str, chosen: Sequence[int], released: Collection[int] = ()
) -> bool:
    """Whether so many seats side by side of the same category are free that leave nobody alone."""
    categories = {layout.categories[number - 1] for number in chosen}
    for category in categories:
        wish = Wish(len(chosen), category)
        found = best_choices(layout, letters, wish, spare_singles=True, released=released)
        if found and not left_alone(layout, letters, found[0], released):
            return True
    return False


def nearest_free(layout: Layout, letters: str, wanted: Sequence[int]) -> tuple[int, ...]:
    """As many free seats as were wanted, together where it can be, nearest to where they were.

    Of the same category, as long as one of it is free.
    """
    category = layout.categories[wanted[0] - 1]
    for asked in (category, None):
        together = best_choices(layout, letters, Wish(len(wanted), asked, tuple(wanted)))
        if together:
            return together[0]
    near = _near(layout, wanted)
    free = [number for number, letter in enumerate(letters, 1) if letter == FREE]
    free.sort(
        key=lambda number: (
            layout.categories[number - 1] != category,
            _cost(layout, (number,), near, False),
        )
    )
    return tuple(sorted(free[: len(wanted)]))


def _choices(
    layout: Layout, letters: str, wish: Wish, released: frozenset[int]
) -> Iterator[tuple[int, ...]]:
    """All the seats side by side that a wish could be given, row by row."""
    special = WHEELCHAIR | COMPANION
    count = wish.count
    for index, run in enumerate(layout.runs):
        if index in layout.standing or FREE not in letters[run.start - 1 : run.stop - 1]:
            continue
        beside = wheelchairs = 0
        for number in run:
            flags = layout.flags[number - 1]
            is_for_them = flags & special and number not in released and not wish.wheelchair
            fits = wish.category is None or layout.categories[number - 1] == wish.category
            if letters[number - 1] != FREE or is_for_them or not fits:
                beside = wheelchairs = 0
                continue
            beside += 1
            wheelchairs += bool(flags & WHEELCHAIR)
            if beside > count:
                wheelchairs -= bool(layout.flags[number - count - 1] & WHEELCHAIR)
            if beside >= count and (not wish.wheelchair or wheelchairs == 1):
                yield tuple(range(number - count + 1, number + 1))


def _choices_in_order(
    layout: Layout, letters: str, wish: Wish, released: frozenset[int]
) -> Iterator[tuple[int, ...]]:
    """The same, the best first, for whoever asks for nothing but a category: nearly everybody.

    How good places are never changes, so they are put in order once, and a rush looks only at as
    many as it takes.
    """
    special = WHEELCHAIR | COMPANION
    count, free = wish.count, FREE * wish.count
    for first, is_for_them in _in_order(layout, count):
        before = first - 1
        if letters[before : before + count] != free:
            continue
        if wish.category is not None and any(
            category != wish.category for category in layout.categories[before : before + count]
        ):
            continue
        choice = tuple(range(first, first + count))
        if is_for_them and any(
            layout.flags[number - 1] & special and number not in released for number in choice
        ):
            continue
        yield choice


def _in_order(layout: Layout, count: int) -> list[tuple[int, bool]]:
    """The first of so many seats side by side, the best first; and whether some are for wheelchairs."""
    known = layout.orders.get(count)
    if known is None:
        special = WHEELCHAIR | COMPANION
        places = [
            tuple(range(first, first + count))
            for index, run in enumerate(layout.runs)
            if index not in layout.standing
            for first in range(run.start, run.stop - count + 1)
        ]
        places.sort(key=lambda choice: (_cost(layout, choice, None, False), choice))
        known = layout.orders[count] = [
            (choice[0], any(layout.flags[number - 1] & special for number in choice))
            for choice in places
        ]
    return known


def _standing(layout: Layout, letters: str, wish: Wish, most: int) -> Iterator[tuple[int, ...]]:
    """Places to stand, so many at a time: an area is one place, whatever its numbers."""
    made = 0
    for index in sorted(layout.standing):
        run = layout.runs[index]
        free: list[int] = []
        for number in run:
            if letters[number - 1] != FREE:
                continue
            if wish.category is not None and layout.categories[number - 1] != wish.category:
                continue
            free.append(number)
            if len(free) == wish.count:
                yield tuple(free)
                free = []
                made += 1
                if made == most:
                    return


def _cost(
    layout: Layout,
    choice: tuple[int, ...],
    near: Near | None,
    wheelchair: bool,
) -> float:
    """How far a choice is from the best place, in seats."""
    first, last = choice[0] - 1, choice[-1] - 1
    x = (layout.xs[first] + layout.xs[last]) / 2
    y = (layout.ys[first] + layout.ys[last]) / 2
    if near is None:
        cost = abs(x) * ASIDE + abs(y)
    else:
        cost = math.hypot(x - near.x, y - near.y)
        cost += OTHER_ROW_COSTS * (_run_at(layout, choice[0]) not in near.runs)
    for number in choice:
        flags = layout.flags[number - 1]
        if flags & RESTRICTED_VIEW:
            cost += RESTRICTED_COSTS
        # Whoever comes with a wheelchair leaves ordinary seats to others, where companions' are free.
        if wheelchair and not flags & (WHEELCHAIR | COMPANION):
            cost += RESTRICTED_COSTS
    return cost


def _leaves_single(
    layout: Layout, letters: str, choice: tuple[int, ...], released: Collection[int]
) -> bool:
    """The same as :func:`left_alone` for seats side by side, without looking for their run."""
    index = _run_at(layout, choice[0])
    if index in layout.standing:
        return False
    run = layout.runs[index]

    def is_open(number: int) -> bool:
        return number in run and _is_open(layout, letters, number, released)

    first, last = choice[0], choice[-1]
    return (is_open(first - 1) and not is_open(first - 2)) or (
        is_open(last + 1) and not is_open(last + 2)
    )


def _run_at(layout: Layout, number: int) -> int:
    """The index of the run in which a seat stands; they follow each other without a gap."""
    low, high = 0, len(layout.runs) - 1
    while low < high:
        between = (low + high + 1) // 2
        if layout.runs[between].start <= number:
            low = between
        else:
            high = between - 1
    return low


def _is_open(layout: Layout, letters: str, number: int, released: Collection[int]) -> bool:
    """Whether anybody could have this seat: a free one that is kept for nobody."""
    special = layout.flags[number - 1] & (WHEELCHAIR | COMPANION)
    return letters[number - 1] == FREE and (not special or number in released)


def _near(layout: Layout, numbers: Sequence[int]) -> Near | None:
    if not numbers:
        return None
    xs = [layout.xs[number - 1] for number in numbers]
    ys = [layout.ys[number - 1] for number in numbers]
    runs = frozenset(_run_at(layout, number) for number in numbers)
    return Near(sum(xs) / len(xs), sum(ys) / len(ys), runs)
