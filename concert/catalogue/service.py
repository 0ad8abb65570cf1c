"""Reading and making concerts, performances and seats."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg
from flask import Flask

from concert.catalogue.models import (
    HIGHEST_PRICE,
    LARGEST_CAPACITY,
    LONGEST_TITLE,
    MOST_SEATS_A_PERSON,
)
from concert.ground.audit import SYSTEM, Actor, record
from concert.ground.budget import within
from concert.ground.database import Connection, connection
from concert.ground.errors import (
    AmbiguousDate,
    BadRequest,
    NotFound,
    SalesNotOpen,
    Unavailable,
)
from concert.ground.parts import keep, part
from concert.ground.settings import Settings
from concert.halls import service as halls
from concert.halls.plan import Plan

USUAL_CAPACITY = 50
MOST_DATES_AT_ONCE = 100
# Seats are made a date at a time, two million at the most: longer than a fan's request may take.
MAKING_SECONDS = 25.0
LARGEST_ID = 2**63 - 1
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
# How long a process may believe what it has read of a concert: whatever the organiser corrects
# is true everywhere within it. An unknown date is looked up again before it is refused.
REMEMBERED_SECONDS = 1.0
# For how long a process may believe which room is in front of a concert that is behind it still.
BELIEVED_SECONDS = 30.0
LONGEST_DESCRIPTION = 5_000
MOST_OF_TEXTS = {"age_limit": 99, "running_minutes": 1_440, "entry_minutes": 720}

Sales = Literal["upcoming", "on_sale", "sold_out", "ended"]
# What happens where a choice would leave a single seat between others, and another would not:
# nothing; the best seats avoid it and whoever chooses is told; or it is refused.
LoneSeats = Literal["off", "advise", "refuse"]
LONE_SEATS: tuple[LoneSeats, ...] = ("off", "advise", "refuse")


@dataclass(frozen=True, slots=True)
class Performance:
    """One date of a concert: when, how many seats, for how much (won), and when it is sold.

    Where it has a hall plan, ``prices`` are of the plan's categories, in its order, and ``price`` is
    the lowest of them. ``released_seats`` are places for wheelchairs and companions that anybody may
    be given by now.
    ``seat_limit`` is how many seats of it one user may have (None: as many as of any), ``row_seats``
    how many a row has where that does not follow from the capacity. ``version`` counts the changes.

    ``cancelled_at`` is when it was cancelled, else None. Until ``returns_until`` whoever has a
    ticket may give it back; None where they may not.
    """

    performance_id: int
    concert_id: int
    date: dt.date
    starts_at: datetime
    price: int
    capacity: int
    sales_open_at: datetime
    sales_close_at: datetime
    returns_until: datetime | None = None
    hall_id: int | None = None
    hall_hash: str | None = None
    prices: tuple[int, ...] | None = None
    lone_seats: LoneSeats = "off"
    released_seats: tuple[int, ...] = ()
    cancelled_at: datetime | None = None
    seat_limit: int | None = None
    row_seats: int | None = None
    draft: bool = False
    version: int = 1

    @property
    def plan_version(self) -> str | None:
        """What names this performance's plan with its prices; None where it has no plan."""
        if self.hall_hash is None:
            return None
        named = f"{self.performance_id} {self.hall_hash} {self.prices}"
        return hashlib.sha256(named.encode()).hexdigest()[:16]

    @property
    def is_cancelled(self) -> bool:
        """Whether it does not take place."""
        return self.cancelled_at is not None

    def takes_returns(self, now: datetime) -> bool:
        """Whether tickets may be given back at this moment."""
        return self.returns_until is not None and now < self.returns_until and not self.is_cancelled

    def on_sale(self, now: datetime) -> bool:
        """Whether it is sold at this moment."""
        return self.sales_open_at <= now < self.sales_close_at


