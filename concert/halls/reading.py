"""Reading files of plans: which kind one is, and our own document in both of its forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import PurePath
from typing import Any

import orjson

from concert.halls import pretix, table
from concert.halls.draft import (
    DraftPlan,
    DraftRow,
    DraftSeat,
    DraftSection,
    PlanRefused,
    Spot,
    checked,
)
from concert.halls.plan import FLAGS, LARGEST_PLAN, Plan

# Somebody who sends more is not sending a hall.
LARGEST_FILE = 16 * 1024 * 1024
MOST_ROWS = 20_000


def read_file(name: str, content: bytes, called: str | None = None) -> Plan:
    """The plan in a file: CSV where its name ends so, JSON of ours or of pretix otherwise.

    Raises:
        PlanRefused: there is none in it that can be used.
    """
    if len(content) > LARGEST_FILE:
        raise PlanRefused([f"the file is larger than {LARGEST_FILE // 1024 // 1024} MB"])
    if name.lower().endswith(".csv"):
        return checked(table.draft_of(content, called or PurePath(name).stem))
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise PlanRefused([f"the file is not JSON: {error}"]) from error
    return read_document(document, called)


def read_document(document: Any, called: str | None = None) -> Plan:
    """The plan in a JSON document, of ours or of pretix; ``called`` is its name in place of its own.

    Raises:
        PlanRefused: there is none in it that can be used.
    """
    if not isinstance(document, dict):
        raise PlanRefused(["the document is no JSON object"])
    draft = pretix.draft_of(document) if "zones" in document else _draft_of(document)
    if called is not None:
        draft.name = called
    return checked(draft)


def _draft_of(document: Mapping[str, Any]) -> DraftPlan:
    categories: dict[str, str | None] = {}
    for number, one in enumerate(_list(document, "categories", "the plan")):
        where = f"category {number + 1}"
        category = _mapping(one, where)
        name = _text(category, "name", where)
        if name in categories:
            raise PlanRefused([f"category {name!r} is there twice"])
        categories[name] = category.get("color") and _text(category, "color", where).lower()
    flags = document.get("flags", FLAGS)
    if not isinstance(flags, Sequence) or not all(isinstance(flag, str) for flag in flags):
        raise PlanRefused(["flags is a list of words"])
    reader = _Rows(list(categories), list(flags))
    sections = []
    for number, one in enumerate(_list(document, "sections", "the plan")):
        sections.append(reader.section(_mapping(one, f"section {number + 1}"), number + 1))
    return DraftPlan(_text(document, "name", "the plan"), categories, sections, _stage(document))


def _stage(document: Mapping[str, Any]) -> tuple[str, list[Spot]] | None:
    if document.get("stage") is None:
        return None
    stage = _mapping(document["stage"], "the stage")
    label = _text(stage, "label", "the stage") if "label" in stage else "Stage"
    return label, _spots(stage.get("outline"), "the stage")


class _Rows:
    """Reads sections; knows the categories, and the flags in the order of their bits."""

    def __init__(self, categories: list[str], flags: list[str]) -> None:
        self._categories = categories
        self._flags = flags
        self._seats = 0
        self._rows = 0

    def section(self, section: Mapping[str, Any], number: int) -> DraftSection:
        name = _text(section, "name", f"section {number}")
        where = f"section {name!r}"
        standing = section.get("standing", False)
        if not isinstance(standing, bool):
            raise PlanRefused([f"{where}: standing is true or false"])
        outline = section.get("outline")
        rows = [
            self._row(_mapping(row, f"{where}, a row"), where)
            for row in _list(section, "rows", where)
        ]
        return DraftSection(
            name, rows, None if outline is None else _spots(outline, where), standing
        )

    def _row(self, row: Mapping[str, Any], where: str) -> DraftRow:
        label = _text(row, "label", f"{where}, a row")
        here = f"{where}, row {label!r}"
        self._rows += 1
        if self._rows > MOST_ROWS:
            raise PlanRefused([f"it has more than {MOST_ROWS:,} rows"])
        if "seats" in row and "count" not in row:
            seats = _list(row, "seats", here)
            self._count(len(seats))
            return DraftRow(label, [self._seat(_mapping(one, here), here) for one in seats])
        return DraftRow(label, list(self._columns(row, here)))

    def _seat(self, seat: Mapping[str, Any], here: str) -> DraftSeat:
        label = _text(seat, "label", f"{here}, a seat")
        where = f"{here}, seat {label!r}"
        flags = seat.get("flags") or []
        if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
            raise PlanRefused([f"{where}: flags is a list of words"])
        spot = _number(seat.get("x"), where), _number(seat.get("y"), where)
        return DraftSeat(label, spot, _text(seat, "category", where), flags)

    def _columns(self, row: Mapping[str, Any], here: str) -> Iterator[DraftSeat]:
        count = _whole(row.get("count"), f"{here}: count")
        self._count(count)
        if count < 1:
            return
        labels = self._labels(row.get("seats"), count, here)
        xs = _positions(row.get("x"), count, f"{here}: x")
        ys = _positions(row.get("y"), count, f"{here}: y")
        categories = self._category_names(row.get("category"), count, here)
        flags = self._flags_of(row.get("flags", {}), count, here)
        for index in range(count):
            spot = xs[index] / 10, ys[index] / 10
            yield DraftSeat(labels[index], spot, categories[index], flags.get(index, ()))

    def _count(self, seats: int) -> None:
        """Stop at once where a file says that it has millions."""
        self._seats += max(0, seats)
        if self._seats > LARGEST_PLAN:
            raise PlanRefused(
                [f"it has more than {LARGEST_PLAN:,} seats; a hall has 1 to {LARGEST_PLAN:,}"]
            )

    def _labels(self, told: Any, count: int, here: str) -> list[str]:
        if isinstance(told, list):
            if len(told) != count or not all(isinstance(label, str) for label in told):
                raise PlanRefused([f"{here}: seats has {count} labels"])
            return told
        step = 1
        if isinstance(told, dict):
            step = _whole(told.get("step", 1), f"{here}: step")
            told = told.get("from")
        first = _whole(told, f"{here}: seats")
        return [str(first + index * step) for index in range(count)]

    def _category_names(self, told: Any, count: int, here: str) -> list[str]:
        indexes = told if isinstance(told, list) else [told] * count
        if len(indexes) != count:
            raise PlanRefused([f"{here}: category is one index, or {count}"])
        names = []
        for one in indexes:
            index = _whole(one, f"{here}: category")
            if not 0 <= index < len(self._categories):
                raise PlanRefused([f"{here}: there is no category {index}"])
            names.append(self._categories[index])
        return names

    def _flags_of(self, told: Any, count: int, here: str) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for key, value in _mapping(told, f"{here}: flags").items():
            bits = _whole(value, f"{here}: flags")
            is_index = key.isascii() and key.isdecimal() and len(key) < 6 and int(key) < count
            if not is_index or not 0 <= bits < 1 << len(self._flags):
                raise PlanRefused([f"{here}: flags are bits, by the place in the row"])
            found[int(key)] = [name for bit, name in enumerate(self._flags) if bits >> bit & 1]
        return found


def _positions(told: Any, count: int, where: str) -> list[int]:
    """Where the seats of a row are along an axis, from the first and the differences."""
    if not isinstance(told, list) or not 1 <= len(told) <= count:
        raise PlanRefused([f"{where} is a list of 1 to {count} whole tenths"])
    steps = [_whole(one, where) for one in told]
    last = steps[-1] if len(steps) > 1 else 0
    return list(accumulate([*steps, *[last] * (count - len(steps))]))


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PlanRefused([f"{where} is no JSON object"])
    return value


def _list(mapping: Mapping[str, Any], name: str, where: str) -> list[Any]:
    value = mapping.get(name)
    if not isinstance(value, list):
        raise PlanRefused([f"{where}: {name} is a list"])
    return value


def _text(mapping: Mapping[str, Any], name: str, where: str) -> str:
    value = mapping.get(name)
    if not isinstance(value, str):
        raise PlanRefused([f"{where}: {name} is a text"])
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PlanRefused([f"{where}: coordinates are numbers"])
    return float(value)


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 10**9:
        raise PlanRefused([f"{where} is a whole number"])
    return value


def _spots(value: Any, where: str) -> list[Spot]:
    if not isinstance(value, list):
        raise PlanRefused([f"{where}: outline is a list of points"])
    spots = []
    for one in value:
        if not isinstance(one, list) or len(one) != 2:
            raise PlanRefused([f"{where}: a point is [x, y]"])
        spots.append((_number(one[0], where), _number(one[1], where)))
    return spots
