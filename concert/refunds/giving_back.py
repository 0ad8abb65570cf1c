"""Giving the money of paid seats back: the part of a transaction that staff, fans and cancellations share.

It takes its locks in the order of the law: reservations, their seats in number order, their tickets,
then wallets in the order of their users. So it may give back one seat of one payment, or a
hundred payments at once, and two that meet cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from concert.ground.database import Connection, array
from concert.ground.errors import BadRequest, NotYours, RefundNotPossible
from concert.payments.service import Cause
from concert.refunds import queries
from concert.tickets.service import Voided, void_tickets
from concert.wallet.models import HIGHEST_BALANCE

# How often tickets are looked for that are being handed on at this moment.
MOST_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment whose reservation is locked, with the seats that are still its user's and their prices."""

    payment_id: UUID
    user_id: UUID
    reservation_id: UUID
    performance_id: int
    concert_id: int
    room: str
    seats: tuple[tuple[int, int], ...]
    is_on_sale: bool


@dataclass(frozen=True, slots=True)
class GivenBack:
    """One refund as it was just made: seats with their prices, to whose wallet, and its balance after it."""

    refund_id: UUID
    payment_id: UUID
    performance_id: int
    user_id: UUID
    seats: tuple[tuple[int, int], ...]
    balance: int

    @property
    def amount(self) -> int:
        """How much was given back, in won."""
        return sum(price for _, price in self.seats)

    @property
    def seat_nos(self) -> tuple[int, ...]:
        """Its seats, in number order."""
        return tuple(seat_no for seat_no, _ in self.seats)


def lock_payment(link: Connection, payment_id: UUID) -> Paid | None:
    """A payment with what is left of it, its reservation locked; None where nothing is left, or it is not there."""
    row = link.execute(queries.LOCK_PAYMENT, (payment_id,)).fetchone()
    return None if row is None else _paid(row)


def lock_next(link: Connection, performance_id: int, after: UUID, most: int) -> list[Paid]:
    """The next paid reservations of a performance after this id, as far as nobody has them locked."""
    asked = {"performance": performance_id, "after": after, "most": most}
    return [_paid(row) for row in link.execute(queries.LOCK_NEXT, asked).fetchall()]


def some_of(paid: Paid, wanted: Collection[int] | None) -> Paid:
    """The payment with the wanted seats only; with all that is left where None is given.

    Raises:
        BadRequest: no seat is named, or one is named twice.
        RefundNotPossible: one of them is not there any more, or never was.
    """
    if wanted is None:
        return paid
    if not wanted or len(set(wanted)) < len(wanted):
        raise BadRequest("Name each seat once, and at least one.")
    left = dict(paid.seats)
    gone = sorted(set(wanted) - set(left))
    if gone:
        named = ", ".join(map(str, gone))
        raise RefundNotPossible("gone", f"Given back already, or not part of it: seat {named}.")
    seats = tuple((seat_no, left[seat_no]) for seat_no in sorted(wanted))
    return replace(paid, seats=seats)


def give_back(
    link: Connection,
    given: Sequence[Paid],
    cause: Cause,
    reason: str | None,
    *,
    owner: UUID | None = None,
) -> list[GivenBack]:
    """Give these seats back: their money to the wallets of their owners, and they are free again.

    It is a part of the caller's transaction, which has their reservations locked; they are of one
    performance. Either all of it can be done, or nothing may be kept of it. ``owner`` is whose the
    seats have to be, with nobody inside on their tickets.

    Raises:
        NotYours: a seat is not the owner's.
        RefundNotPossible: a seat is not sold to its reservation, its ticket was used where there is an
            owner to ask that of, or a wallet would hold too much.
    """
    if not given:
        return []
    _lock_seats(link, given)
    voided = _void(link, given, reason or "")
    if owner is not None:
        _require_unused(voided, owner)
    refunds = _by_owner(given, voided)
    balances = _raise_balances(link, refunds)
    made = _with_balances(refunds, balances)
    _write(link, made, cause, reason)
    link.execute(queries.FREE_SEATS, _seats(given))
    link.execute(queries.SHRINK_RESERVATIONS, {"payments": [one.payment_id for one in given]})
    return made


def _lock_seats(link: Connection, given: Sequence[Paid]) -> None:
    asked = {
        **_seats(given),
        "reservations": [one.reservation_id for one in given for _ in one.seats],
    }
    locked = link.execute(queries.LOCK_SEATS, asked).fetchall()
    if len(locked) < sum(len(one.seats) for one in given):
        raise RefundNotPossible(
            "gone", "A seat is not sold to its payment. Run `concert audit` to see what differs."
        )


