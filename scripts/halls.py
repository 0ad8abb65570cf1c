"""Makes the halls that come with us: ``python scripts/halls.py`` writes concert/halls/examples.

Lengths are in units of which ten separate two seats.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import orjson  # ours is found by then

from concert.halls.document import document_of
from concert.halls.draft import DraftPlan, DraftRow, DraftSeat, DraftSection, checked
from concert.halls.plan import Plan

SEAT, ROW = 10.0, 12.0
Spot = tuple[float, float]


def letters(index: int) -> str:
    """A, B, C ... for 0, 1, 2 ..."""
    return chr(ord("A") + index)


def on_arc(centre: Spot, radius: float, angle: float) -> Spot:
    """A place on a circle; the angle is from straight down (away from the stage), to the right."""
    return centre[0] + radius * math.sin(angle), centre[1] + radius * math.cos(angle)


def arc_row(
    label: str,
    centre: Spot,
    radius: float,
    middle: float,
    count: int,
    category: str,
    first: int = 1,
) -> DraftRow:
    """Seats on an arc around a middle angle, from left to right on the drawing."""
    step = SEAT / radius
    start = middle - step * (count - 1) / 2
    seats = [
        DraftSeat(str(first + index), on_arc(centre, radius, start + step * index), category, [])
        for index in range(count)
    ]
    return DraftRow(label, seats)


def wedge(
    centre: Spot, middle: float, inner: tuple[float, int], outer: tuple[float, int]
) -> list[Spot]:
    """The outline of a block between two radii, each with the seats of its row."""
    corners = []
    for (radius, count), turn in ((inner, 1), (outer, -1)):
        half = SEAT / radius * count / 2 + 2 / radius
        steps = [half * (1 - index / 3) * turn for index in range(7)]
        corners += [on_arc(centre, radius, middle + step) for step in steps]
    return corners


def block(
    name: str,
    centre: Spot,
    middle: float,
    radius: float,
    counts: list[int],
    category: str,
    firsts: list[int] | None = None,
) -> DraftSection:
    """A block of curved rows, one behind another."""
    rows = [
        arc_row(
            *(letters(index), centre, radius + index * ROW, middle, count, category),
            first=firsts[index] if firsts else 1,
        )
        for index, count in enumerate(counts)
    ]
    last = radius + (len(counts) - 1) * ROW
    outline = wedge(centre, middle, (radius - 7, counts[0]), (last + 7, counts[-1]))
    return DraftSection(name, rows, outline)


def flag(row: DraftRow, flags: dict[int, str]) -> None:
    """Say something of seats of a row, by their place in it; -1 is the last."""
    for index, name in flags.items():
        row.seats[index].flags = [*row.seats[index].flags, name]


def aisles(section: DraftSection, *ends: int) -> None:
    """The seats at these ends of each row are on an aisle."""
    for row in section.rows:
        flag(row, dict.fromkeys(ends, "aisle"))


def club() -> Plan:
    """Fifty seats in five gently curved rows, with an aisle in the middle."""
    centre = (0.0, -90.0)
    rows = []
    for index in range(5):
        category = "Front" if index < 2 else "Floor"
        radius = 150 + index * 14
        left = arc_row(letters(index), centre, radius, -33 / radius, 5, category)
        right = arc_row(letters(index), centre, radius, 33 / radius, 5, category, first=6)
        row = DraftRow(letters(index), left.seats + right.seats)
        flag(row, {4: "aisle", 5: "aisle"})
        rows.append(row)
    flag(rows[4], {0: "wheelchair", 1: "companion"})
    stage = "Stage", [(-45.0, 0.0), (45.0, 0.0), (38.0, 34.0), (-38.0, 34.0)]
    colors: dict[str, str | None] = {"Front": "#7a4fd0", "Floor": "#1f8a70"}
    return checked(DraftPlan("Club", colors, [DraftSection("", rows)], stage))


def theatre() -> Plan:
    """Eight hundred seats: stalls in three blocks with two aisles, and a balcony in three."""
    centre = (0.0, -260.0)
    # Rows of the stalls: the middle block, and each of the two at its sides.
    middles = [11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 17, 17]
    sides = [6, 6, 7, 7, 8, 8, 9, 9, 9, 10, 10, 10, 10, 10, 10, 11]
    stalls: dict[str, list[DraftRow]] = {"left": [], "centre": [], "right": []}
    for index, (wide, narrow) in enumerate(zip(middles, sides, strict=True)):
        radius = 340 + index * ROW
        category = "Premium" if index < 6 else "Stalls"
        turn = ((wide + narrow) * SEAT / 2 + 8) / radius
        label = letters(index)
        stalls["left"].append(arc_row(label, centre, radius, -turn, narrow, category))
        stalls["centre"].append(arc_row(label, centre, radius, 0, wide, category, narrow + 1))
        stalls["right"].append(
            arc_row(label, centre, radius, turn, narrow, category, narrow + wide + 1)
        )
    sections = [DraftSection(f"Stalls {name}", rows) for name, rows in stalls.items()]
    # The balcony, behind a gap.
    wides, narrows = [22, 22, 23, 23, 24, 24], [12, 12, 13, 13, 13, 13]
    balcony: dict[str, list[DraftRow]] = {"left": [], "centre": [], "right": []}
    for index, (wide, narrow) in enumerate(zip(wides, narrows, strict=True)):
        radius = 340 + 16 * ROW + 46 + index * ROW
        turn = ((wide + narrow) * SEAT / 2 + 8) / radius
        label = letters(index)
        balcony["left"].append(arc_row(label, centre, radius, -turn, narrow, "Balcony"))
        balcony["centre"].append(arc_row(label, centre, radius, 0, wide, "Balcony", narrow + 1))
        balcony["right"].append(
            arc_row(label, centre, radius, turn, narrow, "Balcony", narrow + wide + 1)
        )
    sections += [DraftSection(f"Balcony {name}", rows) for name, rows in balcony.items()]
    # Rows differ in length, which shows at the outer sides.
    sides = ((17.0, 7.0), (7.0, 7.0), (7.0, 17.0))
    for index, section in enumerate(sections):
        aisles(section, *((-1,), (0, -1), (0,))[index % 3])
        first, last = section.rows[0], section.rows[-1]
        radius = 340 if section.name.startswith("Stalls") else 340 + 16 * ROW + 46
        outer = radius + (len(section.rows) - 1) * ROW
        section.outline = band(centre, first, last, radius - 7, outer + 7, sides[index % 3])
    left, right = sections[0].rows[-1], sections[2].rows[-1]
    flag(left, {0: "wheelchair", 1: "companion", 2: "wheelchair", 3: "companion"})
    flag(right, {-1: "wheelchair", -2: "companion", -3: "wheelchair", -4: "companion"})
    for section, ends in ((sections[3], (0, 1)), (sections[5], (-1, -2))):
        for row in section.rows[:2]:
            flag(row, dict.fromkeys(ends, "restricted_view"))
    stage = (
        "Stage",
        [
            (-120.0, -30.0),
            (120.0, -30.0),
            (110.0, 30.0),
            (60.0, 48.0),
            (-60.0, 48.0),
            (-110.0, 30.0),
        ],
    )
    colors: dict[str, str | None] = {
        "Premium": "#b8336a",
        "Stalls": "#7a4fd0",
        "Balcony": "#1f8a70",
    }
    return checked(DraftPlan("Theatre", colors, sections, stage))


def band(
    centre: Spot, first: DraftRow, last: DraftRow, inner: float, outer: float, sides: Spot
) -> list[Spot]:
    """The outline of a block whose first and last row say how wide it is, but for so much at its sides."""
    corners = []
    for row, radius, turn in ((first, inner, 1), (last, outer, -1)):
        angles = [
            math.atan2(seat.spot[0] - centre[0], seat.spot[1] - centre[1]) for seat in row.seats
        ]
        low, high = min(angles) - sides[0] / radius, max(angles) + sides[1] / radius
        steps = [low + (high - low) * index / 8 for index in range(9)]
        corners += [on_arc(centre, radius, angle) for angle in steps[::turn]]
    return corners


def arena() -> Plan:
    """Five thousand: a floor to stand on, and two tiers of blocks around it, open at the stage."""
    centre = (0.0, 0.0)
    opening = math.radians(44)
    floor = [on_arc(centre, 318, angle) for angle in steps_between(-2.32, 2.32, 40)]
    sections = [
        DraftSection(
            "Floor",
            [DraftRow("", [DraftSeat(str(n), (0.0, 60.0), "Standing") for n in range(1, 1001)])],
            floor,
            standing=True,
        )
    ]
    lower = [10, 10, 11, 11, 12, 12, 12, 13, 13, 13, 13, 14]
    upper = [14, 15, 15, 15, 16, 16, 16, 17]
    tiers = ((100, 14, 350.0, lower), (200, 16, 530.0, upper))
    for base, count, radius, counts in tiers:
        span = 2 * (math.pi - opening)
        for index in range(count):
            middle = -span / 2 + span * (index + 0.5) / count
            aside = abs(middle)
            if base == 200:
                category = "Upper tier"
            else:
                category = "Lower tier, front" if aside < 1.2 else "Lower tier, side"
            section = block(str(base + index + 1), centre, middle, radius, counts, category)
            aisles(section, 0, -1)
            if base == 100 and index in (3, 6, 7, 10):
                flag(section.rows[-1], {0: "wheelchair", 1: "companion"})
                flag(section.rows[-1], {-1: "wheelchair", -2: "companion"})
            if index in (0, count - 1):
                for row in section.rows:
                    edge = slice(0, 3) if index == 0 else slice(-3, None)
                    for seat in row.seats[edge]:
                        seat.flags = [*seat.flags, "restricted_view"]
            sections.append(section)
    stage = "Stage", [
        (-190.0, -420.0), (190.0, -420.0), (190.0, -270.0), (40.0, -250.0), (40.0, -150.0),
        (-40.0, -150.0), (-40.0, -250.0), (-190.0, -270.0),
    ]  # fmt: skip
    colors: dict[str, str | None] = {
        "Standing": "#b8336a",
        "Lower tier, front": "#7a4fd0",
        "Lower tier, side": "#2f6fdb",
        "Upper tier": "#1f8a70",
    }
    return checked(DraftPlan("Arena", colors, sections, stage))


def steps_between(low: float, high: float, count: int) -> list[float]:
    """Values from low to high, both included."""
    return [low + (high - low) * index / (count - 1) for index in range(count)]


def main() -> None:
    """Write the three halls."""
    folder = ROOT / "concert" / "halls" / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    for name, make, seats in (
        ("club", club, 50),
        ("theatre", theatre, 800),
        ("arena", arena, 5000),
    ):
        plan = make()
        if plan.capacity != seats:
            raise SystemExit(f"{name} has {plan.capacity} seats, not {seats}")
        document = document_of(plan, "compact")
        (folder / f"{name}.json").write_bytes(orjson.dumps(document) + b"\n")
        print(f"{name}: {plan.capacity} seats, {len(orjson.dumps(document)):,} bytes")


if __name__ == "__main__":
    main()
