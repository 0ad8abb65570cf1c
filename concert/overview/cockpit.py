"""How one sale stands, for the people who run it: the line, the seats, the money, and what comes.

A sale is a room with all that is sold behind it, or one concert of it. It is read once a second
for all who look (:mod:`concert.overview.lately`), and nobody looks where nobody runs a sale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from concert.catalogue.service import (
    Concert,
    Performance,
    concert_listed,
    concerts_behind,
    place_of_performance,
)
from concert.ground.database import array, connection
from concert.ground.errors import Unavailable
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.halls.service import plan_of
from concert.overview.forecast import Forecast, forecast, window_of
from concert.overview.lately import LatelyRead
from concert.overview.samples import Point, first_sample, samples_of
from concert.waiting_room.doors import Doors, doors_of
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import RoomState, list_rooms, room_of, room_state

# Seats by date and price.
SEATS = """
SELECT performance_id, price,
    count(*) FILTER (WHERE sold_at IS NULL AND (held_until IS NULL OR held_until <= statement_timestamp())),
    count(*) FILTER (WHERE sold_at IS NULL AND held_until > statement_timestamp()),
    count(*) FILTER (WHERE sold_at IS NOT NULL)
FROM seats_for_sale WHERE performance_id = ANY (%s::bigint[]) GROUP BY performance_id, price
ORDER BY performance_id, price DESC"""

# What became of the holds of each date, and the money.
HOLDS = """
SELECT r.performance_id,
    count(*) FILTER (WHERE r.status = 'held' AND r.held_until > statement_timestamp()),
    count(y.id),
    count(*) FILTER (WHERE r.status = 'expired' OR (r.status = 'held' AND r.held_until <= statement_timestamp())),
    count(*) FILTER (WHERE r.status = 'cancelled'),
    count(*) FILTER (WHERE r.held_until <= statement_timestamp()),
    coalesce(sum(y.amount), 0)
FROM reservations r LEFT JOIN payments y ON y.reservation_id = r.id
WHERE r.performance_id = ANY (%s::bigint[]) GROUP BY r.performance_id"""

# What was given back of each date.
REFUNDED = """
SELECT performance_id, sum(amount) FROM refunds WHERE performance_id = ANY (%s::bigint[]) GROUP BY performance_id"""

# How long ago the first seat that is sold was sold (seconds), and how many were sold in the later half of that time.
PACE = """
WITH sold AS MATERIALIZED (
    SELECT sold_at FROM seats WHERE performance_id = ANY (%(dates)s::bigint[]) AND sold_at IS NOT NULL
), began AS (
    SELECT extract(epoch FROM statement_timestamp() - min(sold_at))::float8 AS seconds FROM sold
)
SELECT began.seconds, (SELECT count(*) FROM sold
    WHERE sold_at > statement_timestamp() - least(%(longest)s, began.seconds / 2) * interval '1 second')
