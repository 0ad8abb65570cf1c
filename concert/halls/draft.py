"""A plan as a file has it, before anybody has looked whether it can be; and the look.

Each reader (:mod:`concert.halls.reading`, ``pretix``, ``table``) makes a draft, in the file's own
measures. :func:`checked` judges it, moves it to the corner, and makes the plan.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median_low

from concert.ground.errors import BadRequest
from concert.halls.plan import (
    COMPANION,
    FLAGS,
    LARGEST_PLAN,
    USUAL_SEAT,
    WHEELCHAIR,
    Category,
    Plan,
    Point,
    Row,
    Section,
    Stage,
    gaps_of,
    middle,
)

LONGEST_NAME, LONGEST_LABEL, LONGEST_SEAT = 80, 20, 12
MOST_CATEGORIES, MOST_SECTIONS, MOST_CORNERS = 50, 500, 200
# Of a file that is wrong all over, so many problems are told.
MOST_PROBLEMS = 20
FARTHEST = 100_000.0
# Seats that are nearer to each other than this are in larger units than ours: metres, say.
NARROWEST = 50
MOST_ENLARGED = 4
COLOR = re.compile(r"#[0-9a-f]{6}")
# For categories that say no colour; all of them can be read on white and on black.
COLORS = ("#7a4fd0", "#1f8a70", "#c2571a", "#2f6fdb", "#b8336a", "#6b7a1f", "#0f8aa8", "#8a5a2b")

Spot = tuple[float, float]


class PlanRefused(BadRequest):
    """A file is no plan that can be used; ``problems`` says what is wrong with it, and where."""

    def __init__(self, problems: Sequence[str]) -> None:
        shown = list(problems[:MOST_PROBLEMS])
        more = len(problems) - len(shown)
        if more:
            shown.append(f"and {more} more")
        super().__init__("The plan cannot be used: " + "; ".join(shown) + ".")
        self.problems = tuple(shown)


@dataclass(slots=True)
class DraftSeat:
    """A seat as a file has it; ``category`` by name."""

    label: str
    spot: Spot
    category: str
    flags: Sequence[str] = ()


@dataclass(slots=True)
class DraftRow:
    label: str
    seats: list[DraftSeat] = field(default_factory=list)


@dataclass(slots=True)
class DraftSection:
    """A section as a file has it; without an outline, one is drawn around its seats."""

    name: str
    rows: list[DraftRow] = field(default_factory=list)
    outline: list[Spot] | None = None
    standing: bool = False


@dataclass(slots=True)
class DraftPlan:
    """A plan as a file has it. A category without a colour gets one of ours."""

    name: str
    categories: dict[str, str | None]
    sections: list[DraftSection]
    stage: tuple[str, list[Spot]] | None = None


def checked(draft: DraftPlan) -> Plan:
    """The plan that a draft is.

    Raises:
        PlanRefused: it is none.
    """
    draft.sections = [_without_empty_rows(section) for section in draft.sections]
    draft.sections = [section for section in draft.sections if section.rows]
    problems = list(_problems(draft))
    if problems:
        raise PlanRefused(problems)
    plan = _drawn(draft)
    problems = list(_misplaced(plan))
    if problems:
        raise PlanRefused(problems)
    return plan


def _without_empty_rows(section: DraftSection) -> DraftSection:
    section.rows = [row for row in section.rows if row.seats]
    return section


def _problems(draft: DraftPlan) -> Iterator[str]:
    """What is wrong in words and numbers, before anything is drawn."""
    if not _is_text(draft.name, 1, LONGEST_NAME):
        yield f"its name has 1 to {LONGEST_NAME} printable characters"
    yield from _problems_of_categories(draft.categories)
    seats = sum(len(row.seats) for section in draft.sections for row in section.rows)
    if not 1 <= seats <= LARGEST_PLAN:
        yield f"it has {seats:,} seats; a hall has 1 to {LARGEST_PLAN:,}"
        return
    if len(draft.sections) > MOST_SECTIONS:
        yield f"it has {len(draft.sections)} sections; {MOST_SECTIONS} is the most"
        return
    if draft.stage is not None:
        label, outline = draft.stage
        if not _is_text(label, 0, LONGEST_NAME):
            yield f"the stage's label has at most {LONGEST_NAME} printable characters"
        yield from _problems_of_outline("the stage", outline)
    names: set[str] = set()
    for section in draft.sections:
        here = f"section {section.name!r}"
        if section.name in names:
            yield f"{here} is there twice"
        names.add(section.name)
        yield from _problems_of_section(here, section, draft.categories)


def _problems_of_categories(categories: dict[str, str | None]) -> Iterator[str]:
    if not 1 <= len(categories) <= MOST_CATEGORIES:
        yield f"it has {len(categories)} categories; a plan has 1 to {MOST_CATEGORIES}"
    for name, color in categories.items():
        if not _is_text(name, 1, LONGEST_NAME):
            yield f"category {name!r}: a name has 1 to {LONGEST_NAME} printable characters"
        if color is not None and not COLOR.fullmatch(color):
            yield f"category {name!r}: {color!r} is no colour such as #7a4fd0"


def _problems_of_section(
    here: str, section: DraftSection, categories: dict[str, str | None]
) -> Iterator[str]:
    if not _is_text(section.name, 0, LONGEST_NAME):
        yield f"{here}: a name has at most {LONGEST_NAME} printable characters"
    if section.outline is not None:
        yield from _problems_of_outline(here, section.outline)
    elif section.standing:
        yield f"{here}: a standing area needs an outline"
    if section.standing and (len(section.rows) != 1 or section.rows[0].label):
        yield f"{here}: a standing area has one row, without a label"
    called: set[tuple[str, str]] = set()
    for row in section.rows:
        if not _is_text(row.label, 0, LONGEST_LABEL):
            yield f"{here}, row {row.label!r}: a label has at most {LONGEST_LABEL} printable characters"
        for seat in row.seats:
            where = f"{here}, row {row.label!r}, seat {seat.label!r}"
            if not _is_text(seat.label, 1, LONGEST_SEAT):
                yield f"{where}: a label has 1 to {LONGEST_SEAT} printable characters"
            if (row.label, seat.label) in called:
                yield f"{where} is there twice"
            called.add((row.label, seat.label))
            if seat.category not in categories:
                yield f"{where}: there is no category {seat.category!r}"
            for flag in seat.flags:
                if flag not in FLAGS:
                    yield f"{where}: {flag!r} is no flag; known are {', '.join(FLAGS)}"
            if not all(_is_near(value) for value in seat.spot):
                yield f"{where}: coordinates are numbers up to {FARTHEST:,.0f}"


def _problems_of_outline(here: str, outline: list[Spot]) -> Iterator[str]:
    if not 3 <= len(outline) <= MOST_CORNERS:
        yield f"{here}: an outline has 3 to {MOST_CORNERS} points"
    if not all(_is_near(value) for spot in outline for value in spot):
        yield f"{here}: coordinates are numbers up to {FARTHEST:,.0f}"


def _is_text(value: str, shortest: int, longest: int) -> bool:
    """Whether words can be shown: no control characters, and no space around them."""
    return shortest <= len(value) <= longest and value.isprintable() and value == value.strip()


def _is_near(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= FARTHEST


def _misplaced(plan: Plan) -> Iterator[str]:
    """What is wrong with where seats are."""
    if max(plan.size) > FARTHEST * 10:
        yield f"it is more than {FARTHEST:,.0f} wide or deep, where two neighbours are 5 apart"
    at: dict[Point, int] = {}
    for number, (point, place) in enumerate(zip(plan.points, plan.places, strict=True), 1):
        if place.standing:
            continue
        other = plan.places[at[point] - 1] if point in at else None
        if other is not None:
            yield (
                f"section {place.section!r}, row {place.row!r}, seat {place.seat!r} stands where "
                f"section {other.section!r}, row {other.row!r}, seat {other.seat!r} does"
            )
        at.setdefault(point, number)
    for run in plan.runs:
        flags = [plan.flags_of_seats[number - 1] for number in run]
        for index in _lone_companions(flags):
            place = plan.places[run[index] - 1]
            yield (
                f"section {place.section!r}, row {place.row!r}, seat {place.seat!r} is a companion's, "
                "and no wheelchair is beside it"
            )


def _lone_companions(flags: list[int]) -> Iterator[int]:
    """Companions' seats, by index, from which no others lead to a wheelchair."""
    first = 0
    while first < len(flags):
        stop = first
        while stop < len(flags) and flags[stop] & (COMPANION | WHEELCHAIR):
            stop += 1
        if not any(bits & WHEELCHAIR for bits in flags[first:stop]):
            yield from range(first, stop)
        first = max(stop, first + 1)