def _void(link: Connection, given: Sequence[Paid], reason: str) -> list[Voided]:
    """Make the tickets of these seats void.

    Whoever took one over a moment ago has a new ticket, which a statement that waited for the one
    before does not see yet; so it is looked for again.
    """
    missing = {seat_no for one in given for seat_no, _ in one.seats}
    voided: list[Voided] = []
    for _again in range(MOST_LOOKS):
        found = void_tickets(
            link,
            performance_id=given[0].performance_id,
            seat_nos=sorted(missing),
            reason=reason,
        )
        voided += found
        missing -= {one.seat_no for one in found}
        if not missing:
            break
    return voided


def _require_unused(voided: Sequence[Voided], owner: UUID) -> None:
    if not voided or any(one.user_id != owner for one in voided):
        raise NotYours("This seat is somebody else's.")
    if any(one.was == "used" for one in voided):
        raise RefundNotPossible("used", "Somebody has entered with this ticket.")


def _by_owner(given: Sequence[Paid], voided: Sequence[Voided]) -> list[GivenBack]:
    """A refund for each payment and owner, in the order of the owners.

    Whoever took a ticket over has paid for it, so the money is theirs.
    """
    found: dict[tuple[UUID, UUID], list[tuple[int, int]]] = {}
    about = {one.payment_id: one for one in given}
    owners = {(one.payment_id, one.seat_no): one.user_id for one in voided}
    for one in given:
        for seat in one.seats:
            owner = owners.get((one.payment_id, seat[0]), one.user_id)
            found.setdefault((owner, one.payment_id), []).append(seat)
    return [
        GivenBack(uuid4(), payment_id, about[payment_id].performance_id, owner, tuple(seats), 0)
        for (owner, payment_id), seats in sorted(found.items())
    ]


def _raise_balances(link: Connection, refunds: Sequence[GivenBack]) -> dict[UUID, int]:
    """Add to the wallets; returns what they held before."""
    gained: dict[UUID, int] = {}
    for refund in refunds:
        gained[refund.user_id] = gained.get(refund.user_id, 0) + refund.amount
    link.execute(queries.MAKE_WALLETS, (list(gained),))
    before: dict[UUID, int] = dict(link.execute(queries.LOCK_WALLETS, (list(gained),)).fetchall())
    full = [one for one, amount in gained.items() if before[one] + amount > HIGHEST_BALANCE]
    if full:
        raise RefundNotPossible(
            "full",
            f"A wallet holds at most {HIGHEST_BALANCE:,} won, and this one would hold more. "
            "Pay some of its balance out first.",
        )
    link.execute(queries.RAISE_BALANCES, {"users": list(gained), "amounts": array(gained.values())})
    return before


def _with_balances(refunds: Sequence[GivenBack], balances: dict[UUID, int]) -> list[GivenBack]:
    made, running = [], dict(balances)
    for refund in refunds:
        running[refund.user_id] += refund.amount
        made.append(replace(refund, balance=running[refund.user_id]))
    return made


def _write(link: Connection, made: Sequence[GivenBack], cause: Cause, reason: str | None) -> None:
    refunds: dict[str, Any] = {
        "ids": [one.refund_id for one in made],
        "payments": [one.payment_id for one in made],
        "performances": array(one.performance_id for one in made),
        "users": [one.user_id for one in made],
        "amounts": array(one.amount for one in made),
        "balances": array(one.balance for one in made),
        "cause": cause,
        "reason": reason,
    }
    link.execute(queries.WRITE_REFUNDS, refunds)
    each = [(one, *seat) for one in made for seat in one.seats]
    seats = {
        "payments": [one.payment_id for one, _, _ in each],
        "seats": array(seat_no for _, seat_no, _ in each),
        "prices": array(price for _, _, price in each),
        "refunds": [one.refund_id for one, _, _ in each],
    }
    link.execute(queries.WRITE_SEATS, seats)
    link.execute(queries.WRITE_ENTRIES, refunds)


def _seats(given: Sequence[Paid]) -> dict[str, Any]:
    each = [(one.performance_id, seat_no) for one in given for seat_no, _ in one.seats]
    return {
        "performances": array(performance for performance, _ in each),
        "seats": array(seat_no for _, seat_no in each),
    }


def _paid(row: Sequence[Any]) -> Paid:
    seats = tuple(zip(row[6], row[7], strict=True))
    return Paid(row[0], row[1], row[2], row[3], row[4], row[5], seats, row[8])
