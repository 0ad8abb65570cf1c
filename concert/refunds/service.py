"""Refunding paid seats, by staff and by whoever owns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from concert.catalogue.service import SET_RETURNS, Performance, forget, read_performance
from concert.ground import events
from concert.ground.audit import Actor, checked_reason, record
from concert.ground.database import Connection, connection
from concert.ground.errors import BadRequest, NotYours, RefundNotPossible, Unavailable
from concert.ground.idempotency import Attempt, once
from concert.ground.observability import note_event
from concert.payments.service import Cause, Payment, payment_by_id, read_payment
from concert.refunds import queries
from concert.refunds.giving_back import GivenBack, Paid, give_back, lock_payment, some_of
from concert.waiting_room.seats import tell_moved

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Refunded:
    """What was given back just now, and the payment as it is since."""

    payment: Payment
    refunds: tuple[GivenBack, ...]

    @property
    def amount(self) -> int:
        """How much was given back just now, in won."""
        return sum(one.amount for one in self.refunds)

    @property
    def seats(self) -> tuple[tuple[int, int], ...]:
        """The seats that were given back just now, with their prices, in number order."""
        return tuple(sorted(seat for one in self.refunds for seat in one.seats))


@dataclass(frozen=True, slots=True)
class Returned:
    """A seat that its owner gave back: how much came to their wallet, and its balance after it, in won."""

    payment_id: UUID
    seat_no: int
    amount: int
    balance: int


def refund_payment(
    payment_id: UUID,
    seat_nos: Sequence[int] | None = None,
    *,
    reason: str,
    actor: Actor,
    attempt: Attempt | None = None,
) -> Refunded:
    """Give a payment back to the wallet of whoever owns its seats, or only some of the seats.

    They are free again, and their tickets void. Without ``seat_nos`` it is all that is left of it.

    Raises:
        BadRequest: no reason is given, or the seats are none, or one is named twice.
        NotFound: there is no such payment.
        RefundNotPossible: a seat was given back already or was never part of it, or the wallet
            would hold too much.
        IdempotencyConflict: the key was used for another request.
    """
    reason = needed_reason(reason)
    refunded_now: list[Paid] = []

    def work(link: Connection) -> Refunded:
        refunded_now.clear()
        with link.transaction():
            paid = lock_what_is_left(link, payment_id, seat_nos)
            made = give_back(link, [paid], "staff", reason)
            told = Refunded(read_payment(link, payment_id), tuple(made))
            record(
                link,
                actor,
                "refund",
                "payment",
                payment_id,
                before={"refunded": told.payment.refunded - told.amount},
                after={
                    "refunded": told.payment.refunded,
                    "performance_id": paid.performance_id,
                    "seats": [seat_no for seat_no, _ in told.seats],
                    "wallets": [{"user_id": one.user_id, "amount": one.amount} for one in made],
                },
                reason=reason,
            )
        refunded_now.append(paid)
        return told

    refunded = once(attempt, Refunded, work)
    if refunded_now:
        tell_given_back(refunded_now, refunded.refunds, "staff")
    return refunded


def return_seat(user_id: UUID, payment_id: UUID, seat_no: int) -> Returned:
    """Give one's own seat back, bought or taken over, as long as its date allows that.

    Whoever gives the same seat back again changes nothing, and gets the first answer.

    Raises:
        NotFound: there is no such payment.
        NotYours: the seat is somebody else's.
        RefundNotPossible: the time for it is over, somebody has entered with its ticket, the seat is
            not part of the payment, or the wallet would hold too much.
    """
    with connection() as link, link.transaction():
        paid = lock_payment(link, payment_id)
        row = link.execute(queries.RETURNED, (payment_id, seat_no)).fetchone()
        if row is not None:
            if row[0] != user_id:
                raise NotYours("This seat was somebody else's.")
            return Returned(payment_id, seat_no, *row[1:])
        if paid is None or seat_no not in dict(paid.seats):
            if read_payment(link, payment_id).user_id != user_id:
                raise NotYours("This payment is somebody else's.")
            raise RefundNotPossible("gone", f"Seat {seat_no} is not part of this payment.")
        returned = some_of(paid, [seat_no])
        made = give_back(link, [returned], "returned", None, owner=user_id)
        # Nobody but its owner learns until when that is.
        takes = link.execute(queries.TAKES_RETURNS, (paid.performance_id,)).fetchone()
        if takes is None or not takes[0]:
            raise RefundNotPossible("late", "Tickets of this date cannot be given back now.")
    tell_given_back([returned], made, "returned")
    (one,) = made
    return Returned(payment_id, seat_no, one.amount, one.balance)


def set_returns_until(
    performance_id: int, until: datetime | None, *, actor: Actor, reason: str | None = None
) -> Performance:
    """Say until when whoever has a ticket of a date may give it back; None: they may not.

    Raises:
        BadRequest: the moment has no offset, or is later than when the date begins.
        NotFound: there is no such performance.
    """
    if until is not None and until.tzinfo is None:
        raise BadRequest("Times need an offset, such as 2026-12-24T19:00:00+09:00.")
    with connection() as link, link.transaction():
        before = read_performance(link, performance_id)
        if until is not None and until > before.starts_at:
            raise BadRequest("Tickets can be given back until the date begins, and no longer.")
        link.execute(SET_RETURNS, (until, performance_id))
        record(
            link,
            actor,
            "set_returns",
            "performance",
            performance_id,
            before={"returns_until": before.returns_until},
            after={"returns_until": until},
            reason=reason,
        )
    forget(before.concert_id)
    return replace(before, returns_until=until)


def tell_given_back(
    given: Sequence[Paid], refunds: Sequence[GivenBack], cause: Cause, *, publish: bool = True
) -> None:
    """Tell the logs, the line and the live pages of what was given back; it is committed by then."""
    for refund in refunds:
        note_event(
            "refunded",
            refund.user_id,
            performance=refund.performance_id,
            seats=refund.seat_nos,
            payment=refund.payment_id,
            amount=refund.amount,
            cause=cause,
        )
    if not publish:
        return
    for one in given:
        seat_nos = [seat_no for seat_no, _ in one.seats]
        events.publish_seats(one.performance_id, seat_nos, "available")
        if one.is_on_sale:
            try:
                tell_moved(one.room, "given", len(seat_nos))
            except Unavailable:
                log.warning("seats_not_told", room=one.room, kind="given")


def lock_what_is_left(link: Connection, payment_id: UUID, seat_nos: Sequence[int] | None) -> Paid:
    """What is left of a payment, or these seats of it, with its reservation locked.

    Raises:
        BadRequest: no seat is named, or one is named twice.
        NotFound: there is no such payment.
        RefundNotPossible: a seat was given back already, or was never part of it.
    """
    paid = lock_payment(link, payment_id)
    if paid is None:
        payment_by_id(payment_id)  # it says where there is none
        raise RefundNotPossible("gone", "All of this payment was given back already.")
    return some_of(paid, seat_nos)


def needed_reason(reason: str) -> str:
    """The reason without surrounding space.

    Raises:
        BadRequest: there is none, it is too long, or it holds control characters.
    """
    checked = checked_reason(reason)
    if checked is None:
        raise BadRequest("Say why: whoever gets the money back reads it.")
    return checked
