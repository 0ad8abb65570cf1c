"""Paying a reservation, and the payments that were made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import structlog
from flask import Flask

from concert.catalogue.service import Performance, require_seats
from concert.ground import events
from concert.ground.database import (
    Connection,
    array,
    connection,
    text_array,
    undone_together,
    upkeep_connection,
)
from concert.ground.errors import (
    HoldExpired,
    InsufficientBalance,
    NotAdmitted,
    NotFound,
    NotYours,
    TokenExpired,
    Unavailable,
)
from concert.ground.idempotency import Attempt, once
from concert.ground.observability import counts_refusals, note_event
from concert.ground.parts import keep, part
from concert.ground.together import Together
from concert.payments import queries
from concert.waiting_room import service as waiting_room
from concert.waiting_room.service import Sold
from concert.waiting_room.tokens import QueueToken
from concert.wallet.service import raise_balance

log = structlog.get_logger()

MOST_LISTED = 200


Cause = Literal["staff", "returned", "cancelled"]


@dataclass(frozen=True, slots=True)
class Refund:
    """Money of a payment that was given back to the wallet of whoever had its seats then, in won.

    ``cause``: ``staff`` (somebody of the staff decided it), ``returned`` (the owner gave the seats
    back) or ``cancelled`` (the date was).
    """

    refund_id: UUID
    user_id: UUID
    seat_nos: tuple[int, ...]
    amount: int
    cause: Cause
    reason: str | None
    refunded_at: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    """That a reservation was paid: seats with their prices, amount and the balance after it, in won.

    ``refunded`` is how much of the amount was given back since.
    """

    payment_id: UUID
    user_id: UUID
    reservation_id: UUID
    concert_id: int
    performance_id: int
    date: dt.date
    seat_nos: tuple[int, ...]
    prices: tuple[int, ...]
    amount: int
    balance: int
    paid_at: datetime
    refunded: int = 0
    refunds: tuple[Refund, ...] = ()

    @property
    def is_refunded(self) -> bool:
        """Whether nothing of it is left."""
        return len(self.refunded_seats) == len(self.seat_nos)

    @property
    def refunded_seats(self) -> frozenset[int]:
        """The seats that were given back."""
        return frozenset(seat_no for refund in self.refunds for seat_no in refund.seat_nos)

    @property
    def kept(self) -> tuple[tuple[int, int], ...]:
        """The seats that were not given back, with their prices."""
        gone = self.refunded_seats
        bought = zip(self.seat_nos, self.prices, strict=True)
        return tuple((seat_no, price) for seat_no, price in bought if seat_no not in gone)


@dataclass(frozen=True, slots=True)
class ThisReservation:
    """What is to be paid, by its own name."""

    reservation_id: UUID

    @property
    def names(self) -> dict[str, Any]:
        """What the statements call it."""
        return {"reservation": self.reservation_id}


@dataclass(frozen=True, slots=True)
class HolderOf:
    """What is to be paid, by one of its seats: whatever reservation holds this seat."""

    performance_id: int
    seat_no: int

    @property
    def names(self) -> dict[str, Any]:
        """What the statements call it."""
        return {"performance": self.performance_id, "seat": self.seat_no}


@dataclass(slots=True)
class AskedPayment:
    """A payment that is made with others': whose, for which seat, under which id.

    ``row`` is what ``pay_reservation`` has put out, None where nothing was paid.
    """

    token: QueueToken
    which: HolderOf
    payment_id: UUID
    row: Sequence[Any] | None = None


class PaymentsTogether(Together[AskedPayment]):
    """The payments of this process that are asked for at the same time."""

    def __init__(self) -> None:
        super().__init__(_pay_together)


def init_payments(app: Flask) -> None:
    """Pay together what is asked for together."""
    keep(app, PaymentsTogether())


Which = ThisReservation | HolderOf
# A payment is asked for by one kind of name.
NOTHING_NAMED = {"reservation": None, "performance": None, "seat": None}


@counts_refusals("pay")
def pay_seat(
    token: QueueToken,
    room: str,
    performance: Performance,
    seat_no: int,
    attempt: Attempt | None = None,
) -> Payment:
    """Pay the whole reservation that holds this seat, from the user's wallet.

    Paying again what is paid returns the first payment.

    Raises:
        BadRequest: the seat is out of range.
        NotAdmitted, TokenExpired, TokenInvalid: it is not this user's turn.
        InsufficientBalance: the balance is too small; nothing was taken.
        HoldExpired: the deadline has passed; nothing was taken.
        NotYours: somebody else has the seat.
        NotFound: nobody has the seat.
        IdempotencyConflict: the key was used for another request.
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    require_seats(performance, [seat_no])
    which = HolderOf(performance.performance_id, seat_no)
    # A key needs a transaction of its own.
    if attempt is None and token.room == room:
        payment = _pay_with_others(token, which)
        if payment is not None:
            return payment
    return _pay(token, room, which, attempt)


