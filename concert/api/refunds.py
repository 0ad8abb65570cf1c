"""JSON calls about money back: refunds, seats given back, cancelled dates and payouts."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from flask import Response, g
from pydantic import BaseModel, Field, StrictInt, StrictStr

from concert.api.door import (
    actor,
    answer,
    answers,
    for_staff,
    new_door,
    security,
    takes,
    user_id,
)
from concert.api.schemas import (
    EXAMPLE_USER,
    Asked,
    Decimal,
    Moment,
    PaymentPath,
    PricedSeat,
    Reasoned,
    Retry,
)
from concert.ground.idempotency import Attempt
from concert.refunds.cancelling import Progress, cancel_performance, progress_of
from concert.refunds.giving_back import GivenBack
from concert.refunds.service import Refunded, refund_payment, return_seat, set_returns_until
from concert.staff.access import Caller, needs
from concert.wallet.payouts import pay_out

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


class PerformancePath(Asked):
    performance_id: Decimal = Field(
        ge=1,
        le=2**63 - 1,
        description="The performance's number.",
        json_schema_extra={"example": 1},
    )


class UserPath(Asked):
    user_id: UUID = Field(json_schema_extra={"example": EXAMPLE_USER})


class PaidSeatPath(PaymentPath):
    seat_no: Decimal = Field(ge=1, le=20_000, json_schema_extra={"example": 12})


class ReturnedAnswer(BaseModel):
    payment_id: UUID
    seat_no: int
    amount: int
    balance: int = Field(description="What the wallet held after it.")


class Returns(Reasoned):
    until: Moment | None = Field(
        description="Until when tickets of this date may be given back; null: they may not.",
        json_schema_extra={"example": "2026-12-20T19:00:00+09:00"},
    )


class ReturnsAnswer(BaseModel):
    performance_id: int
    returns_until: dt.datetime | None


class NewPayout(Asked):
    amount: StrictInt = Field(
        ge=1, le=1_000_000_000, description="Whole won.", json_schema_extra={"example": 50_000}
    )
    note: StrictStr = Field(
        min_length=1,
        max_length=500,
        description="Where the money went; the owner reads it.",
        json_schema_extra={"example": "Transfer to the account ending in 1234"},
    )


class PayoutAnswer(BaseModel):
    payout_id: UUID
    user_id: UUID
    amount: int
    note: str
    balance: int = Field(description="What the wallet holds after it.")
    paid_out_at: dt.datetime


class DoneAndLeft(BaseModel):
    refunded: int
    left: int


class WaitingRefund(BaseModel):
    payment_id: UUID
    user_id: UUID
    amount: int


class CancellationAnswer(BaseModel):
    performance_id: int
    state: Literal["running", "waiting", "done"] = Field(
        description="`waiting`: some wallets would hold too much; they are tried again and again."
    )
    reason: str
    cancelled_at: dt.datetime
    finished_at: dt.datetime | None
    payments: DoneAndLeft
    amount: DoneAndLeft = Field(description="The same in won.")
    held: int = Field(description="Reservations that somebody was paying just then.")
    waiting: list[WaitingRefund] = Field(
        description="Whom the money could not be given so far, 50 at the most."
    )


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


@door.delete(
    "/payments/<payment_id>/seats/<seat_no>",
    summary="Give one of my seats back",
    security=security("user"),
    responses=answers({200: ReturnedAnswer}, 400, 401, 403, 404, 409),
)
@takes("user")
def delete_seat(path: PaidSeatPath) -> Response:
    """Until `returns_until` of its date; the money goes to the wallet. Again, it changes nothing."""
    return answer(asdict(return_seat(user_id(), path.payment_id, path.seat_no)))


@door.put(
    "/performances/<performance_id>/returns",
    summary="Say until when tickets may be given back",
    security=for_staff(),
    responses=answers({200: ReturnsAnswer}, 400, 401, 403, 404, 413, 415, 429),
)
@needs("organiser")
def put_returns(path: PerformancePath, body: Returns) -> Response:
    """Null: they may not. Until the performance begins, at the latest."""
    changed = set_returns_until(path.performance_id, body.until, actor=actor(), reason=body.reason)
    told = {"performance_id": changed.performance_id, "returns_until": changed.returns_until}
    return answer(told)


@door.post(
    "/users/<user_id>/payouts",
    summary="Write down that a balance was paid out",
    security=for_staff(),
    responses=answers({201: PayoutAnswer}, 400, 401, 402, 403, 404, 409, 413, 415, 429),
)
@needs("organiser")
def post_payout(path: UserPath, body: NewPayout, header: Retry) -> Response:
    """The transfer itself is made elsewhere. With an `Idempotency-Key` it is written down once."""
    payout = pay_out(
        path.user_id,
        body.amount,
        note=body.note,
        actor=actor(),
        attempt=staff_attempt("pay out", user=path.user_id, **body.model_dump()),
    )
    return answer(asdict(payout), 201)


@door.post(
    "/performances/<performance_id>/cancellation",
    summary="Cancel a performance",
    security=for_staff(),
    responses=answers(
        {200: CancellationAnswer, 201: CancellationAnswer}, 400, 401, 403, 404, 413, 415, 429
    ),
)
@needs("organiser")
def post_cancellation(path: PerformancePath, body: Said) -> Response:
    """Its sale ends at once, holds are released, and everybody gets their money back. Again, it changes nothing."""
    progress, is_new = cancel_performance(path.performance_id, reason=body.reason, actor=actor())
    return answer(progress_document(progress), 201 if is_new else 200)


@door.get(
    "/performances/<performance_id>/cancellation",
    summary="How far giving the money back has come",
    security=for_staff("box-office"),
    responses=answers({200: CancellationAnswer}, 400, 401, 403, 404, 429),
)
@needs("box-office")
def get_cancellation(path: PerformancePath) -> Response:
    """Until it is `done`, the clock goes on with it by itself."""
    return answer(progress_document(progress_of(path.performance_id)))


def progress_document(progress: Progress) -> dict[str, Any]:
    """How far a cancellation has come, as JSON shows it."""
    return {
        "performance_id": progress.performance_id,
        "state": progress.state,
        "reason": progress.reason,
        "cancelled_at": progress.cancelled_at,
        "finished_at": progress.finished_at,
        "payments": {"refunded": progress.payments_refunded, "left": progress.payments_left},
        "amount": {"refunded": progress.won_refunded, "left": progress.won_left},
        "held": progress.held,
        "waiting": [asdict(one) for one in progress.waiting],
    }


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
