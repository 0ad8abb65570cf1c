"""Cancelling a date: its sale ends at once, and everybody gets their money back, each once.

Cancelling is one short transaction. The money follows in batches, which the clock asks for: each
locks the next paid reservations of the date that nobody else has locked, and gives them back whole.
What is done is written nowhere else than in what it does: a reservation is paid, or it is refunded.
So a batch that dies has done nothing, the next one begins where it began, and two at once share the work.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

import structlog

from concert.catalogue.service import close_cancelled, concert_and_performance, forget
from concert.ground import events
from concert.ground.audit import SYSTEM, Actor, record
from concert.ground.database import Connection, connection, upkeep_connection
from concert.ground.errors import NotFound, RefundNotPossible
from concert.refunds import queries
from concert.refunds.giving_back import GivenBack, Paid, give_back, lock_next, lock_payment
from concert.refunds.service import needed_reason, tell_given_back
from concert.reservations.service import release_all_of

log = structlog.get_logger()

# Payments that one transaction gives back; and how long one job goes on, in seconds.
AT_ONCE = 100
GOES_ON_SECONDS = 8.0
# A hold or a payment that had begun before the sale was over is done or undone by then: no statement may
# take that long.
SETTLED_SECONDS = 10
# Those whose wallets were full are tried again after so long.
TRIED_AGAIN_SECONDS = 5
MOST_LISTED = 50
FIRST = UUID(int=0)

State = Literal["running", "waiting", "done"]


@dataclass(frozen=True, slots=True)
class Left:
    """A payment that could not be given back so far, in won."""

    payment_id: UUID
    user_id: UUID
    amount: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far giving back the money of a cancelled date has come: payments, and won.

    ``held`` are reservations that are not released yet. ``waiting`` are those whose wallets would hold
    too much; they are tried again.
    """

    performance_id: int
    reason: str
    cancelled_at: datetime
    looked_at: datetime | None
    finished_at: datetime | None
    payments_refunded: int
    won_refunded: int
    payments_left: int
    won_left: int
    held: int
    waiting: tuple[Left, ...] = ()

    @property
    def state(self) -> State:
        """``running``; ``waiting`` where some cannot be given their money now; or ``done``."""
        if self.finished_at is not None:
            return "done"
        return "waiting" if self.waiting else "running"

    @property
    def payments(self) -> int:
        """All payments that there are to give back, those that are done among them."""
        return self.payments_refunded + self.payments_left


@dataclass(frozen=True, slots=True)
class AtStake:
    """What cancelling a performance would do: payments, their seats and won to be given back, and holds to release."""

    payments: int
    seats: int
    won: int
    holds: int


def cancel_performance(performance_id: int, *, reason: str, actor: Actor) -> tuple[Progress, bool]:
    """Cancel a performance: nothing of it is sold any more, and everybody will get their money back.

    Returns how far that is, and whether it was cancelled just now: cancelling again changes nothing.

    Raises:
        BadRequest: no reason is given.
        NotFound: there is no such performance.
    """
    reason = needed_reason(reason)
    concert, before = concert_and_performance(performance_id)
    with connection() as link, link.transaction():
        performance = close_cancelled(link, performance_id)
        if performance is not None:
            assert performance.cancelled_at is not None
            link.execute(
                queries.START_CANCELLATION, (performance_id, reason, performance.cancelled_at)
            )
            record(
                link,
                actor,
                "cancel_performance",
                "performance",
                performance_id,
                before={"sales_close_at": before.sales_close_at, "cancelled_at": None},
                after={
                    "sales_close_at": performance.sales_close_at,
                    "cancelled_at": performance.cancelled_at,
                    "title": concert.title,
                    "starts_at": performance.starts_at,
                },
                reason=reason,
            )
    if performance is not None:
        forget(concert.concert_id)
        release_all_of(performance_id)
        events.publish_closed(performance_id)
    return progress_of(performance_id), performance is not None