@counts_refusals("pay")
def pay_reservation(
    token: QueueToken, room: str, reservation_id: UUID, attempt: Attempt | None = None
) -> Payment:
    """Pay a reservation from the user's wallet.

    Paying again what is paid returns the first payment.

    Raises:
        NotAdmitted, TokenExpired, TokenInvalid: it is not this user's turn.
        InsufficientBalance: the balance is too small; nothing was taken.
        HoldExpired: the deadline has passed, or it was cancelled; nothing was taken.
        NotYours: it is somebody else's.
        NotFound: there is no such reservation.
        IdempotencyConflict: the key was used for another request.
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    return _pay(token, room, ThisReservation(reservation_id), attempt)


@counts_refusals("pay")
def top_up_and_pay(token: QueueToken, room: str, reservation_id: UUID, most: int) -> Payment:
    """Pay a reservation, after adding to the user's wallet what is missing now: both, or neither.

    ``most`` is what the user has agreed to add (won). No more is added, and less where less is
    missing. Paying again what is paid returns the first payment and adds nothing, so this may be
    repeated without a key.

    Raises:
        InsufficientBalance: more is missing than that; nothing was added.
        BalanceLimit: the wallet would hold more than it may; nothing was added.
        And what :func:`pay_reservation` raises, then too with nothing added.
    """
    return _pay(token, room, ThisReservation(reservation_id), None, most_added=most)


def payment_of(user_id: UUID, payment_id: UUID) -> Payment:
    """One of a user's payments.

    Raises:
        NotFound: there is no such payment.
        NotYours: it is somebody else's.
    """
    payment = payment_by_id(payment_id)
    if payment.user_id != user_id:
        raise NotYours("This payment is somebody else's.")
    return payment


def payment_by_id(payment_id: UUID) -> Payment:
    """A payment, whoever asks; for callers who were shown a signed ticket.

    Raises:
        NotFound: there is no such payment.
    """
    with connection() as link:
        return read_payment(link, payment_id)


def read_payment(link: Connection, payment_id: UUID) -> Payment:
    """The same on somebody's connection, as their transaction sees it.

    Raises:
        NotFound: there is no such payment.
    """
    row = link.execute(queries.READ, (payment_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such payment.")
    return payments_of_rows(link, [row])[0]


def payment_of_reservation(user_id: UUID, reservation_id: UUID) -> Payment:
    """The payment of one of a user's reservations.

    Raises:
        NotFound: it is not paid.
        NotYours: it is somebody else's.
    """
    with connection() as link:
        row = link.execute(queries.READ_OF_RESERVATION, (reservation_id,)).fetchone()
        if row is None:
            raise NotFound("This reservation is not paid.")
        payment = payments_of_rows(link, [row])[0]
    if payment.user_id != user_id:
        raise NotYours("This payment is somebody else's.")
    return payment


def payments_of(user_id: UUID) -> list[Payment]:
    """A user's payments, newest first, 200 at the most."""
    with connection() as link:
        return payments_of_rows(link, link.execute(queries.MINE, (user_id, MOST_LISTED)).fetchall())


def differing_seats(first: int = 0, last: int = 2**63 - 1) -> list[dict[str, object]]:
    """The seats that contradict their reservations and payments, of performances in this order of ids."""
    with upkeep_connection() as link:
        rows = read_differing_seats(link, first, last)
    return [{"performance_id": row[0], "seat_no": row[1], "difference": row[2]} for row in rows]


