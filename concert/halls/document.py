"""A plan as a document, with a seat an object (plain) or a row of columns (compact); see docs/halls.md.

What is stored, and hashed, is the compact form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import orjson

from concert.halls.plan import FLAGS, Plan, Point, Row, Section

Form = Literal["plain", "compact"]


def written(plan: Plan) -> bytes:
    """The one way in which a plan is written down."""
    return orjson.dumps(document_of(plan, "compact"))


def hash_of(document: bytes) -> str:
    """The name of what is in a plan."""
    return hashlib.sha256(document).hexdigest()


def document_of(plan: Plan, form: Form, prices: Sequence[int] | None = None) -> dict[str, Any]:
    """A plan as JSON shows it; ``prices`` are won, one for each category."""
    compact = form == "compact"
    document: dict[str, Any] = {
        "name": plan.name,
        "capacity": plan.capacity,
        "size": _point(plan.size),
        "seat_size": length(plan.seat_size),
        "stage": None,
        "categories": _categories(plan, prices),
    }
    if plan.stage is not None:
        document["stage"] = {
            "label": plan.stage.label,
            "outline": [_point(corner) for corner in plan.stage.outline],
        }
    if compact:
        document["flags"] = list(FLAGS)
    sections, first = [], 1
    for section in plan.sections:
        rows = []
        for row in section.rows:
            rows.append(_columns(section, row, first) if compact else _objects(plan, row, first))
            first += len(row.seats)
        sections.append(
            {
                "name": section.name,
                "standing": section.standing,
                "outline": [_point(corner) for corner in section.outline],
                "rows": rows,
            }
        )
    document["sections"] = sections
    return document


def flag_names(bits: int) -> list[str]:
    """The words that stand for the bits."""
    return [name for bit, name in enumerate(FLAGS) if bits >> bit & 1]


def _categories(plan: Plan, prices: Sequence[int] | None) -> list[dict[str, Any]]:
    if prices is None:
        return [{"name": one.name, "color": one.color} for one in plan.categories]
    return [
        {"name": one.name, "price": price, "color": one.color}
        for one, price in zip(plan.categories, prices, strict=True)
    ]


def _objects(plan: Plan, row: Row, first: int) -> dict[str, Any]:
    seats = [
        {
            "seat_no": first + index,
            "label": label,
            "x": length(row.xs[index]),
            "y": length(row.ys[index]),
            "category": plan.categories[row.categories[index]].name,
            "flags": flag_names(row.flags[index]),
        }
        for index, label in enumerate(row.seats)
    ]
    return {"label": row.label, "seats": seats}


def _columns(section: Section, row: Row, first: int) -> dict[str, Any]:
    flags = {str(index): bits for index, bits in enumerate(row.flags) if bits}
    one_category = len(set(row.categories)) == 1
    columns: dict[str, Any] = {
        "label": row.label,
        "count": len(row.seats),
        "first": first,
        "seats": _labels(row.seats),
        "category": row.categories[0] if one_category else list(row.categories),
        "x": _steps(row.xs),
        "y": _steps(row.ys),
    }
    if flags:
        columns["flags"] = flags
    return columns


def _labels(labels: tuple[str, ...]) -> Any:
    """Labels that count on as where they begin, and the step where it is not 1."""
    if all(_is_number(label) for label in labels):
        numbers = [int(label) for label in labels]
        step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
        if numbers == [numbers[0] + step * index for index in range(len(numbers))] and step:
            return numbers[0] if step == 1 else {"from": numbers[0], "step": step}
    return list(labels)


def _is_number(label: str) -> bool:
    """Whether a label is a number, written as numbers are: no sign, no zero in front."""
    return label.isascii() and label.isdecimal() and str(int(label)) == label and len(label) <= 6


def _steps(values: tuple[int, ...]) -> list[int]:
    """The first value and the differences, without those at the end that go on as before."""
    steps = [values[0], *(b - a for a, b in pairwise(values))]
    while len(steps) > 2 and steps[-1] == steps[-2]:
        steps.pop()
    return steps[:1] if steps[1:] == [0] else steps


def _point(point: Point) -> list[int | float]:
    return [length(point[0]), length(point[1])]


def length(tenths: int) -> int | float:
    """Tenths as the number that they are: whole where they are."""
    whole, rest = divmod(tenths, 10)
    return tenths / 10 if rest else whole
