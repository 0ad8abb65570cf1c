"""Finding a payment for whoever asks at the till, and what refunding it would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from concert.ground.database import connection
from concert.payments.service import Payment, Refund, payments_of, payments_of_rows
from concert.refunds import queries
from concert.refunds.giving_back import GivenBack, give_back
from concert.refunds.service import lock_what_is_left
from concert.wallet.service import Balance, balance_of

MOST_FOUND = 50
ENTRIES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Found:
    """Payments that fit, newest first; ``wallet`` is the user's whose id was asked for."""

    payments: tuple[Payment, ...] = ()
    wallet: Balance | None = None


def find_by_id(number: UUID) -> Found:
    """The payment, the payment of the reservation, or the payments and the wallet of the user with this id."""
    with connection() as link:
        rows = link.execute(queries.BY_ID, {"id": number}).fetchall()
        found = payments_of_rows(link, rows)
        is_user = link.execute(queries.IS_USER, (number,)).fetchone() is not None
    if not is_user:
        return Found(tuple(found))
    return Found(tuple(payments_of(number)[:MOST_FOUND]), balance_of(number, ENTRIES_SHOWN))


def find_by_seat(performance_id: int, seat_no: int) -> Found:
    """The payments of one seat of a performance: of whoever has it, and of who had it before."""
    asked = {"performance": performance_id, "seat": seat_no, "most": MOST_FOUND}
    with connection() as link:
        rows = link.execute(queries.BY_SEAT, asked).fetchall()
        return Found(tuple(payments_of_rows(link, rows)))


def preview_refund(payment_id: UUID, seat_nos: Sequence[int] | None) -> list[GivenBack]:
    """What refunding these seats would do, as it would be done: it is done, and undone.

    Raises:
        BadRequest, NotFound, RefundNotPossible: what refunding them would.
    """
    with connection() as link, link.transaction(force_rollback=True):
        paid = lock_what_is_left(link, payment_id, seat_nos)
        return give_back(link, [paid], "staff", None)


def owners_of(payment: Payment) -> dict[int, tuple[UUID, str]]:
    """By seat: whose its newest ticket is or was, and how that ticket stands."""
    with connection() as link:
        rows = link.execute(
            queries.OWNERS, (payment.payment_id, payment.performance_id, list(payment.seat_nos))
        ).fetchall()
    return {seat_no: (user_id, status) for seat_no, user_id, status in rows}


def refunds_to(user_id: UUID, payment_id: UUID) -> list[Refund]:
    """What came back to a user of a payment's seats, theirs or taken over, the oldest first."""
    with connection() as link:
        rows = link.execute(queries.REFUNDS_TO, (payment_id, user_id)).fetchall()
    return [Refund(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows]