@dataclass(frozen=True, slots=True)
class Texts:
    """What is told of a concert beside its title: in words, and in years and minutes (None: not told).

    ``entry_minutes`` is how long before each date people are let into the house.
    """

    description: str = ""
    artist: str = ""
    age_limit: int | None = None
    running_minutes: int | None = None
    entry_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Concert:
    """A concert with its performances in order of time. ``version`` counts its changes."""

    concert_id: int
    title: str
    venue: str
    room: str
    performances: tuple[Performance, ...]
    texts: Texts = Texts()
    draft: bool = False
    version: int = 1

    @property
    def is_cancelled(self) -> bool:
        """Whether it has dates, and none of them takes place."""
        return bool(self.performances) and all(one.is_cancelled for one in self.performances)

    def bookable(self, now: datetime) -> list[Performance]:
        """The performances that are sold at this moment."""
        return [performance for performance in self.performances if performance.on_sale(now)]


@dataclass(frozen=True, slots=True)
class Listed:
    """A concert as the public list shows it."""

    concert: Concert
    sales: Sales


@dataclass(frozen=True, slots=True)
class NewDate:
    """A performance to be made. Sales run from now until it starts, unless said otherwise.

    In the hall with the number ``hall_id`` every category has its price in ``prices``, or all have
    ``price``; the seats are the plan's. Without one there are ``capacity`` seats, 50 unless said.
    """

    starts_at: datetime
    price: int | None = None
    capacity: int | None = None
    sales_open_at: datetime | None = None
    sales_close_at: datetime | None = None
    hall_id: int | None = None
    prices: Mapping[str, int] | None = None
    lone_seats: LoneSeats = "off"
    seat_limit: int | None = None
    draft: bool = False


@dataclass(slots=True)
class Remembered:
    """What this process has read lately, by concert."""

    concerts: dict[int, tuple[float, Concert]] = field(default_factory=dict)
    of_performances: dict[int, int] = field(default_factory=dict)
    rooms: dict[int, tuple[float, str]] = field(default_factory=dict)
    halls: dict[int, int | None] = field(default_factory=dict)

    def forget(self) -> None:
        """Read everything anew: something was corrected."""
        self.concerts.clear()
        self.rooms.clear()


def init_catalogue(app: Flask) -> None:
    """Remember the concerts of this app."""
    keep(app, Remembered())


# A subquery and no join, so that INSERT ... RETURNING can give them, too.
PERFORMANCE_COLUMNS = (
    "id, concert_id, date, starts_at, price, capacity, sales_open_at, sales_close_at, returns_until, hall_id, "
    "(SELECT h.hash FROM halls h WHERE h.id = hall_id), category_prices, lone_seats, released_seats, "
    "cancelled_at, seat_limit, row_seats, draft, version"
)
CONCERT_COLUMNS = (
    "id, title, venue, room_slug, description, artist, age_limit, running_minutes, entry_minutes, "
    "draft, version"
)
# Drafts are told to whoever asks for them, which are those who plan.
READ_CONCERT = f"SELECT {CONCERT_COLUMNS} FROM concerts WHERE id = %s AND (NOT draft OR %s)"
READ_PERFORMANCES = f"""
SELECT {PERFORMANCE_COLUMNS} FROM performances
WHERE concert_id = ANY(%s) AND (NOT draft OR %s) ORDER BY starts_at, id"""
CONCERTS_BEHIND = f"""
SELECT {CONCERT_COLUMNS} FROM concerts WHERE room_slug = %s AND (NOT draft OR %s) ORDER BY id DESC"""
READ_PERFORMANCE = f"SELECT {PERFORMANCE_COLUMNS} FROM performances WHERE id = %s"
LIST_CONCERTS = f"""
SELECT {CONCERT_COLUMNS} FROM concerts
WHERE id < %s AND (NOT draft OR %s) ORDER BY id DESC LIMIT %s"""
WITH_UNSOLD_SEATS = """
SELECT p.id FROM performances p
WHERE p.concert_id = ANY(%s)
  AND EXISTS (SELECT 1 FROM seats_for_sale s WHERE s.performance_id = p.id AND s.sold_at IS NULL)"""
