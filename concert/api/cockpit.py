"""JSON calls for whoever watches a sale: how a date sells, and every room with its state."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flask import Response
from pydantic import BaseModel, Field

from concert.api.door import answer, answers, for_staff, new_door
from concert.api.organiser import room_document
from concert.api.schemas import Asked, Decimal, RoomAnswer, SeatsBehindAnswer
from concert.api.waiting_room import seats_document
from concert.overview.cockpit import DateSales, SaleNow, rooms_now, sales_of_performance
from concert.staff.access import needs
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import RoomState

door = new_door("cockpit", "How sales stand; for whoever runs them.")


class PerformancePath(Asked):
    performance_id: Decimal = Field(ge=1, le=2**63 - 1, json_schema_extra={"example": 1})


class PriceSalesAnswer(BaseModel):
    price: int = Field(description="Won.", json_schema_extra={"example": 50_000})
    categories: list[str] = Field(
        description="The categories of the hall plan that cost so much; none where there is no plan."
    )
    free: int
    held: int
    sold: int


class HoldsAnswer(BaseModel):
    live: int = Field(description="Held at this moment.")
    paid: int
    lapsed: int
    released: int
    paid_share: float | None = Field(
        description="Of the reservations that are decided, the share that was paid; null where none is."
    )


class SalesAnswer(BaseModel):
    performance_id: int
    concert_id: int
    date: dt.date
    free: int
    held: int
    sold: int
    revenue: int = Field(description="Won that were paid.")
    refunded: int = Field(description="Won of these that were given back.")
    by_price: list[PriceSalesAnswer]
    holds: HoldsAnswer
    sold_per_minute: float | None = Field(
        description="Seats sold a minute, as measured; null until there is a measure, and while nobody is let in."
    )
    sold_out_at: dt.datetime | None = Field(
        description="When the last seat is sold at this pace; null where that is not known."
    )


class RoomStateAnswer(RoomAnswer):
    waiting: int | None = Field(description="People in line; null where Redis cannot be asked.")
    inside: int | None = Field(description="People whose turn it is.")
    joined: int | None
    admitted: int | None
    completed: int | None
    expired: int | None
    left: int | None
    admissions_per_minute: float | None
    resumes_at: dt.datetime | None
    seats: SeatsBehindAnswer | None


class RoomsAnswer(BaseModel):
    rooms: list[RoomStateAnswer]


@door.get(
    "/performances/<performance_id>/sales",
    summary="How a date sells",
    security=for_staff("box-office"),
    responses=answers({200: SalesAnswer}, 400, 401, 403, 404, 429),
)
@needs("box-office")
def get_sales(path: PerformancePath) -> Response:
    """Seats, money and pace, at most a second old."""
    return answer(sales_document(*sales_of_performance(path.performance_id)))


@door.get(
    "/rooms",
    summary="Every room with its state",
    security=for_staff("box-office"),
    responses=answers({200: RoomsAnswer}, 401, 403, 429),
)
@needs("box-office")
def get_rooms() -> Response:
    """By name; at most a second old."""
    return answer({"rooms": [room_state_document(room, line) for room, line in rooms_now()]})


def sales_document(date: DateSales, sale: SaleNow) -> dict[str, Any]:
    """How a date sells as JSON shows it."""
    holds, share = date.holds, date.holds.paid_share
    return {
        "performance_id": date.performance.performance_id,
        "concert_id": date.concert.concert_id,
        "date": date.performance.date,
        "free": date.seats.free,
        "held": date.seats.held,
        "sold": date.seats.sold,
        "revenue": date.revenue,
        "refunded": date.refunded,
        "by_price": [
            {
                "price": one.price,
                "categories": one.categories,
                "free": one.seats.free,
                "held": one.seats.held,
                "sold": one.seats.sold,
            }
            for one in date.by_price
        ],
        "holds": {
            "live": holds.live,
            "paid": holds.paid,
            "lapsed": holds.lapsed,
            "released": holds.released,
            "paid_share": None if share is None else round(share, 4),
        },
        "sold_per_minute": sale.forecast.per_minute if sale.forecast else None,
        "sold_out_at": sale.sold_out_at,
    }


def room_state_document(room: Room, line: RoomState | None) -> dict[str, Any]:
    """A room's settings and state as JSON shows them."""
    counts = ("waiting", "inside", "joined", "admitted", "completed", "expired", "left")
    told = (*counts, "admissions_per_minute", "resumes_at")
    return {
        **room_document(room),
        **{name: getattr(line, name) if line else None for name in told},
        "seats": seats_document(line.seats) if line else None,
    }
