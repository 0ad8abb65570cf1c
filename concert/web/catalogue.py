"""Pages of what is on: the front page, and each concert with its dates."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby

from flask import Response, request

from concert.catalogue.service import Listed, concert_listed, list_concerts
from concert.reservations.service import seat_counts
from concert.waiting_room.rooms import Room, room_of
from concert.web.door import new_pages, queue_token, render

pages = new_pages("concerts")

PAGE_SIZE = 20
# In this order on the front page.
ORDER = ("on_sale", "upcoming", "sold_out", "ended")


@pages.get("/")
def home() -> Response:
    """What is on sale, what will be, and what was."""
    listed, after = list_concerts(request.args.get("after", type=int), PAGE_SIZE)
    listed.sort(key=lambda one: (ORDER.index(one.sales), _next_moment(one)))
    sections = [(sales, list(ones)) for sales, ones in groupby(listed, lambda one: one.sales)]
    return render("catalogue/home.html", sections=sections, after=after, opening_of=opening_of)


@pages.get("/concerts/<int:concert_id>")
def show(concert_id: int) -> Response:
    """A concert with its dates, its seats left, and the way into its line."""
    listed = concert_listed(concert_id)
    concert = listed.concert
    counts = seat_counts([performance.performance_id for performance in concert.performances])
    room = room_of(concert.room)
    return render(
        "catalogue/concert.html",
        concert=concert,
        sales=listed.sales,
        counts=counts,
        left=sum(
            counts[performance.performance_id].available
            for performance in concert.performances
            if performance.on_sale(datetime.now(UTC))
        ),
        opens_at=opening_of(listed),
        room=room,
        can_join=_can_join(listed, room),
        in_line=queue_token(concert.room) is not None,
    )


def opening_of(listed: Listed) -> datetime | None:
    """When the next of a concert's dates goes on sale."""
    now = datetime.now(UTC)
    opening = [one.sales_open_at for one in listed.concert.performances if one.sales_open_at > now]
    return min(opening, default=None)


def _can_join(listed: Listed, room: Room) -> bool:
    """A line that lets people in already is no place to wait for a sale that has not begun."""
    if listed.sales == "upcoming":
        return room.opens_at is not None and room.opens_at > datetime.now(UTC)
    return listed.sales == "on_sale"


def _next_moment(listed: Listed) -> datetime:
    """By what a concert is sorted: when its sales open, or when it is played."""
    opens_at = opening_of(listed) if listed.sales == "upcoming" else None
    starts = (performance.starts_at for performance in listed.concert.performances)
    return opens_at or min(starts, default=datetime.max.replace(tzinfo=UTC))