CREATE_CONCERT = """
INSERT INTO concerts (title, venue, room_slug, description, artist, age_limit, running_minutes, entry_minutes, draft)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id"""
# Its sale is over in the same moment; where it was to come, as if it had ended at once.
CANCEL_PERFORMANCE = f"""
UPDATE performances SET cancelled_at = statement_timestamp(), version = version + 1,
    sales_close_at = least(sales_close_at, statement_timestamp()),
    sales_open_at = least(sales_open_at, statement_timestamp() - interval '1 millisecond')
WHERE id = %s AND cancelled_at IS NULL RETURNING {PERFORMANCE_COLUMNS}"""
SET_RETURNS = "UPDATE performances SET returns_until = %s, version = version + 1 WHERE id = %s"
CREATE_PERFORMANCE = f"""
INSERT INTO performances (concert_id, date, starts_at, price, capacity, sales_open_at, sales_close_at,
    hall_id, category_prices, lone_seats, seat_limit, draft)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING {PERFORMANCE_COLUMNS}"""
CREATE_SEATS = """
INSERT INTO seats (performance_id, seat_no, price)
SELECT %s, seat_no, %s FROM generate_series(%s::integer, %s) AS seat_no"""
CREATE_PLANNED_SEATS = """
INSERT INTO seats (performance_id, seat_no, price, blocked)
SELECT %s, seat_no, price, seat_no = ANY (%s::integer[])
FROM unnest(%s::integer[]) WITH ORDINALITY AS planned (price, seat_no)"""
SAME_START = "Two dates of one concert start at the same time."
CONCERT_OF = "SELECT concert_id FROM performances WHERE id = %s"
LATELY_CLOSED = """
SELECT id FROM performances
WHERE sales_close_at <= statement_timestamp()
  AND sales_close_at > statement_timestamp() - %s * interval '1 second' ORDER BY id"""
PERFORMANCE_AFTER = "SELECT min(id) FROM performances WHERE id > %s"
IS_EMPTY = "SELECT NOT EXISTS (SELECT 1 FROM concerts)"


def list_concerts(
    after: int | None = None, limit: int = 20, *, drafts: bool = False
) -> tuple[list[Listed], int | None]:
    """Concerts, newest first, and the cursor of the next page (None where there is none).

    ``drafts`` are for staff alone, here and below.
    """
    with connection() as link:
        before = min(after or LARGEST_ID, LARGEST_ID)
        rows = link.execute(LIST_CONCERTS, (before, drafts, limit + 1)).fetchall()
        concerts = _with_performances(link, rows[:limit], drafts)
        unsold = _with_unsold_seats(link, concerts)
    now = datetime.now(UTC)
    listed = [Listed(concert, _sales_of(concert, unsold, now)) for concert in concerts]
    return listed, concerts[-1].concert_id if len(rows) > limit else None


def concert_listed(concert_id: int, *, drafts: bool = False) -> Listed:
    """One concert as the public list shows it.

    Raises:
        NotFound: there is none with this number.
    """
    with connection() as link:
        concert = read_concert(link, concert_id, drafts=drafts)
        unsold = _with_unsold_seats(link, [concert])
    return Listed(concert, _sales_of(concert, unsold, datetime.now(UTC)))


def concert_of(concert_id: int) -> Concert:
    """A concert, as this process read it at most ``REMEMBERED_SECONDS`` ago.

    Raises:
        NotFound: there is none with this number.
    """
    found = part(Remembered).concerts.get(concert_id)
    if found and found[0] > time.monotonic():
        return found[1]
    return _read_again(concert_id)


def find_performance(
    concert: Concert, *, date: dt.date | None = None, performance_id: int | None = None
) -> Performance:
    """The one performance that a caller means; nothing named means the only one still to be sold.

    Raises:
        AmbiguousDate: several fit.
        BadRequest: none fits.
    """
    fitting = _fitting(concert, date, performance_id)
    if not fitting:
        fitting = _fitting(_read_again(concert.concert_id), date, performance_id)
    if not fitting:
        raise BadRequest("This concert has no performance on that date.")
    if len(fitting) > 1:
        raise AmbiguousDate("Several performances fit; name one by performance_id.")
    return fitting[0]


def performance_of(performance_id: int, link: Connection) -> Performance:
    """A performance by its number, as it is now.

    Raises:
        NotFound: there is none with this number.
    """
    row = (
        link.execute(READ_PERFORMANCE, (performance_id,)).fetchone()
        if 0 < performance_id <= LARGEST_ID
        else None
    )
    if row is None:
        raise NotFound("There is no such performance.")
    return performance_from(row)