def _drawn(draft: DraftPlan) -> Plan:
    """The plan in tenths of a unit that is not too large, moved to the corner."""
    spacing, scale = 0, 10
    for _ in range(MOST_ENLARGED + 1):
        spacing = _usual_spacing(draft, scale)
        if spacing == 0 or spacing >= NARROWEST:
            break
        scale *= 10
    seat_size = max(1, round(spacing * 0.85)) if spacing else USUAL_SEAT
    names = list(draft.categories)
    sections = [_section(section, names, scale, seat_size) for section in draft.sections]
    stage = None
    if draft.stage is not None:
        stage = Stage(draft.stage[0], _points(draft.stage[1], scale))
    corners = [corner for section in sections for corner in section.outline]
    corners += [] if stage is None else stage.outline
    half = seat_size // 2 + 1
    for section in sections:
        for row in [] if section.standing else section.rows:
            for x, y in zip(row.xs, row.ys, strict=True):
                corners += [(x - half, y - half), (x + half, y + half)]
    left, top = min(x for x, _ in corners), min(y for _, y in corners)
    size = max(x for x, _ in corners) - left, max(y for _, y in corners) - top
    return Plan(
        draft.name,
        size,
        seat_size,
        stage and Stage(stage.label, _moved(stage.outline, left, top)),
        tuple(Category(name, color) for name, color in _colored(draft.categories)),
        tuple(
            Section(
                one.name,
                one.standing,
                _moved(one.outline, left, top),
                tuple(_moved_row(row, left, top) for row in one.rows),
            )
            for one in sections
        ),
    )


