"""Pages of what is on: the front page, and each concert with its dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from flask import Response, request

from concert.catalogue.service import Concert, Listed, Sales, concert_listed, list_concerts
from concert.ground.errors import Unavailable
from concert.reservations.service import seat_counts
from concert.waiting_room.doors import Doors, doors_of
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import list_rooms, room_of
from concert.web.door import kept_queue_token, new_pages, render
from concert.web.waiting_room import my_place

pages = new_pages("concerts")

PAGE_SIZE = 20
# In this order on the front page.
ORDER = ("on_sale", "upcoming", "sold_out", "ended")


@dataclass(frozen=True, slots=True)
class Shown:
    """A concert as pages show it: what is sold, and what the room in front of it says.

    ``sales`` is ``upcoming``, too, where seats are on sale behind doors that open later;
    ``opens_at`` is when the later of the two begins, ``by_doors`` where that is the doors.
    """

    concert: Concert
    sales: Sales
    doors: Doors
    opens_at: datetime | None
    by_doors: bool
    can_join: bool


@pages.get("/")
def home() -> Response:
    """What is on sale, what will be, and what was."""
    now = datetime.now(UTC)
    listed, after = list_concerts(request.args.get("after", type=int), PAGE_SIZE)
    rooms = {room.slug: room for room in list_rooms()}
    shown = [_shown(one, rooms[one.concert.room], now) for one in listed]
    shown.sort(key=lambda one: (ORDER.index(one.sales), _next_moment(one)))
    sections = [(sales, list(ones)) for sales, ones in groupby(shown, lambda one: one.sales)]
    return render("catalogue/home.html", sections=sections, after=after)


@pages.get("/concerts/<int:concert_id>")
def show(concert_id: int) -> Response:
    """A concert with its dates, its seats left, and the way into its line."""
    now = datetime.now(UTC)
    listed = concert_listed(concert_id)
    concert = listed.concert
    counts = seat_counts([performance.performance_id for performance in concert.performances])
    has_token = False
    try:
        place = my_place(concert.room)
    except Unavailable:
        # The page tells more than where somebody stands; whoever has a token surely stands somewhere.
        place, has_token = None, kept_queue_token(concert.room) is not None
    return render(
        "catalogue/concert.html",
        concert=concert,
        shown=_shown(listed, room_of(concert.room), now),
        counts=counts,
        left=sum(
            counts[performance.performance_id].available
            for performance in concert.performances
            if performance.on_sale(now)
        ),
        place=place,
        has_token=has_token,
    )


def _shown(listed: Listed, room: Room, now: datetime) -> Shown:
    doors = doors_of(room, now)
    begins = _sales_open(listed.concert, now) if listed.sales == "upcoming" else None
    behind_doors = listed.sales == "on_sale" and doors.state == "later"
    moments = [moment for moment in (begins, doors.opens_at) if moment]
    opens_at = max(moments, default=None) if begins or behind_doors else None
    return Shown(
        concert=listed.concert,
        sales="upcoming" if behind_doors else listed.sales,
        doors=doors,
        opens_at=opens_at,
        by_doors=opens_at is not None and opens_at == doors.opens_at,
        # A line that lets people in already is no place to wait for a sale that has not begun.
        can_join=listed.sales == "on_sale"
        or (listed.sales == "upcoming" and doors.opens_at is not None),
    )


def _sales_open(concert: Concert, now: datetime) -> datetime | None:
    """When the next of a concert's dates goes on sale."""
    opening = [one.sales_open_at for one in concert.performances if one.sales_open_at > now]
    return min(opening, default=None)


def _next_moment(one: Shown) -> datetime:
    """By what a concert is sorted: when its sales open, or when it is played."""
    starts = (performance.starts_at for performance in one.concert.performances)
    return one.opens_at or min(starts, default=datetime.max.replace(tzinfo=UTC))