def performance_lately(performance_id: int) -> Performance:
    """The same, as this process read it at most ``REMEMBERED_SECONDS`` ago.

    Raises:
        NotFound: there is none with this number.
    """
    concert_id, _ = place_of_performance(performance_id)
    return find_performance(concert_of(concert_id), performance_id=performance_id)


def forget_concert(concert_id: int) -> None:
    """Read a concert anew when it is asked for next: something of it has changed."""
    part(Remembered).concerts.pop(concert_id, None)


def place_of_performance(performance_id: int) -> tuple[int, str]:
    """Which concert a performance belongs to, and which room.

    Raises:
        NotFound: there is no such performance, or it is a draft.
    """
    concerts = part(Remembered).of_performances
    if performance_id not in concerts:
        with connection() as link:
            row = link.execute(CONCERT_OF, (min(performance_id, LARGEST_ID),)).fetchone()
        if row is None:
            raise NotFound("There is no such performance.")
        concerts[performance_id] = row[0]
    concert = concert_of(concerts[performance_id])
    if all(one.performance_id != performance_id for one in concert.performances):
        raise NotFound("There is no such performance.")
    return concert.concert_id, concert.room


def concert_and_performance(performance_id: int) -> tuple[Concert, Performance]:
    """A performance with its concert, as they are now.

    Raises:
        NotFound: there is no such performance.
    """
    concert = _read_again(place_of_performance(performance_id)[0])
    return concert, find_performance(concert, performance_id=performance_id)


