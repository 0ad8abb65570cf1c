"""JSON calls about concerts, dates and seats."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from flask import Response

from concert.api.door import (
    Written,
    answer,
    answers,
    new_door,
    queue_token,
    security,
    takes,
    written,
)
from concert.api.schemas import (
    ConcertAnswer,
    ConcertPath,
    ConcertsAnswer,
    DatesAnswer,
    Page,
    SeatsAnswer,
    WhichDate,
)
from concert.catalogue.labels import category_prices
from concert.catalogue.service import (
    Concert,
    Listed,
    Performance,
    concert_listed,
    concert_of,
    find_performance,
    list_concerts,
    require_on_sale,
)
from concert.reservations.service import SEAT_STATES, STATES, seat_limit_of, seat_prices
from concert.reservations.snapshots import Reading, seats_lately
from concert.waiting_room.service import enter

door = new_door("catalogue", "What is on sale.")


@door.get(
    "/concerts", summary="Concerts, newest first", responses=answers({200: ConcertsAnswer}, 400)
)
def get_concerts(query: Page) -> Response:
    """Give `next` as `cursor` to get the page after."""
    listed, cursor = list_concerts(query.cursor, query.limit)
    return answer({"concerts": [listed_document(one) for one in listed], "next": cursor})


@door.get(
    "/concerts/<concert_id>",
    summary="One concert",
    responses=answers({200: ConcertAnswer}, 400, 404),
)
def get_concert(path: ConcertPath) -> Response:
    """What is played, where, when, and whether it is on sale."""
    return answer(listed_document(concert_listed(path.concert_id)))


@door.get(
    "/concerts/<concert_id>/dates",
    summary="The dates that can be booked now, with seats left",
    security=security("queue"),
    responses=answers({200: DatesAnswer}, 400, 401, 403, 404),
)
@takes("queue", admitted=True)
def get_dates(path: ConcertPath) -> Response:
    """For those whose turn it is."""
    concert = concert_of(path.concert_id)
    enter(queue_token(), concert.room)
    dates = concert.bookable(datetime.now(UTC))
    readings = seats_lately([date.performance_id for date in dates])
    documents = [date_document(*one) for one in zip(dates, readings, strict=True)]
    return answer({"dates": documents})


@door.get(
    "/concerts/<concert_id>/seats",
    summary="Seats with number, price and state",
    security=security("queue"),
    responses=answers({200: SeatsAnswer}, 400, 401, 403, 404),
)
@takes("queue", admitted=True)
def get_seats(path: ConcertPath, query: WhichDate) -> Written:
    """Without a date: every date that can be booked now, with its seats."""
    concert = concert_of(path.concert_id)
    token = queue_token()
    enter(token, concert.room)
    if query.date is None and query.performance_id is None:
        dates = concert.bookable(datetime.now(UTC))
    else:
        dates = [find_performance(concert, date=query.date, performance_id=query.performance_id)]
        require_on_sale(dates[0])
    readings = seats_lately([date.performance_id for date in dates])
    shown = [
        seats_json(date, reading, token.user_id)
        for date, reading in zip(dates, readings, strict=True)
    ]
    return written(b'{"dates":[' + b",".join(shown) + b"]}")


def performance_document(performance: Performance) -> dict[str, Any]:
    """A performance as JSON shows it."""
    return {
        "performance_id": performance.performance_id,
        "date": performance.date,
        "starts_at": performance.starts_at,
        "price": performance.price,
        "capacity": performance.capacity,
        "sales_open_at": performance.sales_open_at,
        "sales_close_at": performance.sales_close_at,
        "seat_limit": seat_limit_of(performance),
        "returns_until": performance.returns_until,
        "hall": performance.hall_id,
        "prices": category_prices(performance),
        "plan": _plan_links(performance),
        "lone_seats": performance.lone_seats,
        "cancelled_at": performance.cancelled_at,
    }


def _plan_links(performance: Performance) -> dict[str, str] | None:
    version = performance.plan_version
    if version is None:
        return None
    url = f"/v1/performances/{performance.performance_id}/plan?v={version}"
    return {"version": version, "url": url, "compact_url": f"{url}&form=compact"}


def date_document(performance: Performance, reading: Reading) -> dict[str, Any]:
    """The same with the seats left."""
    left: dict[str, Any] = {
        state: reading.letters.count(letter) for letter, state in STATES.items()
    }
    return {**performance_document(performance), **left}


@dataclass(frozen=True, slots=True)
class SeatList:
    """A reading of a performance's seats as JSON: in one piece as nobody's own, and seat by seat."""

    head: bytes
    seats: list[bytes]
    each: list[dict[str, bytes]]
    whole: bytes


def seats_json(performance: Performance, reading: Reading, user_id: UUID) -> bytes:
    """A performance's seats as JSON shows them to this user.

    Nearly everybody who looks owns none of them and gets the same bytes.
    """
    shown: SeatList | None = reading.shown.get("json")
    if shown is None:
        shown = reading.shown["json"] = _seat_list(performance, reading.letters)
    mine = reading.own_seats(user_id)
    if not mine:
        return shown.whole
    seats = shown.seats.copy()
    for seat_no in mine:
        seats[seat_no - 1] = shown.each[seat_no - 1][reading.letters[seat_no - 1].upper()]
    return shown.head + b",".join(seats) + b"]}"


def _seat_list(performance: Performance, letters: str) -> SeatList:
    each = _written_seats(seat_prices(performance.performance_id, len(letters)))
    # Seats may have been taken away since they were read; those that have somebody never are.
    seats = [seat[letter] for seat, letter in zip(each, letters, strict=False)]
    about = {"performance_id": performance.performance_id, "date": performance.date}
    head = orjson.dumps(about)[:-1] + b',"seats":['
    return SeatList(head, seats, each, head + b",".join(seats) + b"]}")


@lru_cache(maxsize=64)
def _written_seats(prices: tuple[int, ...]) -> list[dict[str, bytes]]:
    """Each seat as JSON in each of its states: a house of fifty is shown thousands of times."""
    return [
        {
            written: orjson.dumps(
                {"seat_no": number, "price": price, "state": state, "mine": written.isupper()}
            )
            for letter, state in SEAT_STATES.items()
            for written in (letter, letter.upper())
        }
        for number, price in enumerate(prices, 1)
    ]


def concert_document(concert: Concert) -> dict[str, Any]:
    """A concert as JSON shows it, but for whether it is on sale."""
    return {
        "id": concert.concert_id,
        "title": concert.title,
        "venue": concert.venue,
        "room": concert.room,
        **asdict(concert.texts),
        "dates": [performance_document(performance) for performance in concert.performances],
    }


def listed_document(listed: Listed) -> dict[str, Any]:
    """A concert as JSON shows it."""
    return {**concert_document(listed.concert), "sales": listed.sales}