def read_differing_seats(link: Connection, first: int, last: int) -> Sequence[tuple[Any, ...]]:
    """The same on somebody's connection: performance, seat, and how it differs."""
    return link.execute(queries.DIFFERING_SEATS, {"first": first, "last": last}).fetchall()


def _pay(
    token: QueueToken,
    room: str,
    which: Which,
    attempt: Attempt | None,
    most_added: int | None = None,
) -> Payment:
    try:
        waiting_room.enter(token, room)
    except (NotAdmitted, TokenExpired):
        if token.room != room:
            raise
        # Whoever pays twice has a spent token the second time, and gets the first payment.
        paid = _paid_before(token.user_id, which)
        if paid is not None:
            return paid
        # A visit does not end while its user has a live hold. The database knows the holds
        # for certain: Redis may have lost the visit, or another request may have ended it.
        if not _is_held(token.user_id, which):
            raise

    completed: bool | None = None  # None as long as nothing was paid now

    def work(link: Connection) -> Payment:
        nonlocal completed
        if most_added is None:
            payment, completed = _pay_once(link, token, which)
        else:
            payment, completed = _top_up_and_pay_once(link, token, which, most_added)
        return payment

    payment = once(attempt, Payment, work)
    if completed is not None:
        _note_paid(token, payment, completed)
        # First what gives the slot to the next in line: pages learn of seats in other ways, too.
        if completed:
            _complete(token)
        events.publish_seats(payment.performance_id, payment.seat_nos, "sold", token.user_id)
    return payment


def _pay_with_others(token: QueueToken, which: HolderOf) -> Payment | None:
    """The payment, made together with what others pay at this moment; None where it was not made."""
    mine = AskedPayment(token, which, uuid4())
    part(PaymentsTogether).do(mine)
    if mine.row is None:
        return None
    payment = _new_payment(token, mine.payment_id, mine.row)
    _note_paid(token, payment, mine.row[-1])
    return payment


def _pay_together(asked: Sequence[AskedPayment]) -> None:
    """Let people in and take their payments: a round trip to Redis, one to PostgreSQL, and one to tell of it."""
    visits = waiting_room.enter_together([one.token for one in asked])
    let_in = [one for one, visit in zip(asked, visits, strict=True) if visit is not None]
    if not let_in:
        return
    rows: list[tuple[Any, ...]] = []
    with connection() as link, undone_together("pay"):
        rows = queries.PAY_ALL.rows(
            link,
            {
                "users": array(one.token.user_id for one in let_in),
                "performances": array(one.which.performance_id for one in let_in),
                "seats": array(one.which.seat_no for one in let_in),
                "payments": array(one.payment_id for one in let_in),
                "rooms": text_array(one.token.room for one in let_in),
                "sequences": array(one.token.sequence for one in let_in),
            },
        )
    sold: list[Sold] = []
    for number, *row in rows:
        one = let_in[number - 1]
        one.row = row
        seat_nos, completed = row[4], row[-1]
        fact = events.seats_message(row[2], seat_nos, "sold", one.token.user_id)
        sold.append(Sold(one.token, completed, fact))
    if sold:
        try:
            waiting_room.tell_sold(sold)
        except Unavailable:
            # The money is taken and the seats are given; a job completes the places when Redis is back.
            log.warning("places_not_completed", places=len(sold))


def _note_paid(token: QueueToken, payment: Payment, completed: bool) -> None:
    whose = {"room": token.room, "place": token.sequence}
    note_event(
        "paid",
        token.user_id,
        **whose,
        performance=payment.performance_id,
        seats=payment.seat_nos,
        reservation=payment.reservation_id,
        payment=payment.payment_id,
        amount=payment.amount,
    )
    if completed:
        note_event("completed", token.user_id, **whose, payment=payment.payment_id)


def _pay_once(link: Connection, token: QueueToken, which: Which) -> tuple[Payment, bool | None]:
    """The payment, and whether it completed the place; None where it had been made before."""
    payment_id = uuid4()
    asked = {
        **NOTHING_NAMED,
        **which.names,
        "payment": payment_id,
        "user": token.user_id,
        "room": token.room,
        "sequence": token.sequence,
    }
    row = queries.PAY.row(link, asked)
    assert row is not None
    amount, completed = row[6], row[-1]
    if amount is None:
        return _explain(link, token.user_id, which), None
    if row[0] is None:
        wallet = link.execute(queries.BALANCE, (token.user_id,)).fetchone()
        raise InsufficientBalance(amount - (wallet[0] if wallet else 0))
    return _new_payment(token, payment_id, row), completed


