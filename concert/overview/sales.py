"""How the sales stand, for pages that everybody opens at eight o'clock: read once a second, told to all.

The front page, a concert's page and the choice of dates say the same, since they ask here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from concert.catalogue.service import Concert, Performance, concert_listed, list_concerts
from concert.ground.errors import Unavailable
from concert.ground.parts import part
from concert.overview.lately import LatelyRead
from concert.reservations.service import SeatCounts, seat_counts
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import list_rooms, room_of, room_state
from concert.waiting_room.seats import SeatsBehind

SaleState = Literal["open", "all_held", "upcoming", "sold_out", "ended"]
DateState = Literal["open", "few", "all_held", "upcoming", "sold_out", "ended"]
NO_SEATS = SeatCounts(0, 0, 0)
# A date has few seats left where it is a tenth of them at the most, or as many as one party takes.
FEW_OF_ALL, FEW = 0.1, 4


@dataclass(frozen=True, slots=True)
class Sale:
    """A concert's sale as it was within the last second: its seats by date, and its room.

    ``line`` is what the room knows of the seats behind it, of all its concerts together; None where
    it is in front of no date, or cannot be asked.
    """

    concert: Concert
    counts: dict[int, SeatCounts]
    room: Room
    line: SeatsBehind | None

    def free(self, now: datetime) -> int:
        """How many seats can be chosen at this moment."""
        return sum(self._of(one.performance_id).available for one in self.concert.bookable(now))

    def state(self, now: datetime) -> SaleState:
        """How the sale stands, in a word.

        ``open``: a seat can be chosen; ``all_held``: none can, and some may come back;
        ``upcoming``: a sale is to come; ``sold_out``: all is sold; ``ended``: nothing is sold any more.
        """
        on_sale = self.concert.bookable(now)
        if self.free(now):
            return "open"
        if any(self._of(one.performance_id).held for one in on_sale):
            return "all_held"
        if any(one.sales_open_at > now for one in self.concert.performances):
            return "upcoming"
        return "sold_out" if on_sale else "ended"

    def state_of_date(self, performance_id: int) -> Literal["open", "all_held", "sold_out"]:
        """The same of one date that is on sale."""
        counts = self._of(performance_id)
        return "open" if counts.available else "all_held" if counts.held else "sold_out"

    def date_in_a_word(self, performance: Performance, now: datetime) -> DateState:
        """How one date stands: as it is on sale, and ``few`` where little of it is left."""
        if performance.sales_close_at <= now:
            return "ended"
        if performance.sales_open_at > now:
            return "upcoming"
        state = self.state_of_date(performance.performance_id)
        free = self._of(performance.performance_id).available
        if state == "open" and free <= max(FEW, performance.capacity * FEW_OF_ALL):
            return "few"
        return state

    def stands_by(self, now: datetime) -> bool:
        """Whether lining up for this concert is standing by for seats that come back.

        A line in front of something else that can be had lets people in for that; nobody can
        stand by in it for this concert.
        """
        is_sold_out = self.state(now) == "sold_out"
        return is_sold_out and self.line is not None and self.line.state == "sold_out"

    def _of(self, performance_id: int) -> SeatCounts:
        return self.counts.get(performance_id, NO_SEATS)


def sale_of(concert_id: int) -> Sale:
    """How one concert's sale stands.

    Raises:
        NotFound: there is no such concert.
        Unavailable: PostgreSQL cannot be reached.
    """
    return part(LatelyRead).read(concert_id, lambda: _read(concert_id))


def list_sales(after: int | None, limit: int) -> tuple[list[Sale], int | None]:
    """How the sales of many concerts stand, newest first, and the cursor of the next page.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    if after is not None:
        # Nobody crowds there, and there are as many of these pages as there are numbers.
        return _list(after, limit)
    return part(LatelyRead).read(("newest", limit), lambda: _list(None, limit))


def _read(concert_id: int) -> Sale:
    concert = concert_listed(concert_id).concert
    room = room_of(concert.room)
    return Sale(concert, _counts([concert]), room, _line(room.slug))


def _list(after: int | None, limit: int) -> tuple[list[Sale], int | None]:
    listed, further = list_concerts(after, limit)
    concerts = [one.concert for one in listed]
    counts = _counts(concerts)
    rooms = {room.slug: room for room in list_rooms()}
    lines = {slug: _line(slug) for slug in {concert.room for concert in concerts}}
    sales = [Sale(one, counts, rooms[one.room], lines[one.room]) for one in concerts]
    return sales, further


def _counts(concerts: list[Concert]) -> dict[int, SeatCounts]:
    return seat_counts([one.performance_id for concert in concerts for one in concert.performances])


def _line(slug: str) -> SeatsBehind | None:
    try:
        return room_state(slug).seats
    except Unavailable:
        # What is on sale is told without the line, too.
        return None
