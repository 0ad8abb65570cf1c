"""JSON calls about payments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flask import Response

from concert.api.door import (
    Written,
    answer,
    answers,
    attempt,
    new_door,
    queue_token,
    security,
    takes,
    user_id,
    written,
)
from concert.api.reservations import priced_seats
from concert.api.schemas import PaymentAnswer, PaymentPath, PaymentsAnswer, Retry, SeatPath, Which
from concert.catalogue.service import concert_of, find_performance
from concert.ground.idempotency import or_first_answer
from concert.payments.service import Payment, pay_seat, payment_of, payments_of
from concert.planning.service import Change, changes_of, changes_since

door = new_door("payments", "Paying for held seats.")


@door.post(
    "/concerts/<concert_id>/seats/<seat_no>/payments",
    summary="Pay the reservation that holds this seat",
    security=security("queue"),
    responses=answers({200: PaymentAnswer}, 400, 401, 402, 403, 404, 409, 413, 415),
)
@takes("queue", admitted=True)
def post_payment(path: SeatPath, body: Which, header: Retry) -> Written:
    """All its seats at once, from the wallet; then the queue token is over. Paying twice returns the first payment."""
    key = attempt(
        "pay", concert=path.concert_id, seat=path.seat_no, **body.model_dump(exclude_none=True)
    )

    def pay() -> Payment:
        concert = concert_of(path.concert_id)
        performance = find_performance(concert, date=body.date, performance_id=body.performance_id)
        return pay_seat(queue_token(), concert.room, performance, path.seat_no, key)

    return written(payment_document(or_first_answer(key, Payment, pay)))


@door.get(
    "/payments",
    summary="My payments, newest first",
    security=security("user"),
    responses=answers({200: PaymentsAnswer}, 401),
)
@takes("user")
def get_payments() -> Response:
    """What I own, and what it cost."""
    payments = payments_of(user_id())
    changes = changes_of([one.performance_id for one in payments])
    return answer(
        {
            "payments": [
                payment_document(one, changes.get(one.performance_id, ())) for one in payments
            ]
        }
    )


@door.get(
    "/payments/<payment_id>",
    summary="One of my payments",
    security=security("user"),
    responses=answers({200: PaymentAnswer}, 400, 401, 403, 404),
)
@takes("user")
def get_payment(path: PaymentPath) -> Response:
    """A receipt."""
    payment = payment_of(user_id(), path.payment_id)
    changes = changes_of([payment.performance_id])
    return answer(payment_document(payment, changes.get(payment.performance_id, ())))


def payment_document(payment: Payment, changes: Sequence[Change] = ()) -> dict[str, Any]:
    """A payment as JSON shows it, with those of ``changes`` that came after it, where there are any."""
    since = changes_since(changes, payment.paid_at)
    return {
        "payment_id": payment.payment_id,
        "reservation_id": payment.reservation_id,
        "concert_id": payment.concert_id,
        "performance_id": payment.performance_id,
        "date": payment.date,
        "seats": priced_seats(payment.performance_id, payment.seat_nos, payment.prices),
        "amount": payment.amount,
        "balance": payment.balance,
        "paid_at": payment.paid_at,
        "refunded": payment.refunded,
        "refunds": [
            {
                "refund_id": refund.refund_id,
                "seats": refund.seat_nos,
                "amount": refund.amount,
                "cause": refund.cause,
                "reason": refund.reason,
                "refunded_at": refund.refunded_at,
            }
            for refund in payment.refunds
        ],
        **({"changes": [asdict(one) for one in since]} if since else {}),
    }