def _new_payment(token: QueueToken, payment_id: UUID, row: Sequence[Any]) -> Payment:
    (
        reservation_id,
        concert_id,
        performance_id,
        date,
        seat_nos,
        prices,
        amount,
        paid_at,
        balance,
        _,
    ) = row
    return Payment(
        payment_id,
        token.user_id,
        reservation_id,
        concert_id,
        performance_id,
        date,
        tuple(seat_nos),
        tuple(prices),
        amount,
        balance,
        paid_at,
    )


def _top_up_and_pay_once(
    link: Connection, token: QueueToken, which: Which, most_added: int
) -> tuple[Payment, bool | None]:
    """The same, with what is missing added first, in one transaction."""
    added = 0
    with link.transaction():
        row = link.execute(queries.LOCK_HELD, {**which.names, "user": token.user_id}).fetchone()
        if row is not None:
            added = raise_balance(link, token.user_id, row[0], most_added)
        paid = _pay_once(link, token, which)
    if added:
        note_event("charged", token.user_id, amount=added)
    return paid


def _explain(link: Connection, user_id: UUID, which: Which) -> Payment:
    """The payment that was made already, or the error that says why there can be none."""
    reservation_id, status = _history(link, user_id, which)
    if status in ("paid", "refunded"):
        row = link.execute(queries.READ_OF_RESERVATION, (reservation_id,)).fetchone()
        assert row is not None
        return payments_of_rows(link, [row])[0]
    if status == "cancelled":
        raise HoldExpired("You have released these seats.")
    raise HoldExpired("The time to pay for these seats is over; nothing was taken.")


def _history(link: Connection, user_id: UUID, which: Which) -> tuple[UUID, str]:
    if isinstance(which, ThisReservation):
        row = link.execute(queries.HISTORY_OF_RESERVATION, which.names).fetchone()
        if row is None:
            raise NotFound("There is no such reservation.")
        if row[0] != user_id:
            raise NotYours("This reservation is somebody else's.")
        return which.reservation_id, row[1]
    row = link.execute(queries.HISTORY_OF_SEAT, {**which.names, "user": user_id}).fetchone()
    if row is not None:
        return row[0], row[1]
    somebodys = link.execute(queries.IS_SOMEBODYS, which.names).fetchone()
    if somebodys and somebodys[0]:
        raise NotYours("Somebody else has this seat.")
    raise NotFound("You hold no such seat.")


def _paid_before(user_id: UUID, which: Which) -> Payment | None:
    with connection() as link:
        try:
            return _explain(link, user_id, which)
        except (HoldExpired, NotFound, NotYours):
            return None


def _is_held(user_id: UUID, which: Which) -> bool:
    by_itself = isinstance(which, ThisReservation)
    statement = queries.IS_RESERVATION_HELD if by_itself else queries.IS_SEAT_HELD
    with connection() as link:
        return link.execute(statement, {**which.names, "user": user_id}).fetchone() is not None


def _complete(token: QueueToken) -> None:
    try:
        waiting_room.complete(token)
    except Unavailable:
        # The money is taken and the seat is given; a job completes the place when Redis is back.
        log.warning("place_not_completed", room=token.room)


def payments_of_rows(link: Connection, rows: Sequence[Sequence[Any]]) -> list[Payment]:
    """Payments from the columns of ``queries.PAYMENT``, with what was given back of each."""
    refunds: dict[UUID, list[Refund]] = {}
    touched = [row[0] for row in rows if row[-1] or 0 in row[7]]
    if touched:
        for payment_id, refund_id, user_id, seat_nos, *more in link.execute(
            queries.REFUNDS, (touched,)
        ).fetchall():
            refund = Refund(refund_id, user_id, tuple(seat_nos), *more)
            refunds.setdefault(payment_id, []).append(refund)
    return [
        replace(
            Payment(*row),
            seat_nos=tuple(row[6]),
            prices=tuple(row[7]),
            refunds=tuple(refunds.get(row[0], ())),
        )
        for row in rows
    ]
