"""Cancelling a date of 5,000 paid seats while its worker is killed, three times."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import TupleRow

from concert.ground.audit import COMMAND
from concert.ground.database import connection
from concert.ground.settings import Settings
from concert.local.processes import local_parts
from concert.refunds import books
from concert.refunds.cancelling import AT_ONCE, cancel_performance, progress_of
from tests.sale import Sale
from tests.service import Program, environment_of, started
from tests.waiting import wait_until

SEATS, PRICE = 5_000, 10_000
# It is killed while it is giving back the one who is so many-th, in a batch with others.
KILLED_AT = (530, 2_070, 3_510)
LONG_ENOUGH = 60.0

# One who has charged, and paid one seat, for each seat: as if all had come.
SOLD_OUT = """
CREATE TEMPORARY TABLE buyers ON COMMIT DROP AS
    SELECT seat_no, gen_random_uuid() AS fan, gen_random_uuid() AS reservation, gen_random_uuid() AS payment
    FROM seats WHERE performance_id = %(performance)s;
INSERT INTO users (id) SELECT fan FROM buyers;
INSERT INTO wallets (user_id, balance) SELECT fan, 500 FROM buyers;
INSERT INTO wallet_entries (user_id, amount, balance_after, kind)
    SELECT fan, %(price)s + 500, %(price)s + 500, 'charge' FROM buyers;
INSERT INTO reservations (id, user_id, performance_id, seat_nos, prices, amount, status, created_at, held_until)
    SELECT reservation, fan, %(performance)s, ARRAY[seat_no], ARRAY[%(price)s], %(price)s, 'paid', now(), now()
    FROM buyers;
INSERT INTO payments (id, reservation_id, user_id, amount, balance_after, paid_at)
    SELECT payment, reservation, fan, %(price)s, 500, now() FROM buyers;
INSERT INTO wallet_entries (user_id, amount, balance_after, kind, payment_id)
    SELECT fan, -%(price)s, 500, 'payment', payment FROM buyers;
INSERT INTO tickets (id, payment_id, performance_id, seat_no, user_id)
    SELECT gen_random_uuid(), payment, %(performance)s, seat_no, fan FROM buyers;
UPDATE seats s SET reservation_id = b.reservation, sold_at = now() FROM buyers b
    WHERE s.performance_id = %(performance)s AND s.seat_no = b.seat_no"""

# How often each of them got money back: (times, people).
TIMES_REFUNDED = """
SELECT times, count(*) FROM (
    SELECT w.user_id, count(e.id) AS times FROM wallets w
    LEFT JOIN wallet_entries e ON e.user_id = w.user_id AND e.kind = 'refund' GROUP BY w.user_id) each
GROUP BY times"""


@pytest.fixture
def upkeep(sale: Sale, settings: Settings) -> Iterator[Worker]:
    """The upkeep's worker and the clock, as processes on the servers of this test."""
    keys = ("the key of the faults: long enough to sign with",)
    worker = Worker(settings.model_copy(update={"secret_keys": keys}))
    try:
        yield worker
    finally:
        worker.end()


class Worker:
    """The upkeep's worker, which may be killed and started again, and the clock that asks for its work."""

    def __init__(self, settings: Settings) -> None:
        self._parts = {part.name: part for part in local_parts(settings, settings.redis_url)}
        self._environment = environment_of(settings)
        self._clock = started(self._parts["clock"], self._environment)
        self._worker = self.start()

    def start(self) -> Program:
        """Start it, as its supervisor does when it has died."""
        self._worker = started(self._parts["upkeep"], self._environment)
        return self._worker

    def kill(self) -> None:
        """Kill it, whatever it is doing."""
        self._worker.end(signal.SIGKILL)

    def end(self) -> None:
        """End both."""
        self._worker.end(signal.SIGKILL)
        self._clock.end(signal.SIGKILL)


def test_everybody_is_refunded_exactly_once_though_the_worker_is_killed_three_times(
    sale: Sale, upkeep: Worker, settings: Settings
) -> None:
    performance = sold_out(sale)
    ties = [tied(settings, performance, rank) for rank in KILLED_AT]
    cancel_performance(performance, reason="The roof leaks.", actor=COMMAND)
    for rank, tie in zip(KILLED_AT, ties, strict=True):
        backend = wait_until(waiting_for_a_wallet, seconds=LONG_ENOUGH, what=f"refund {rank}")
        upkeep.kill()
        tie.close()
        wait_until(lambda pid=backend: not is_there(pid), seconds=LONG_ENOUGH, what="its end")  # type: ignore[misc]
        so_far = progress_of(performance)
        # Of the batch that it had in hand nothing is kept.
        assert so_far.payments_refunded == (rank - 1) // AT_ONCE * AT_ONCE
        assert so_far.payments == SEATS
        upkeep.start()
    wait_until(
        lambda: progress_of(performance).state == "done", seconds=LONG_ENOUGH, what="the end of it"
    )
    with connection() as link:
        assert link.execute(TIMES_REFUNDED).fetchall() == [(1, SEATS)]
        assert link.execute("SELECT DISTINCT balance FROM wallets").fetchall() == [(PRICE + 500,)]
    found = books.audit()
    assert found.differences == ()
    assert (found.sums.refunded, found.sums.seats_sold) == (SEATS * PRICE, 0)


def tied(settings: Settings, performance: int, rank: int) -> psycopg.Connection[TupleRow]:
    """Lock the wallet of whoever is so many-th to be given their money, until the connection is closed."""
    tie = psycopg.connect(settings.database_url)
    found = tie.execute(
        """
        SELECT 1 FROM wallets WHERE user_id = (
            SELECT user_id FROM reservations WHERE performance_id = %s ORDER BY id OFFSET %s LIMIT 1)
        FOR UPDATE""",
        (performance, rank - 1),
    )
    assert found.rowcount == 1
    return tie


def waiting_for_a_wallet() -> int | None:
    """The backend of whoever is in the middle of a batch, and waits for a wallet there."""
    with connection() as link:
        row = link.execute(
            """
            SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM wallets%'"""
        ).fetchone()
    return None if row is None else int(row[0])


def is_there(pid: int) -> bool:
    """Whether a backend has not ended."""
    with connection() as link:
        row = link.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
    return row is not None


def sold_out(sale: Sale) -> int:
    """A performance that is sold out; returns its number."""
    sale.concert(price=PRICE, capacity=SEATS)
    with connection() as link, link.transaction():
        row = link.execute("SELECT max(id) FROM performances").fetchone()
        assert row is not None
        for statement in SOLD_OUT.split(";"):
            link.execute(statement, {"performance": row[0], "price": PRICE})
    return int(row[0])
