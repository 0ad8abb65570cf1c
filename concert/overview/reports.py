"""What a sale has come to, as tables: orders, refunds, entries, hours, prices, dates; for pages, files and commands.

A report is a head and rows of plain values, read in batches, so that a hall's worth of orders needs no
memory. How it is written (:func:`as_csv`) is here too, so that a page and a command write the same.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from concert.payments.queries import FROM_PAYMENTS
from concert.waiting_room.rooms import room_of

ReportName = Literal["orders", "refunds", "entries", "hours", "prices", "dates"]
ROWS_AT_ONCE = 1000
# A batch of a file that is being read may take longer than a page.
BATCH_SECONDS = 20.0
# Spreadsheets take a file for UTF-8 where it begins with this.
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"

# Orders after one of them, by the time at which they were paid.
ORDERS = f"""
SELECT y.paid_at, y.id, c.id, c.title, p.id, p.starts_at, bought.seat_nos, bought.prices, y.amount, bought.refunded,
    y.user_id, r.created_at
{FROM_PAYMENTS} JOIN concerts c ON c.id = p.concert_id
WHERE r.performance_id = ANY (%(dates)s::bigint[]) AND (y.paid_at, y.id) > (%(at)s, %(id)s::uuid)
ORDER BY y.paid_at, y.id LIMIT %(most)s"""

# Refunds after one of them, by the time at which they were made.
REFUNDS = """
SELECT f.refunded_at, f.id, f.payment_id, c.id, c.title, p.id, p.starts_at,
    ARRAY(SELECT s.seat_no FROM refunded_seats s WHERE s.refund_id = f.id ORDER BY s.seat_no),
    f.amount, f.user_id, f.cause, f.reason
FROM refunds f JOIN performances p ON p.id = f.performance_id JOIN concerts c ON c.id = p.concert_id
WHERE f.performance_id = ANY (%(dates)s::bigint[]) AND (f.refunded_at, f.id) > (%(at)s, %(id)s::uuid)
ORDER BY f.refunded_at, f.id LIMIT %(most)s"""

# What scanners have seen after one of these, in the order in which we heard of it.
ENTRIES = """
SELECT e.id, e.at, e.received_at, e.gate, e.device, e.result, e.offline, e.undone_at, e.ticket_id, t.seat_no,
    c.id, c.title, p.id, p.starts_at
FROM entries e JOIN performances p ON p.id = e.performance_id JOIN concerts c ON c.id = p.concert_id
LEFT JOIN tickets t ON t.id = e.ticket_id
WHERE e.performance_id = ANY (%(dates)s::bigint[]) AND e.id > %(id)s ORDER BY e.id LIMIT %(most)s"""

# What was paid in each hour, as clocks at the venue show it.
HOURS = f"""
SELECT date_trunc('hour', y.paid_at, %(zone)s), count(*), sum(cardinality(bought.seat_nos)), sum(y.amount)
{FROM_PAYMENTS}
WHERE r.performance_id = ANY (%(dates)s::bigint[]) GROUP BY 1 ORDER BY 1"""

# The seats of each date by price.
PRICES = """
SELECT c.id, c.title, p.id, p.starts_at, s.price, count(*),
    count(*) FILTER (WHERE s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= statement_timestamp())),
    count(*) FILTER (WHERE s.sold_at IS NULL AND s.held_until > statement_timestamp()),
    count(*) FILTER (WHERE s.sold_at IS NOT NULL), coalesce(sum(s.price) FILTER (WHERE s.sold_at IS NOT NULL), 0)
