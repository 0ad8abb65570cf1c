"""Refunding paid seats, by staff and by whoever owns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from concert.ground import events
from concert.ground.audit import Actor, checked_reason, record
from concert.ground.database import Connection
from concert.ground.errors import BadRequest, RefundNotPossible, Unavailable
from concert.ground.idempotency import Attempt, once
from concert.ground.observability import note_event
from concert.payments.service import Cause, Payment, payment_by_id, read_payment
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
            paid = _what_is_left(link, payment_id, seat_nos)
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


def needed_reason(reason: str) -> str:
    """The reason without surrounding space.

    Raises:
        BadRequest: there is none, it is too long, or it holds control characters.
    """
    checked = checked_reason(reason)
    if checked is None:
        raise BadRequest("Say why: whoever gets the money back reads it.")
    return checked


def _what_is_left(link: Connection, payment_id: UUID, seat_nos: Sequence[int] | None) -> Paid:
    paid = lock_payment(link, payment_id)
    if paid is None:
        payment_by_id(payment_id)  # it says where there is none
        raise RefundNotPossible("gone", "All of this payment was given back already.")
    return some_of(paid, seat_nos)
