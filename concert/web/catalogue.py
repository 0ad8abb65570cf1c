"""Pages of what is on: the front page, and each concert with its dates."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from flask import Response, request

from concert.catalogue.service import Concert
from concert.covers.service import look_up
from concert.ground.errors import Unavailable
from concert.overview.sales import Sale, SaleState, list_sales, sale_of
from concert.waiting_room.doors import Doors, doors_of
from concert.web.door import kept_queue_token, new_pages, render
from concert.web.shared import render_shared
from concert.web.waiting_room import my_place

pages = new_pages("concerts")

PAGE_SIZE = 20
# In this order on the front page; what is all held is among what is on sale.
ORDER = ("open", "upcoming", "sold_out", "ended")


@dataclass(frozen=True, slots=True)
class Shown:
    """A concert as pages show it: how its sale stands, and what the room in front of it says.

    ``state`` is ``upcoming``, too, where seats are on sale behind doors that open later;
    ``opens_at`` is when the later of the two begins, ``by_doors`` where that is the doors.
    ``stands_by``: to join is to stand by for seats that come back; pages say so before.
    """

    concert: Concert
    state: SaleState
    free: int
    doors: Doors
    opens_at: datetime | None
    by_doors: bool
    can_join: bool
    stands_by: bool

    @property
    def section(self) -> str:
        """Among what it is shown on the front page."""
        return "open" if self.state == "all_held" else self.state


@pages.get("/")
def home() -> Response:
    """What is on sale, what will be, and what was."""
    sales, after = list_sales(request.args.get("after", type=int), PAGE_SIZE)
    return render_shared(
        "catalogue/home.html",
        sales,
        lambda: _next_change(sales, datetime.now(UTC)),
        lambda: {"sections": _sections(sales), "after": after},
    )


@pages.get("/concerts/<int:concert_id>")
def show(concert_id: int) -> Response:
    """A concert with its dates, its seats left, and the way into its line."""
    sale = sale_of(concert_id)
    slug = sale.concert.room
    has_token = False
    try:
        place = my_place(slug)
    except Unavailable:
        # The page tells more than where somebody stands; whoever has a token surely stands somewhere.
        place, has_token = None, kept_queue_token(slug) is not None
    return render(
        "catalogue/concert.html",
        concert=sale.concert,
        shown=_shown(sale, datetime.now(UTC)),
        sale=sale,
        place=place,
        has_token=has_token,
    )


def _sections(sales: list[Sale]) -> list[tuple[str, list[Shown]]]:
    now = datetime.now(UTC)
    with suppress(Unavailable):
        look_up(sale.concert.concert_id for sale in sales)
    shown = [_shown(sale, now) for sale in sales]
    shown.sort(key=lambda one: (ORDER.index(one.section), _next_moment(one)))
    return [(section, list(ones)) for section, ones in groupby(shown, lambda one: one.section)]


def _next_change(sales: list[Sale], now: datetime) -> datetime | None:
    """When time alone changes what is told of some sales: a sale opens or ends, or doors open."""
    moments = [
        moment
        for sale in sales
        for one in sale.concert.performances
        for moment in (one.sales_open_at, one.sales_close_at)
    ]
    moments += [sale.room.opens_at for sale in sales if sale.room.opens_at]
    return min((moment for moment in moments if moment > now), default=None)


def _shown(sale: Sale, now: datetime) -> Shown:
    doors = doors_of(sale.room, now)
    state = sale.state(now)
    begins = _sales_open(sale.concert, now) if state == "upcoming" else None
    behind_doors = state in ("open", "all_held") and doors.state == "later"
    moments = [moment for moment in (begins, doors.opens_at) if moment]
    opens_at = max(moments, default=None) if begins or behind_doors else None
    stands_by = sale.stands_by(now)
    return Shown(
        concert=sale.concert,
        state="upcoming" if behind_doors else state,
        free=sale.free(now),
        doors=doors,
        opens_at=opens_at,
        by_doors=opens_at is not None and opens_at == doors.opens_at,
        # A line that lets people in already is no place to wait for a sale that has not begun.
        can_join=state in ("open", "all_held")
        or stands_by
        or (state == "upcoming" and doors.opens_at is not None),
        stands_by=stands_by,
    )


def _sales_open(concert: Concert, now: datetime) -> datetime | None:
    """When the next of a concert's dates goes on sale."""
    opening = [one.sales_open_at for one in concert.performances if one.sales_open_at > now]
    return min(opening, default=None)


def _next_moment(one: Shown) -> datetime:
    """By what a concert is sorted: when its sales open, or when it is played."""
    starts = (performance.starts_at for performance in one.concert.performances)
    return one.opens_at or min(starts, default=datetime.max.replace(tzinfo=UTC))