def read_performance(link: Connection, performance_id: int) -> Performance:
    """A performance as a transaction sees it, locked until that ends.

    Raises:
        NotFound: there is no such performance.
    """
    row = None
    if 0 < performance_id <= LARGEST_ID:
        row = link.execute(f"{READ_PERFORMANCE} FOR NO KEY UPDATE", (performance_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such performance.")
    return performance_from(row)


def close_cancelled(link: Connection, performance_id: int) -> Performance | None:
    """Write down, in the caller's transaction, that a performance is cancelled; its sale ends with that.

    None where it is cancelled already, or not there.
    """
    row = link.execute(CANCEL_PERFORMANCE, (performance_id,)).fetchone()
    return None if row is None else performance_from(row)


def forget(concert_id: int) -> None:
    """Read a concert anew when it is asked for again: it has been changed."""
    part(Remembered).concerts.pop(concert_id, None)


def is_behind(concert_id: int, room: str) -> bool:
    """Whether a concert is behind this room: pages that ask often ask the process.

    A yes is believed for a while, and while PostgreSQL is away; a no is looked up again.

    Raises:
        NotFound: there is no such concert.
    """
    rooms, now = part(Remembered).rooms, time.monotonic()
    until, believed = rooms.get(concert_id, (0.0, ""))
    if believed == room:
        if now < until:
            return True
        # Of many who ask, one looks; whoever cannot look believes what was so before.
        rooms[concert_id] = (now + BELIEVED_SECONDS, room)
        try:
            found = concert_of(concert_id).room
        except Unavailable:
            return True
        except NotFound:
            rooms.pop(concert_id, None)
            raise
    else:
        found = concert_of(concert_id).room
    rooms[concert_id] = (now + BELIEVED_SECONDS, found)
    return found == room


def concerts_behind(slug: str) -> list[Concert]:
    """The concerts behind a room with their dates, the newest first."""
    with connection() as link:
        rows = link.execute(CONCERTS_BEHIND, (slug, False)).fetchall()
        return _with_performances(link, rows, False)


def hall_of_performance(performance_id: int) -> int | None:
    """The hall whose plan a performance has, which never changes; None for the usual hall.

    Raises:
        NotFound: there is no such performance.
    """
    known = part(Remembered).halls
    if performance_id not in known:
        with connection() as link:
            known[performance_id] = performance_of(performance_id, link).hall_id
    return known[performance_id]


def require_on_sale(performance: Performance) -> None:
    """Check that the performance is sold at this moment.

    Raises:
        SalesNotOpen: it is not.
    """
    now = datetime.now(UTC)
    if now < performance.sales_open_at:
        raise SalesNotOpen(f"Sales open at {performance.sales_open_at.isoformat()}.")
    if now >= performance.sales_close_at:
        raise SalesNotOpen(f"Sales closed at {performance.sales_close_at.isoformat()}.")


def require_seats(performance: Performance, seat_nos: Sequence[int]) -> tuple[int, ...]:
    """The wanted seats in number order, each named once and within the house.

    Raises:
        BadRequest: none is named, one is named twice, or one is out of range.
    """
    if not seat_nos:
        raise BadRequest("Name at least one seat.")
    if len(set(seat_nos)) < len(seat_nos):
        raise BadRequest("A seat is named twice.")
    if min(seat_nos) < 1 or max(seat_nos) > performance.capacity:
        raise BadRequest(f"Seats are numbered 1 to {performance.capacity}.")
    return tuple(sorted(seat_nos))


def create_concert(
    title: str,
    venue: str,
    room: str,
    dates: Sequence[NewDate],
    *,
    texts: Texts = Texts(),
    draft: bool = False,
    actor: Actor = SYSTEM,
    reason: str | None = None,
) -> Concert:
    """Make a concert with its dates and their seats; a ``draft`` is for staff to see.

    Raises:
        BadRequest: a value is out of range, or two dates start at the same time.
        NotFound: there is no such room.
    """
    title, venue = checked_text("title", title), checked_text("venue", venue)
    texts = checked_texts(texts)
    with within(MAKING_SECONDS), connection() as link, link.transaction():
        try:
            made = (title, venue, room, *astuple(texts), draft)
            row = link.execute(CREATE_CONCERT, made).fetchone()
        except psycopg.errors.ForeignKeyViolation as error:
            raise NotFound(f"There is no room {room!r}.") from error
        assert row is not None
        performances = _create_performances(link, row[0], dates)
        after: dict[str, Any] = {"title": title, "venue": venue, "room": room}
        after |= {name: value for name, value in asdict(texts).items() if value}
        after |= {"draft": True} if draft else {}
        after["dates"] = _told(performances)
        record(link, actor, "create_concert", "concert", row[0], after=after, reason=reason)
    return Concert(row[0], title, venue, room, performances, texts, draft)


def add_dates(
    concert_id: int,
    dates: Sequence[NewDate],
    *,
    actor: Actor = SYSTEM,
    reason: str | None = None,
) -> Concert:
    """Give a concert further dates.

    Raises:
        BadRequest: a value is out of range, or a date starts when another one does.
        NotFound: there is no such concert.
    """
    with within(MAKING_SECONDS), connection() as link, link.transaction():
        read_concert(link, concert_id, drafts=True)
        performances = _create_performances(link, concert_id, dates)
        after = {"dates": _told(performances)}
        record(link, actor, "add_dates", "concert", concert_id, after=after, reason=reason)
        concert = read_concert(link, concert_id, drafts=True)
    part(Remembered).concerts.pop(concert_id, None)
    return concert


def lately_closed(seconds: int) -> list[int]:
    """The performances whose sale has ended in the last ``seconds``."""
    with connection() as link:
        return [row[0] for row in link.execute(LATELY_CLOSED, (seconds,)).fetchall()]


def performance_after(performance_id: int) -> int | None:
    """The performance that was made next, or None after the last."""
    with connection() as link:
        row = link.execute(PERFORMANCE_AFTER, (performance_id,)).fetchone()
    return None if row is None else row[0]


def is_empty() -> bool:
    """Whether there is no concert at all."""
    with connection() as link:
        row = link.execute(IS_EMPTY).fetchone()
    return bool(row and row[0])


def _fitting(
    concert: Concert, date: dt.date | None, performance_id: int | None
) -> list[Performance]:
    if date is None and performance_id is None:
        now = datetime.now(UTC)
        to_be_sold = [
            performance for performance in concert.performances if performance.sales_close_at > now
        ]
        return to_be_sold or list(concert.performances)
    return [
        performance
        for performance in concert.performances
        if (date is None or performance.date == date)
        and (performance_id is None or performance.performance_id == performance_id)
    ]


def _read_again(concert_id: int) -> Concert:
    began = time.monotonic()
    with connection() as link:
        concert = read_concert(link, concert_id)
    part(Remembered).concerts[concert_id] = (began + REMEMBERED_SECONDS, concert)
    return concert


def read_concert(link: Connection, concert_id: int, *, drafts: bool = False) -> Concert:
    """A concert as it is on this connection.

    Raises:
        NotFound: there is none with this number, or it is a draft.
    """
    row = (
        link.execute(READ_CONCERT, (concert_id, drafts)).fetchone()
        if 0 < concert_id <= LARGEST_ID
        else None
    )
    if row is None:
        raise NotFound("There is no such concert.")
    return _with_performances(link, [row], drafts)[0]


def _with_performances(link: Connection, rows: Sequence[Any], drafts: bool) -> list[Concert]:
    found: dict[int, list[Performance]] = {row[0]: [] for row in rows}
    for row in link.execute(READ_PERFORMANCES, (list(found), drafts)).fetchall():
        performance = performance_from(row)
        found[performance.concert_id].append(performance)
    return [
        Concert(
            *(row[0], row[1], row[2], row[3]),
            performances=tuple(found[row[0]]),
            texts=Texts(*row[4:9]),
            draft=row[9],
            version=row[10],
        )
        for row in rows
    ]


def _with_unsold_seats(link: Connection, concerts: Sequence[Concert]) -> set[int]:
    wanted = [concert.concert_id for concert in concerts]
    return {row[0] for row in link.execute(WITH_UNSOLD_SEATS, (wanted,)).fetchall()}


def _sales_of(concert: Concert, unsold: set[int], now: datetime) -> Sales:
    on_sale = concert.bookable(now)
    if any(performance.performance_id in unsold for performance in on_sale):
        return "on_sale"
    if any(performance.sales_open_at > now for performance in concert.performances):
        return "upcoming"
    return "sold_out" if on_sale else "ended"


def _create_performances(
    link: Connection, concert_id: int, dates: Sequence[NewDate]
) -> tuple[Performance, ...]:
    if len(dates) > MOST_DATES_AT_ONCE:
        raise BadRequest(f"At most {MOST_DATES_AT_ONCE} dates at once.")
    made = [_create_performance(link, concert_id, new) for new in dates]
    return tuple(sorted(made, key=lambda performance: performance.starts_at))


def _told(performances: Sequence[Performance]) -> list[dict[str, Any]]:
    """Dates as the audit log has them."""
    told = ("performance_id", "starts_at", "price", "capacity", "sales_open_at", "sales_close_at")
    of_plans = ("hall_id", "prices", "lone_seats")
    return [
        {name: getattr(one, name) for name in (*told, *(of_plans if one.hall_id else ()))}
        for one in performances
    ]


def _create_performance(link: Connection, concert_id: int, new: NewDate) -> Performance:
    opens = new.sales_open_at or datetime.now(UTC)
    closes = new.sales_close_at or new.starts_at
    plan, prices, capacity = check_date(new, opens, closes)
    made = (concert_id, day_of(new.starts_at), new.starts_at, min(prices), capacity)
    named = None if plan is None else list(prices)
    try:
        row = link.execute(
            CREATE_PERFORMANCE,
            (*made, opens, closes, new.hall_id, named, new.lone_seats, new.seat_limit, new.draft),
        ).fetchone()
    except psycopg.errors.UniqueViolation as error:
        raise BadRequest(SAME_START) from error
    assert row is not None
    performance = performance_from(row)
    number = performance.performance_id
    if plan is None:
        link.execute(CREATE_SEATS, (number, performance.price, 1, capacity))
    else:
        each = [prices[category] for category in plan.categories_of_seats]
        link.execute(CREATE_PLANNED_SEATS, (number, plan.blocked, each))
    return performance


def day_of(starts_at: datetime) -> dt.date:
    """The day of a moment where it is played."""
    return starts_at.astimezone(part(Settings).zone).date()


def check_date(
    new: NewDate, opens: datetime, closes: datetime
) -> tuple[Plan | None, tuple[int, ...], int]:
    """See that a date can be as it is wanted: the plan of its hall, its prices, and how many seats it has.

    Raises:
        BadRequest: a value is out of range.
    """
    _check_times(new, opens, closes)
    if new.seat_limit is not None and not 1 <= new.seat_limit <= MOST_SEATS_A_PERSON:
        raise BadRequest(f"seat_limit is 1 to {MOST_SEATS_A_PERSON}, or null.")
    plan = None if new.hall_id is None else _plan_for(new.hall_id)
    return plan, _prices_of(plan, new), _capacity_of(plan, new)


def performance_from(row: Sequence[Any]) -> Performance:
    """A performance as ``PERFORMANCE_COLUMNS`` gives it."""
    performance = Performance(*row)
    part(Remembered).halls[performance.performance_id] = performance.hall_id
    prices, released = performance.prices, performance.released_seats
    return replace(
        performance,
        prices=None if prices is None else tuple(prices),
        released_seats=tuple(released),
    )


def _plan_for(hall_id: int) -> Plan:
    try:
        return halls.plan_of(hall_id)
    except NotFound as error:
        raise BadRequest(f"There is no hall {hall_id}.") from error


def _prices_of(plan: Plan | None, new: NewDate) -> tuple[int, ...]:
    """The price of each category; of a house without a plan, its one price."""
    if (new.price is None) == (new.prices is None):
        raise BadRequest("Give price, or prices for each category of the hall.")
    if new.prices is not None and plan is None:
        raise BadRequest("Only a hall has categories: give price.")
    names = ["price"] if plan is None else [one.name for one in plan.categories]
    given = dict.fromkeys(names, new.price) if new.prices is None else dict(new.prices)
    if set(given) != set(names):
        raise BadRequest(f"prices names each category of the hall: {', '.join(names)}.")
    prices = tuple(price for name in names if (price := given[name]) is not None)
    if not all(0 <= price <= HIGHEST_PRICE for price in prices):
        raise BadRequest(f"price is 0 to {HIGHEST_PRICE} won.")
    return prices


def _capacity_of(plan: Plan | None, new: NewDate) -> int:
    if plan is None:
        capacity = USUAL_CAPACITY if new.capacity is None else new.capacity
        if not 1 <= capacity <= LARGEST_CAPACITY:
            raise BadRequest(f"capacity is 1 to {LARGEST_CAPACITY}.")
        return capacity
    if new.capacity not in (None, plan.capacity):
        raise BadRequest(f"This hall has {plan.capacity} seats; leave capacity out.")
    return plan.capacity


def _check_times(new: NewDate, opens: datetime, closes: datetime) -> None:
    if any(moment.tzinfo is None for moment in (new.starts_at, opens, closes)):
        raise BadRequest("Times need an offset, such as 2026-12-24T19:00:00+09:00.")
    if any(not EARLIEST <= moment <= LATEST for moment in (new.starts_at, opens, closes)):
        raise BadRequest(f"Times lie between {EARLIEST:%Y} and {LATEST:%Y}.")
    if opens >= closes:
        raise BadRequest(
            "Sales must open before they close; they close when the performance starts unless said."
        )


def checked_texts(texts: Texts) -> Texts:
    """The texts without surrounding space.

    Raises:
        BadRequest: one is too long or out of range.
    """
    description = "\n".join(line.rstrip() for line in texts.description.strip().splitlines())
    if len(description) > LONGEST_DESCRIPTION or not description.replace("\n", "").isprintable():
        raise BadRequest(f"description has at most {LONGEST_DESCRIPTION} printable characters.")
    artist = checked_text("artist", texts.artist) if texts.artist.strip() else ""
    for name, most in MOST_OF_TEXTS.items():
        value = getattr(texts, name)
        if value is not None and not 0 <= value <= most:
            raise BadRequest(f"{name} is 0 to {most}, or null.")
    return replace(texts, description=description, artist=artist)


def checked_text(name: str, value: str) -> str:
    """A title without surrounding space.

    Raises:
        BadRequest: it is empty, too long, or holds control characters.
    """
    value = value.strip()
    if not 1 <= len(value) <= LONGEST_TITLE or not value.isprintable():
        raise BadRequest(f"{name} has 1 to {LONGEST_TITLE} printable characters.")
    return value
