"""Plans as tables: a line for each seat, or for a run of seats, that a spreadsheet can write.

The first line names the columns: ``section``, ``row``, ``seat`` and ``category`` are needed; ``x`` and
``y`` are there for all seats or for none, and then the house is drawn by us; ``flags`` (words
with spaces between them; ``standing`` for a standing area) and ``color`` may be left out. ``seat`` is a label,
or a run such as ``1-24`` or ``24-1`` where the line has no coordinates of its own.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from concert.halls.document import flag_names, length
from concert.halls.draft import (
    COLOR,
    DraftPlan,
    DraftRow,
    DraftSeat,
    DraftSection,
    PlanRefused,
    Spot,
)
from concert.halls.plan import LARGEST_PLAN, Plan

NEEDED = ("section", "row", "seat", "category")
KNOWN = (*NEEDED, "x", "y", "color", "flags")
STANDING = "standing"
RUN = re.compile(r"([0-9]{1,5})-([0-9]{1,5})", re.ASCII)
# Where a table says no coordinates: what separates seats, rows and sections; and how large a
# standing area is for each that stands there.
BESIDE, BEHIND, BETWEEN, STANDS_ON = 10.0, 12.0, 30.0, 5.0
STAGE_DEPTH = 40.0


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says of a seat, or of several with these labels."""

    number: int
    section: str
    row: str
    seats: tuple[str, ...]
    category: str
    spot: Spot | None
    color: str
    flags: tuple[str, ...]

    @property
    def standing(self) -> bool:
        """Whether it is of a standing area."""
        return STANDING in self.flags


def draft_of(content: bytes, name: str) -> DraftPlan:
    """The plan as the table has it.

    Raises:
        PlanRefused: the table is not such a one.
    """
    lines = list(_lines(content))
    categories: dict[str, str | None] = {}
    for line in lines:
        known = categories.setdefault(line.category, line.color or None)
        if line.color and known != line.color:
            raise PlanRefused(
                [f"line {line.number}: category {line.category!r} has two colours or gets one late"]
            )
    sections = [
        _section(section, list(group)) for section, group in groupby(lines, lambda one: one.section)
    ]
    seated = [line for line in lines if not line.standing]
    placed = [line for line in lines if line.spot is not None]
    if placed:
        missing = [line for line in seated if line.spot is None]
        if missing or len(placed) != len(lines):
            number = (missing or [line for line in lines if line.spot is None])[0].number
            raise PlanRefused([f"line {number}: x and y are there for all seats, or for none"])
        return DraftPlan(name, categories, sections)
    return DraftPlan(name, categories, sections, _lay_out(sections))


