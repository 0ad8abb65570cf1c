"""JSON calls about money back: refunds by staff."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from flask import Response, g
from pydantic import BaseModel, Field, StrictInt, StrictStr

from concert.api.door import actor, answer, answers, for_staff, new_door
from concert.api.schemas import Asked, PaymentPath, PricedSeat, Retry
from concert.ground.idempotency import Attempt
from concert.refunds.giving_back import GivenBack
from concert.refunds.service import Refunded, refund_payment
from concert.staff.access import Caller, needs

door = new_door("refunds", "Money back: refunds, seats given back, cancelled dates and payouts.")

EXAMPLE_REASON = "The view from these seats is blocked by a camera."


class Said(Asked):
    reason: StrictStr = Field(
        min_length=1,
        max_length=500,
        description="Why, for those whose money it is: they read it. It is kept in the audit log, too.",
        json_schema_extra={"example": EXAMPLE_REASON},
    )


class NewRefund(Said):
    seats: list[StrictInt] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Numbers of seats; left out: all that is left of the payment.",
        json_schema_extra={"example": [12]},
    )


class WalletRefund(BaseModel):
    refund_id: UUID
    user_id: UUID = Field(description="To whose wallet: whoever owned the seats.")
    seats: list[PricedSeat]
    amount: int
    balance: int = Field(description="What the wallet held after it.")


class RefundAnswer(BaseModel):
    payment_id: UUID
    performance_id: int
    seats: list[PricedSeat] = Field(description="What was given back with this call.")
    amount: int = Field(description="The same in won.")
    refunded: int = Field(description="All that was given back of the payment so far, in won.")
    refunds: list[WalletRefund]


@door.post(
    "/payments/<payment_id>/refunds",
    summary="Give a payment back, or some of its seats",
    security=for_staff("box-office"),
    responses=answers({201: RefundAnswer}, 400, 401, 403, 404, 409, 413, 415, 429),
)
@needs("box-office")
def post_refund(path: PaymentPath, body: NewRefund, header: Retry) -> Response:
    """To the wallet of whoever owns the seats; they are free again, and their tickets void."""
    asked = {"payment": path.payment_id, **body.model_dump(exclude_none=True)}
    refunded = refund_payment(
        path.payment_id,
        body.seats,
        reason=body.reason,
        actor=actor(),
        attempt=staff_attempt("refund", **asked),
    )
    return answer(refund_document(refunded), 201)


def refund_document(refunded: Refunded) -> dict[str, Any]:
    """What was given back as JSON shows it."""
    payment = refunded.payment
    return {
        "payment_id": payment.payment_id,
        "performance_id": payment.performance_id,
        "seats": _seats(refunded.seats),
        "amount": refunded.amount,
        "refunded": payment.refunded,
        "refunds": [_wallet_refund(one) for one in refunded.refunds],
    }


def staff_attempt(operation: str, **asked: Any) -> Attempt | None:
    """What the ``Idempotency-Key`` of a call by staff stands for; None where it carries none.

    Keys belong to whoever sends them: an API key that is rotated goes on with those of its name.
    """
    key: str | None = g.idempotency_key
    if key is None:
        return None
    caller: Caller = g.caller
    whose = caller.name if caller.kind == "key" else caller.id
    return Attempt.of(uuid5(NAMESPACE_URL, f"staff:{caller.kind}:{whose}"), key, operation, asked)


def _wallet_refund(one: GivenBack) -> dict[str, Any]:
    return {
        "refund_id": one.refund_id,
        "user_id": one.user_id,
        "seats": _seats(one.seats),
        "amount": one.amount,
        "balance": one.balance,
    }


def _seats(seats: tuple[tuple[int, int], ...]) -> list[dict[str, int]]:
    return [{"seat_no": seat_no, "price": price} for seat_no, price in seats]
