"""What a seat is called: the one place that knows, for pages, tickets and JSON, in both languages.

Where a performance has a hall plan, by the plan: "Balcony, row C, seat 12". Where it has none,
by its number: "seat 12".
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from concert.catalogue.seating import rows_of
from concert.catalogue.service import Performance, hall_of_performance
from concert.halls import service as halls
from concert.halls.best import Layout
from concert.halls.plan import Place, Plan

LANGUAGES = ("ko", "en")

# Not Flask-Babel's: JSON says both at once, and streams and jobs speak no language.
NUMBER = {"en": "seat {seat}", "ko": "{seat}번 좌석"}
PARTS = {
    "en": {"row": "row {row}", "seat": "seat {seat}", "place": "place {seat}", "and": ", "},
    "ko": {"row": "{row}열", "seat": "{seat}번", "place": "스탠딩 {seat}번", "and": " "},
}


def plan_of_performance(performance: Performance) -> Plan | None:
    """The plan of the hall in which it is played; None for the usual hall.

    Raises:
        Unavailable: PostgreSQL cannot be reached, and this process has not read the plan yet.
    """
    return None if performance.hall_id is None else halls.plan_of(performance.hall_id)


def layout_of_performance(performance: Performance, seats: int | None = None) -> Layout:
    """The same as choosing seats sees it; of the usual hall, too.

    ``seats`` is how many there are where that has been read just now: the usual hall may have been
    enlarged since the performance was read.
    """
    if performance.hall_id is not None:
        return halls.layout_of_hall(performance.hall_id)
    return usual_layout(seats or performance.capacity, performance.row_seats)


def category_prices(performance: Performance) -> dict[str, int] | None:
    """What each category of the hall costs (won); None for the usual hall, which has one price."""
    plan = plan_of_performance(performance)
    if plan is None or performance.prices is None:
        return None
    names = (category.name for category in plan.categories)
    return dict(zip(names, performance.prices, strict=True))


def place_of_seat(hall_id: int | None, seat_no: int) -> Place | None:
    """Section, row and number within the row of a seat in a hall; None for the usual one."""
    return None if hall_id is None else halls.plan_of(hall_id).places[seat_no - 1]


def seat_label(hall_id: int | None, seat_no: int, language: str) -> str:
    """What one seat is called in a hall; ``hall_id`` is None for the usual one."""
    place = place_of_seat(hall_id, seat_no)
    if place is None:
        return NUMBER[language].format(seat=seat_no)
    return label_of(place, language)


def label_of(place: Place, language: str) -> str:
    """What the seat at a place of a plan is called."""
    words = PARTS[language]
    parts = [place.section] if place.section else []
    if place.row:
        parts.append(words["row"].format(row=place.row))
    parts.append(words["place" if place.standing else "seat"].format(seat=place.seat))
    return _begun(words["and"].join(parts))


def seat_labels(hall_id: int | None, seat_nos: Iterable[int], language: str) -> str:
    """What several seats are called, one after another."""
    return "; ".join(seat_label(hall_id, seat_no, language) for seat_no in seat_nos)


def called_in_json(performance_id: int, seat_no: int) -> dict[str, object]:
    """What a seat is called as JSON shows it; nothing where there is no plan."""
    hall_id = hall_of_performance(performance_id)
    place = place_of_seat(hall_id, seat_no)
    if place is None:
        return {}
    label = {language: seat_label(hall_id, seat_no, language) for language in LANGUAGES}
    return {"section": place.section, "row": place.row, "seat": place.seat, "label": label}


def _begun(label: str) -> str:
    """A label that begins with a word of ours, as one that begins with a name: with a capital."""
    return label[:1].upper() + label[1:]


@lru_cache(maxsize=256)
def usual_layout(capacity: int, row_seats: int | None = None) -> Layout:
    """Rows of one length from the stage back, about the middle; the last takes what is left."""
    rows = rows_of(capacity, row_seats)
    middle = (len(rows[0].seat_nos) - 1) / 2
    return Layout(
        tuple(row.seat_nos for row in rows),
        tuple(float(index) - middle for row in rows for index in range(len(row.seat_nos))),
        tuple(float(depth) for depth, row in enumerate(rows) for _ in row.seat_nos),
        (0,) * capacity,
        (0,) * capacity,
    )
