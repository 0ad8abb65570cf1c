"""Reading pretix' seating plans: zones become sections, and an area that says so the stage.

Their schema is public (``seating-plan.schema.json`` in pretix' repository). Positions of seats are
relative to their row, and rows' to their zone. What we have no use for is passed over: GUIDs,
radii, colours of areas, and areas that are not the stage.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from concert.halls.draft import (
    COLOR,
    LONGEST_NAME,
    DraftPlan,
    DraftRow,
    DraftSeat,
    DraftSection,
    PlanRefused,
    Spot,
)
from concert.halls.plan import LARGEST_PLAN

STAGE_WORDS = re.compile(r"stage|bühne|scène|scene|escenario|palco|podium|무대", re.IGNORECASE)
ELLIPSE_CORNERS = 32


def draft_of(document: Mapping[str, Any]) -> DraftPlan:
    """The plan as the file has it.

    Raises:
        PlanRefused: something is not of the kind that their schema says.
    """
    categories: dict[str, str | None] = {}
    for one in _things(document, "categories"):
        color = one.get("color")
        known = color if isinstance(color, str) and COLOR.fullmatch(color.lower()) else None
        categories[_words(one, "name", "a category")] = known and known.lower()
    sections: list[DraftSection] = []
    stage: tuple[str, list[Spot]] | None = None
    seats = 0
    for number, zone in enumerate(_things(document, "zones"), 1):
        name = _unused(str(zone.get("name") or "").strip() or f"Zone {number}", sections)
        origin = _position(zone.get("position"), f"zone {name!r}")
        rows = []
        for row in _things(zone, "rows"):
            rows.append(_row(row, origin, f"zone {name!r}"))
            seats += len(rows[-1].seats)
            if seats > LARGEST_PLAN:
                raise PlanRefused([f"it has more than {LARGEST_PLAN:,} seats"])
        sections.append(DraftSection(name, rows))
        for area in _things(zone, "areas"):
            stage = stage or _stage(area, origin)
    return DraftPlan(_words(document, "name", "the plan").strip(), categories, sections, stage)


def _row(row: Mapping[str, Any], origin: Spot, where: str) -> DraftRow:
    label = str(row.get("row_number") or "").strip()
    where = f"{where}, row {label!r}"
    x, y = _position(row.get("position") or {"x": 0, "y": 0}, where)
    seats = []
    for seat in _things(row, "seats"):
        number = _words(seat, "seat_number", f"{where}, a seat").strip()
        dx, dy = _position(seat.get("position"), f"{where}, seat {number!r}")
        spot = origin[0] + x + dx, origin[1] + y + dy
        seats.append(DraftSeat(number, spot, _words(seat, "category", f"{where}, seat {number!r}")))
    return DraftRow(label, seats)


def _stage(area: Mapping[str, Any], origin: Spot) -> tuple[str, list[Spot]] | None:
    """An area whose text says that it is the stage; None for any other."""
    text = area.get("text")
    told = text.get("text") if isinstance(text, dict) else text
    if not isinstance(told, str) or not STAGE_WORDS.search(told):
        return None
    x, y = _position(area.get("position") or {"x": 0, "y": 0}, "the stage")
    outline = _shape(area)
    if outline is None:
        return None
    turn = math.radians(_number(area.get("rotation") or 0, "the stage"))
    cos, sin = math.cos(turn), math.sin(turn)
    corners = [
        (origin[0] + x + dx * cos - dy * sin, origin[1] + y + dx * sin + dy * cos)
        for dx, dy in outline
    ]
    return " ".join(told.split())[:LONGEST_NAME].strip(), corners


def _shape(area: Mapping[str, Any]) -> list[Spot] | None:
    """The corners of an area around its position; None for a text that stands alone."""
    where = "the stage"
    match area.get("shape"):
        case "polygon":
            points = _mapping(area.get("polygon"), where).get("points")
            return (
                [_position(point, where) for point in points] if isinstance(points, list) else None
            )
        case "circle":
            radius = _number(_mapping(area.get("circle"), where).get("radius"), where)
            return _ellipse(radius, radius)
        case "ellipse":
            return _ellipse(*_position(_mapping(area.get("ellipse"), where).get("radius"), where))
        case "text":
            return None
        case _:
            # Of the schema's first version, an area is a rectangle and has its size itself.
            size = area.get("rectangle") or area
            width = _number(_mapping(size, where).get("width"), where)
            height = _number(_mapping(size, where).get("height"), where)
            return [(0, 0), (width, 0), (width, height), (0, height)]


def _ellipse(width: float, height: float) -> list[Spot]:
    turns = [2 * math.pi * index / ELLIPSE_CORNERS for index in range(ELLIPSE_CORNERS)]
    return [(width * math.cos(turn), height * math.sin(turn)) for turn in turns]


def _unused(name: str, sections: list[DraftSection]) -> str:
    """The name, with a number where another section is called so: zones may share one."""
    taken = {section.name for section in sections}
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name} {number}"
    return found


def _things(mapping: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = mapping.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise PlanRefused([f"{name} is a list of objects"])
    return value


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PlanRefused([f"{where}: an object is missing"])
    return value


def _words(mapping: Mapping[str, Any], name: str, where: str) -> str:
    value = mapping.get(name)
    if not isinstance(value, str):
        raise PlanRefused([f"{where}: {name} is a text"])
    return value


def _position(value: Any, where: str) -> Spot:
    position = _mapping(value, f"{where}: position")
    return _number(position.get("x"), where), _number(position.get("y"), where)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PlanRefused([f"{where}: coordinates are numbers"])
    return float(value)