FROM began"""

LONGEST_SHOWN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Seats:
    """How many seats are free, held and sold."""

    free: int = 0
    held: int = 0
    sold: int = 0

    @property
    def all(self) -> int:
        """All of them."""
        return self.free + self.held + self.sold

    def __add__(self, other: Seats) -> Seats:
        return Seats(self.free + other.free, self.held + other.held, self.sold + other.sold)


@dataclass(frozen=True, slots=True)
class PriceSales:
    """The seats of one price (won): of one date, or of several together.

    ``categories`` are those of the hall plans that cost so much now, by name.
    """

    price: int
    seats: Seats
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Holds:
    """What became of reservations: held now, paid, lapsed, given back.

    ``past`` are those whose time is over, whatever became of them.
    """

    live: int = 0
    paid: int = 0
    lapsed: int = 0
    released: int = 0
    past: int = 0

    @property
    def paid_share(self) -> float | None:
        """The share of those that are decided that was paid; None where none is."""
        decided = self.paid + self.lapsed + self.released
        return self.paid / decided if decided else None

    def __add__(self, other: Holds) -> Holds:
        return Holds(
            self.live + other.live,
            self.paid + other.paid,
            self.lapsed + other.lapsed,
            self.released + other.released,
            self.past + other.past,
        )


@dataclass(frozen=True, slots=True)
class DateSales:
    """How one date sells: its seats by price, its holds, and the money (won) that was paid and given back."""

    concert: Concert
    performance: Performance
    seats: Seats
    by_price: tuple[PriceSales, ...]
    holds: Holds
    revenue: int
    refunded: int


@dataclass(frozen=True, slots=True)
class SaleNow:
    """How a sale stood when it was read.

    ``line`` is None where Redis cannot be asked. ``forecast`` is about the dates that are on sale,
    and None where nothing is to be sold there, nobody is let in, or too little was sold to tell.
    """

    at: datetime
    room: Room
    line: RoomState | None
    dates: tuple[DateSales, ...]
    forecast: Forecast | None

    @property
    def concerts(self) -> list[Concert]:
        """Whose dates these are, the newest first."""
        found = {one.concert.concert_id: one.concert for one in self.dates}
        return sorted(found.values(), key=lambda one: -one.concert_id)

    @property
    def doors(self) -> Doors:
        """Whether people are let in."""
        return doors_of(self.room, self.at)

    @property
    def on_sale(self) -> list[DateSales]:
        """The dates that are sold at this moment."""
        return [one for one in self.dates if one.performance.on_sale(self.at)]

    @property
    def seats(self) -> Seats:
        """The seats of all dates."""
        return sum((one.seats for one in self.dates), Seats())

    @property
    def holds(self) -> Holds:
        """The holds of all dates."""
        return sum((one.holds for one in self.dates), Holds())

    @property
    def revenue(self) -> int:
        """What was paid, in won."""
        return sum(one.revenue for one in self.dates)

    @property
    def refunded(self) -> int:
        """What of that was given back, in won."""
        return sum(one.refunded for one in self.dates)

    @property
    def by_price(self) -> list[PriceSales]:
        """The seats of all dates by price, the dearest first."""
        found: dict[int, PriceSales] = {}
        for date in self.dates:
            for one in date.by_price:
                before = found.get(one.price, PriceSales(one.price, Seats()))
                # In their order, each once.
                names = tuple(dict.fromkeys((*before.categories, *one.categories)))
                found[one.price] = PriceSales(one.price, before.seats + one.seats, names)
        return [found[price] for price in sorted(found, reverse=True)]

    @property
    def sold_out_at(self) -> datetime | None:
        """When the last seat is sold, as it looks."""
        return self.at + timedelta(seconds=self.forecast.seconds) if self.forecast else None

    @property
    def point(self) -> Point:
        """The same moment as the charts have it; people a minute are known of whole steps only."""
        line, seats = self.line, self.line.seats if self.line else None
        return Point(
            round(self.at.timestamp() * 1000),
            line.waiting if line else 0,
            line.inside if line else 0,
            None,
            seats.free if seats else 0,
            seats.held if seats else 0,
            seats.sold if seats else 0,
        )


def sale_behind(slug: str) -> SaleNow:
    """How everything behind a room sells.

    Raises:
        NotFound: there is no such room.
        Unavailable: PostgreSQL cannot be reached.
    """
    return part(LatelyRead).read(
        ("sale behind", slug), lambda: _read(room_of(slug), concerts_behind(slug))
    )


def sale_of_concert(concert_id: int) -> SaleNow:
    """How one concert sells.

    Raises:
        NotFound: there is no such concert.
        Unavailable: PostgreSQL cannot be reached.
    """

    def read() -> SaleNow:
        concert = concert_listed(concert_id).concert
        return _read(room_of(concert.room), [concert])

    return part(LatelyRead).read(("sale of", concert_id), read)


def sales_of_performance(performance_id: int) -> tuple[DateSales, SaleNow]:
    """How one date sells, and when it will be sold out.

    Raises:
        NotFound: there is no such performance.
        Unavailable: PostgreSQL cannot be reached.
    """
    concert_id, slug = place_of_performance(performance_id)
    sale = part(LatelyRead).read(
        ("sales of performance", performance_id),
        lambda: _read(room_of(slug), [concert_listed(concert_id).concert], performance_id),
    )
    return sale.dates[0], sale


def rooms_now() -> list[tuple[Room, RoomState | None]]:
    """Every room with its state, by name; None where its line cannot be asked.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    return part(LatelyRead).read("rooms now", lambda: [(one, _line(one)) for one in list_rooms()])