FROM seats_for_sale s JOIN performances p ON p.id = s.performance_id JOIN concerts c ON c.id = p.concert_id
WHERE p.id = ANY (%(dates)s::bigint[])
GROUP BY c.id, c.title, p.id, p.starts_at, s.price ORDER BY p.starts_at, p.id, s.price DESC"""

# Each date with what became of its holds, and the money.
DATES = """
SELECT c.id, c.title, p.id, p.starts_at, p.sales_open_at, p.sales_close_at, p.capacity,
    (SELECT count(*) FROM seats s WHERE s.performance_id = p.id AND s.sold_at IS NOT NULL),
    coalesce(h.paid, 0), coalesce(h.lapsed, 0), coalesce(h.released, 0), coalesce(h.amount, 0),
    coalesce((SELECT sum(f.amount) FROM refunds f WHERE f.performance_id = p.id), 0),
    (SELECT count(*) FROM entries e WHERE e.performance_id = p.id AND e.result = 'in' AND e.undone_at IS NULL)
FROM performances p JOIN concerts c ON c.id = p.concert_id LEFT JOIN (
    SELECT r.performance_id, count(y.id) AS paid,
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
    for row in _by_time(ORDERS, scope):
        paid_at, payment, concert, title, date, starts, seats, prices, amount, *more = row
        refunded, user, held = more
        yield (
            *(payment, paid_at, held, user, concert, title, date, starts, len(seats)),
            " ".join(map(str, seats)),
            " ".join(map(str, prices)),
            amount,
            refunded,
        )


def refunds(scope: Scope) -> Iterator[tuple[Any, ...]]:
    """Everything that was given back, the earliest first, in the same way."""
    for row in _by_time(REFUNDS, scope):
        at, refund, payment, concert, title, date, starts, seats, amount, user, cause, reason = row
        told = (refund, at, payment, user, concert, title, date, starts, len(seats))
        yield (*told, " ".join(map(str, seats)), amount, cause, reason)


def entries(scope: Scope) -> Iterator[tuple[Any, ...]]:
    """Everything that scanners have seen of these dates, in the order in which we heard of it."""
    after = 0
    while True:
        with within(BATCH_SECONDS), connection() as link:
            asked = {"dates": array(scope.dates), "id": after, "most": ROWS_AT_ONCE}
            rows = link.execute(ENTRIES, asked).fetchall()
        yield from rows
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1][0]


def _by_time(statement: str, scope: Scope) -> Iterator[Sequence[Any]]:
    """Rows that begin with a moment and an id, batch by batch in the order of both."""
    after: tuple[datetime, UUID] = (datetime(1, 1, 2, tzinfo=UTC), UUID(int=0))
    while True:
        asked = {"dates": array(scope.dates), "at": after[0], "id": after[1], "most": ROWS_AT_ONCE}
        with within(BATCH_SECONDS), connection() as link:
            rows = link.execute(statement, asked).fetchall()
        yield from rows
        if len(rows) < ROWS_AT_ONCE:
            return
        after = (rows[-1][0], rows[-1][1])


def hours(scope: Scope) -> list[tuple[datetime, int, int, int]]:
    """Orders, seats and won paid in each hour in which anything was."""
    return _rows(HOURS, scope)


def prices(scope: Scope) -> list[tuple[Any, ...]]:
    """The seats of each date by price: all, free, held, sold, and what the sold ones cost."""
    return _rows(PRICES, scope)


def dates(scope: Scope) -> list[tuple[Any, ...]]:
    """Each date: seats sold, orders, holds that lapsed and were given back, money, and people who are in."""
    return _rows(DATES, scope)


REPORTS: dict[ReportName, tuple[tuple[str, ...], Callable[[Scope], Rows]]] = {
    "orders": (
        (
            *("payment_id", "paid_at", "held_at", "user_id", "concert_id", "title"),
            *("performance_id", "starts_at", "seats", "seat_nos", "prices", "amount"),
            "refunded",
        ),
        orders,
    ),
    "refunds": (
        (
            *("refund_id", "refunded_at", "payment_id", "user_id", "concert_id", "title"),
            *("performance_id", "starts_at", "seats", "seat_nos", "amount", "cause", "reason"),
        ),
        refunds,
    ),
    "entries": (
        (
            *("entry_id", "at", "received_at", "gate", "device", "result", "offline", "undone_at"),
            *("ticket_id", "seat_no", "concert_id", "title", "performance_id", "starts_at"),
        ),
        entries,
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
            *("refunded", "entered"),
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
