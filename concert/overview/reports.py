"""What a sale has come to, as tables: orders, seats by hour and price, and dates; for pages, files and commands.

A report is a head and rows of plain values, read in batches, so that a hall's worth of orders needs no
memory. How it is written (:func:`as_csv`) is here too, so that a page and a command write the same.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from concert.catalogue.service import concert_listed, concerts_behind
from concert.ground.audit import spreadsheet_cell
from concert.ground.budget import within
from concert.ground.database import array, connection
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.waiting_room.rooms import room_of

ReportName = Literal["orders", "hours", "prices", "dates"]
ORDERS_AT_ONCE = 1000
# A batch of a file that is being read may take longer than a page.
BATCH_SECONDS = 20.0
# Spreadsheets take a file for UTF-8 where it begins with this.
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"

# Orders after one of them, by the time at which they were paid.
ORDERS = """
SELECT y.paid_at, y.id, c.id, c.title, p.id, p.starts_at, r.seat_nos, r.prices, y.amount, y.user_id, r.created_at
FROM payments y JOIN reservations r ON r.id = y.reservation_id
JOIN performances p ON p.id = r.performance_id JOIN concerts c ON c.id = p.concert_id
WHERE r.performance_id = ANY (%(dates)s::bigint[]) AND (y.paid_at, y.id) > (%(paid_at)s, %(id)s::uuid)
ORDER BY y.paid_at, y.id LIMIT %(most)s"""

# What was paid in each hour, as clocks at the venue show it.
HOURS = """
SELECT date_trunc('hour', y.paid_at, %(zone)s), count(*), sum(cardinality(r.seat_nos)), sum(y.amount)
FROM payments y JOIN reservations r ON r.id = y.reservation_id
WHERE r.performance_id = ANY (%(dates)s::bigint[]) GROUP BY 1 ORDER BY 1"""

# The seats of each date by price.
PRICES = """
SELECT c.id, c.title, p.id, p.starts_at, s.price, count(*),
    count(*) FILTER (WHERE s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= statement_timestamp())),
    count(*) FILTER (WHERE s.sold_at IS NULL AND s.held_until > statement_timestamp()),
    count(*) FILTER (WHERE s.sold_at IS NOT NULL), coalesce(sum(s.price) FILTER (WHERE s.sold_at IS NOT NULL), 0)
FROM seats s JOIN performances p ON p.id = s.performance_id JOIN concerts c ON c.id = p.concert_id
WHERE p.id = ANY (%(dates)s::bigint[])
GROUP BY c.id, c.title, p.id, p.starts_at, s.price ORDER BY p.starts_at, p.id, s.price DESC"""

# Each date with what became of its holds, and the money.
DATES = """
SELECT c.id, c.title, p.id, p.starts_at, p.sales_open_at, p.sales_close_at, p.capacity,
    coalesce(h.seats, 0), coalesce(h.paid, 0), coalesce(h.lapsed, 0), coalesce(h.released, 0), coalesce(h.amount, 0)