def progress_of(performance_id: int) -> Progress:
    """How far giving back the money of a cancelled date has come.

    Raises:
        NotFound: there is no such performance, or it is not cancelled.
    """
    with connection() as link:
        row = link.execute(queries.PROGRESS, (performance_id,)).fetchone()
        if row is None:
            raise NotFound("This performance is not cancelled, or there is none.")
        progress = Progress(*row)
        waiting: tuple[Left, ...] = ()
        if progress.finished_at is None and progress.looked_at and progress.payments_left:
            left = link.execute(queries.LEFT, (performance_id, MOST_LISTED)).fetchall()
            waiting = tuple(Left(*one) for one in left)
    return replace(progress, waiting=waiting)


def at_stake(performance_id: int) -> AtStake:
    """What cancelling a performance would do."""
    with connection() as link:
        row = link.execute(queries.AT_STAKE, (performance_id,)).fetchone()
    assert row is not None
    return AtStake(*row)


def refund_cancelled(seconds: float = GOES_ON_SECONDS) -> int:
    """Go on giving back the money of cancelled dates, for so long; returns how many payments it were.

    Raises:
        Unavailable: PostgreSQL cannot be reached, or has somebody else's lock for too long; what
            was given back until then stays so.
    """
    ends, refunded = time.monotonic() + seconds, 0
    with connection() as link:
        unfinished = link.execute(queries.UNFINISHED, (TRIED_AGAIN_SECONDS,)).fetchall()
    for performance_id, reason in unfinished:
        release_all_of(performance_id)
        after: UUID | None = FIRST
        while after is not None:
            if time.monotonic() > ends:
                return refunded
            after, done = _refund_next(performance_id, reason, after)
            refunded += done
        _note_looked_at(performance_id)
    return refunded


def _refund_next(performance_id: int, reason: str, after: UUID) -> tuple[UUID | None, int]:
    """Give back the next payments; returns the last one's reservation, None where there were none, and how many."""
    given: list[Paid] = []
    made: list[GivenBack] = []
    try:
        with upkeep_connection() as link:
            given = lock_next(link, performance_id, after, AT_ONCE)
            made = _give_back(link, given, reason)
    except RefundNotPossible:
        # One of them stands in the way of all; nothing was kept, and each is tried alone.
        done = sum(_refund_alone(one.payment_id, reason) for one in given)
        return given[-1].reservation_id, done
    tell_given_back(given, made, "cancelled", publish=False)
    return (given[-1].reservation_id if given else None), len(given)


def _refund_alone(payment_id: UUID, reason: str) -> int:
    try:
        with upkeep_connection() as link:
            paid = lock_payment(link, payment_id)
            if paid is None:
                return 0
            made = _give_back(link, [paid], reason)
    except RefundNotPossible as error:
        log.warning("refund_not_possible", payment=str(payment_id), why=error.why)
        return 0
    tell_given_back([paid], made, "cancelled", publish=False)
    return 1


def _give_back(link: Connection, given: list[Paid], reason: str) -> list[GivenBack]:
    made = give_back(link, given, "cancelled", reason)
    with link.pipeline():
        for one in made:
            record(
                link,
                SYSTEM,
                "refund",
                "payment",
                one.payment_id,
                after={
                    "performance_id": one.performance_id,
                    "seats": one.seat_nos,
                    "wallets": [{"user_id": one.user_id, "amount": one.amount}],
                    "cause": "cancelled",
                },
                reason=reason,
            )
    return made


def _note_looked_at(performance_id: int) -> None:
    asked = {"performance": performance_id, "settled": SETTLED_SECONDS}
    with connection() as link, link.transaction():
        row = link.execute(queries.NOTE_LOOKED_AT, asked).fetchone()
        if row is None or not row[0]:
            return
        record(link, SYSTEM, "finish_cancellation", "performance", performance_id)
    log.info("cancellation_finished", performance=performance_id)