def table_of(plan: Plan) -> bytes:
    """The seats of a plan as such a table; outlines and the stage are not in it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(KNOWN)
    for section in plan.sections:
        for row in section.rows:
            labels: Sequence[str] = row.seats
            if section.standing and len(labels) > 1:
                _require_run(section.name, labels)
                labels = [f"{labels[0]}-{labels[-1]}"]
            for index, label in enumerate(labels):
                if not section.standing and RUN.fullmatch(label):
                    raise PlanRefused([f"seat {label!r} would be a run of seats in a table"])
                category = plan.categories[row.categories[index]]
                flags = flag_names(row.flags[index]) + [STANDING] * section.standing
                where = length(row.xs[index]), length(row.ys[index])
                writer.writerow(
                    (section.name, row.label, label, category.name)
                    + (*where, category.color, " ".join(flags))
                )
    return text.getvalue().encode()


def _require_run(section: str, labels: Sequence[str]) -> None:
    if list(labels) != list(_run(f"{labels[0]}-{labels[-1]}")):
        raise PlanRefused([f"the places of {section!r} do not count on, as a table has them"])


def _lines(content: bytes) -> Iterator[Line]:
    try:
        text = content.decode("utf-8-sig")
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        head = [name.strip().lower() for name in next(rows, [])]
        _check_head(head)
        count = 0
        for row in rows:
            if not any(row):
                continue
            line = _line(rows.line_num, dict(zip(head, row, strict=False)), len(row) > len(head))
            count += len(line.seats)
            if count > LARGEST_PLAN:
                raise PlanRefused([f"it has more than {LARGEST_PLAN:,} seats"])
            yield line
    except UnicodeDecodeError as error:
        raise PlanRefused(["the table is not UTF-8 text"]) from error
    except csv.Error as error:
        raise PlanRefused([f"the table is no CSV: {error}"]) from error


def _check_head(head: list[str]) -> None:
    missing = [name for name in NEEDED if name not in head]
    unknown = [name for name in head if name not in KNOWN]
    if missing or unknown or len(set(head)) < len(head):
        raise PlanRefused(
            [f"the first line names the columns {', '.join(NEEDED)}, and maybe x, y, color, flags"]
        )


def _line(number: int, cells: dict[str, str], is_longer: bool) -> Line:
    if is_longer:
        raise PlanRefused([f"line {number} has more cells than there are columns"])
    cell = {name: cells.get(name, "").strip() for name in KNOWN}
    color = cell["color"].lower()
    if color and not COLOR.fullmatch(color):
        raise PlanRefused([f"line {number}: {color!r} is no colour such as #7a4fd0"])
    spot = _spot(number, cell["x"], cell["y"])
    flags = tuple(cell["flags"].split())
    seats: tuple[str, ...] = (cell["seat"],)
    if RUN.fullmatch(cell["seat"]) and (spot is None or STANDING in flags):
        seats = tuple(_run(cell["seat"]))
    return Line(number, cell["section"], cell["row"], seats, cell["category"], spot, color, flags)


def _run(text: str) -> Iterator[str]:
    """The labels of a run: ``1-24`` counts up, ``24-1`` down."""
    found = RUN.fullmatch(text)
    if found is None:
        yield text
        return
    first, last = int(found[1]), int(found[2])
    step = 1 if last >= first else -1
    yield from (str(number) for number in range(first, last + step, step))


def _spot(number: int, x: str, y: str) -> Spot | None:
    if not x and not y:
        return None
    try:
        return float(x), float(y)
    except ValueError as error:
        raise PlanRefused([f"line {number}: x and y are numbers"]) from error


def _section(name: str, lines: list[Line]) -> DraftSection:
    """A section of lines that follow each other; its seats without coordinates are all at the corner."""
    standing = any(line.standing for line in lines)
    section = DraftSection(name, standing=standing)
    for label, group in groupby(lines, lambda line: line.row):
        row = DraftRow(label)
        for line in group:
            if line.standing != standing:
                raise PlanRefused([f"line {line.number}: a section is for standing, or it is not"])
            flags = tuple(flag for flag in line.flags if flag != STANDING)
            spot = line.spot or (0.0, 0.0)
            row.seats += [DraftSeat(seat, spot, line.category, flags) for seat in line.seats]
        section.rows.append(row)
    if standing:
        count = sum(len(row.seats) for row in section.rows)
        section.outline = _square(section.rows[0].seats[0].spot, count)
    return section


def _square(centre: Spot, count: int) -> list[Spot]:
    half = float(round(STANDS_ON * (max(1, count) ** 0.5) / 2) + 5)
    x, y = centre
    return [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]


def _lay_out(sections: list[DraftSection]) -> tuple[str, list[Spot]]:
    """Draw a house of which only the order is known: section behind section; returns its stage."""
    depth = STAGE_DEPTH + BETWEEN
    widest = max(
        (len(row.seats) for one in sections for row in one.rows if not one.standing), default=10
    )
    for section in sections:
        if section.standing and section.outline is not None:
            half = section.outline[1][0]
            section.outline = [(x, y + depth + half) for x, y in section.outline]
            for seat in section.rows[0].seats:
                seat.spot = (0.0, depth + half)
            depth += 2 * half + BETWEEN
            continue
        for row in section.rows:
            left = -(len(row.seats) - 1) * BESIDE / 2
            for index, seat in enumerate(row.seats):
                seat.spot = (left + index * BESIDE, depth)
            depth += BEHIND
        depth += BETWEEN - BEHIND
    half = max(40.0, widest * BESIDE * 0.35)
    return "Stage", [(-half, 0), (half, 0), (half, STAGE_DEPTH), (-half, STAGE_DEPTH)]