FROM performances p JOIN concerts c ON c.id = p.concert_id LEFT JOIN (
    SELECT r.performance_id, sum(cardinality(r.seat_nos)) FILTER (WHERE r.status = 'paid') AS seats,
        count(*) FILTER (WHERE r.status = 'paid') AS paid,
        count(*) FILTER (WHERE r.status = 'expired' OR (r.status = 'held' AND r.held_until <= statement_timestamp()))
            AS lapsed,
        count(*) FILTER (WHERE r.status = 'cancelled') AS released, sum(y.amount) AS amount
    FROM reservations r LEFT JOIN payments y ON y.reservation_id = r.id
    WHERE r.performance_id = ANY (%(dates)s::bigint[]) GROUP BY r.performance_id
) h ON h.performance_id = p.id
WHERE p.id = ANY (%(dates)s::bigint[]) ORDER BY p.starts_at, p.id"""

Rows = Iterable[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Scope:
    """Of which dates a report is: those of a concert, or all behind a room; ``name`` is for a file."""

    name: str
    dates: tuple[int, ...]


def scope_of(*, room: str | None = None, concert: int | None = None) -> Scope:
    """The dates behind a room, or of a concert.

    Raises:
        NotFound: there is no such room or concert.
    """
    if concert is not None:
        concerts = [concert_listed(concert).concert]
        name = f"concert-{concert}"
    else:
        name = room_of(room or "").slug
        concerts = concerts_behind(name)
    return Scope(name, tuple(one.performance_id for each in concerts for one in each.performances))


def orders(scope: Scope) -> Iterator[tuple[Any, ...]]:
    """Every payment, the earliest first, in batches that each see what is there then."""
    after: tuple[datetime, UUID] = (datetime(1, 1, 2, tzinfo=UTC), UUID(int=0))
    while True:
        asked = {"dates": array(scope.dates), "paid_at": after[0], "id": after[1]}
        with within(BATCH_SECONDS), connection() as link:
            rows = link.execute(ORDERS, {**asked, "most": ORDERS_AT_ONCE}).fetchall()
        for row in rows:
            paid_at, payment, concert, title, date, starts, seats, prices, amount, user, held = row
            yield (
                *(payment, paid_at, held, user, concert, title, date, starts, len(seats)),
                " ".join(map(str, seats)),
                " ".join(map(str, prices)),
                amount,
            )
        if len(rows) < ORDERS_AT_ONCE:
            return
        after = (rows[-1][0], rows[-1][1])


def hours(scope: Scope) -> list[tuple[datetime, int, int, int]]:
    """Orders, seats and won paid in each hour in which anything was."""
    return _rows(HOURS, scope)


def prices(scope: Scope) -> list[tuple[Any, ...]]:
    """The seats of each date by price: all, free, held, sold, and what the sold ones cost."""
    return _rows(PRICES, scope)


def dates(scope: Scope) -> list[tuple[Any, ...]]:
    """Each date: seats sold, orders, holds that lapsed and were given back, and the money."""
    return _rows(DATES, scope)


REPORTS: dict[ReportName, tuple[tuple[str, ...], Callable[[Scope], Rows]]] = {
    "orders": (
        (
            *("payment_id", "paid_at", "held_at", "user_id", "concert_id", "title"),
            *("performance_id", "starts_at", "seats", "seat_nos", "prices", "amount"),
        ),
        orders,
    ),
    "hours": (("hour", "orders", "seats", "amount"), hours),
    "prices": (
        (
            *("concert_id", "title", "performance_id", "starts_at", "price"),
            *("seats", "free", "held", "sold", "amount"),
        ),
        prices,
    ),
    "dates": (
        (
            *("concert_id", "title", "performance_id", "starts_at", "sales_open_at"),
            *("sales_close_at", "capacity", "sold", "orders", "lapsed", "released", "amount"),
        ),
        dates,
    ),
}


def as_csv(name: ReportName, scope: Scope, *, bom: bool = False) -> Iterator[str]:
    """A report as the lines of a table; with ``bom`` Excel takes it for the UTF-8 that it is.

    Times are ISO 8601 in the time zone of the venue. Nothing in it is taken for a formula.
    """
    head, read = REPORTS[name]
    zone = part(Settings).zone
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(head)
    yield (BOM if bom else "") + written.getvalue()
    for row in read(scope):
        written.seek(0)
        written.truncate()
        table.writerow([_cell(value, zone) for value in row])
        yield written.getvalue()


def _cell(value: Any, zone: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    return str(value) if isinstance(value, int) else spreadsheet_cell(value)


def _rows(statement: str, scope: Scope) -> list[Any]:
    asked = {"dates": array(scope.dates), "zone": part(Settings).timezone}
    with connection() as link:
        return link.execute(statement, asked).fetchall()