def history(slug: str, hours: int | None, now: datetime) -> list[Point]:
    """How the room stood in the last hours, or as long as anything is known where ``hours`` is None.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    since = now - (timedelta(hours=hours) if hours else LONGEST_SHOWN)
    began = first_sample(slug, since)
    return samples_of(slug, max(since, began), now) if began else []


def _read(room: Room, concerts: Sequence[Concert], only: int | None = None) -> SaleNow:
    """How these concerts sell, or ``only`` this date of theirs."""
    dates = [
        (concert, one)
        for concert in concerts
        for one in concert.performances
        if only is None or one.performance_id == only
    ]
    line = _line(room)
    numbers = array(one.performance_id for _, one in dates)
    now = datetime.now(UTC)
    with connection() as link:
        seats = link.execute(SEATS, (numbers,)).fetchall()
        holds = {row[0]: row[1:] for row in link.execute(HOLDS, (numbers,)).fetchall()}
        refunded: dict[int, int] = dict(link.execute(REFUNDED, (numbers,)).fetchall())
    found = tuple(
        _date_sales(
            concert,
            one,
            seats,
            holds.get(one.performance_id),
            refunded.get(one.performance_id, 0),
        )
        for concert, one in dates
    )
    sale = SaleNow(now, room, line, found, None)
    return replace(sale, forecast=_forecast(sale))


def _forecast(sale: SaleNow) -> Forecast | None:
    on_sale = sale.on_sale
    seats = sum((one.seats for one in on_sale), Seats())
    left = seats.free + seats.held
    if not left or not seats.sold or sale.doors.state != "open":
        return None
    numbers = array(one.performance.performance_id for one in on_sale)
    longest = window_of(float("inf"))
    with connection() as link:
        row = link.execute(PACE, {"dates": numbers, "longest": longest}).fetchone()
    assert row is not None
    began, lately = row
    if began is None:
        return None
    holds = sum((one.holds for one in on_sale), Holds())
    return forecast(
        left,
        lately,
        window_of(began),
        held=seats.held,
        lapsed=holds.lapsed,
        decided=holds.past,
        hold_seconds=part(Settings).hold_seconds,
    )


def _line(room: Room) -> RoomState | None:
    try:
        return room_state(room.slug)
    except Unavailable:
        return None


def _date_sales(
    concert: Concert,
    performance: Performance,
    seats: Sequence[Sequence[Any]],
    holds: Sequence[Any] | None,
    refunded: int,
) -> DateSales:
    named = _categories(performance)
    by_price = tuple(
        PriceSales(price, Seats(*counts), tuple(named.get(price, ())))
        for number, price, *counts in seats
        if number == performance.performance_id
    )
    *outcomes, revenue = holds or (0, 0, 0, 0, 0, 0)
    return DateSales(
        concert,
        performance,
        sum((one.seats for one in by_price), Seats()),
        by_price,
        Holds(*outcomes),
        revenue,
        refunded,
    )


def _categories(performance: Performance) -> dict[int, list[str]]:
    """The names of a plan's categories by what they cost at this date."""
    found: dict[int, list[str]] = {}
    if performance.hall_id is not None:
        categories = plan_of(performance.hall_id).categories
        for category, price in zip(categories, performance.prices or (), strict=False):
            found.setdefault(price, []).append(category.name)
    return found