def _colored(categories: dict[str, str | None]) -> Iterator[tuple[str, str]]:
    for index, (name, color) in enumerate(categories.items()):
        yield name, color or COLORS[index % len(COLORS)]


def _usual_spacing(draft: DraftPlan, scale: int) -> int:
    """What separates two neighbours, in tenths at this scale; 0 where nobody has one."""
    gaps: list[float] = []
    for section in draft.sections:
        for row in [] if section.standing else section.rows:
            points = _points([seat.spot for seat in row.seats], scale)
            xs, ys = tuple(x for x, _ in points), tuple(y for _, y in points)
            gaps += [gap for gap in gaps_of(xs, ys) if gap]
    return round(median_low(gaps)) if gaps else 0


def _section(section: DraftSection, names: list[str], scale: int, seat_size: int) -> Section:
    outline = None if section.outline is None else _points(section.outline, scale)
    rows = tuple(_row(row, names, scale) for row in section.rows)
    if outline is None:
        spots = [spot for row in rows for spot in zip(row.xs, row.ys, strict=True)]
        outline = _around(spots, round(seat_size * 0.8))
    if section.standing:
        x, y = rows[0].xs[0], rows[0].ys[0]
        if not _is_within((x, y), outline):
            x, y = middle(outline)
        count = len(rows[0].seats)
        only = rows[0]
        rows = (Row("", only.seats, (x,) * count, (y,) * count, only.categories, only.flags),)
    return Section(section.name, section.standing, outline, rows)


def _row(row: DraftRow, names: list[str], scale: int) -> Row:
    index = {name: number for number, name in enumerate(names)}
    points = _points([seat.spot for seat in row.seats], scale)
    return Row(
        row.label,
        tuple(seat.label for seat in row.seats),
        tuple(x for x, _ in points),
        tuple(y for _, y in points),
        tuple(index[seat.category] for seat in row.seats),
        tuple(sum(1 << FLAGS.index(flag) for flag in set(seat.flags)) for seat in row.seats),
    )


def _points(spots: Iterable[Spot], scale: int) -> tuple[Point, ...]:
    return tuple((round(x * scale), round(y * scale)) for x, y in spots)


def _moved(points: tuple[Point, ...], left: int, top: int) -> tuple[Point, ...]:
    return tuple((x - left, y - top) for x, y in points)


def _moved_row(row: Row, left: int, top: int) -> Row:
    return Row(
        row.label,
        row.seats,
        tuple(x - left for x in row.xs),
        tuple(y - top for y in row.ys),
        row.categories,
        row.flags,
    )


def _is_within(point: Point, outline: tuple[Point, ...]) -> bool:
    """Whether a point is inside a polygon: a ray from it crosses the edges an odd number of times."""
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in zip(outline, (*outline[1:], outline[0]), strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def _around(points: list[Point], margin: int) -> tuple[Point, ...]:
    """The convex polygon around squares of so much on each side of every point."""
    corners = sorted(
        {
            (x + dx, y + dy)
            for x, y in points
            for dx in (-margin, margin)
            for dy in (-margin, margin)
        }
    )
    hull = [*_half(corners), *_half(corners[::-1])]
    if len(hull) <= MOST_CORNERS:
        return tuple(hull)
    # A round block has a corner for nearly every seat: a box is as good from afar.
    xs, ys = [x for x, _ in hull], [y for _, y in hull]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _half(corners: list[Point]) -> list[Point]:
    """One side of the polygon around points that are sorted, without its last corner."""
    kept: list[Point] = []
    for x, y in corners:
        while len(kept) > 1:
            (x1, y1), (x2, y2) = kept[-2:]
            if (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) > 0:
                break
            kept.pop()
        kept.append((x, y))
    return kept[:-1]
