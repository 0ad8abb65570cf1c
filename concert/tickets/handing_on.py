"""Handing a ticket on: a link that works once, at what the seat cost or as a present."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from concert.ground.database import Connection, connection
from concert.ground.errors import BadRequest, HandingOnClosed, NotFound, NotYours, UnknownUser
from concert.ground.observability import note_event
from concert.tickets.service import Ticket, read_ticket, require_valid
from concert.wallet.service import pass_on

LINK_BYTES = 24

# The ticket first, then its link: whoever makes, withdraws or uses a link waits here for the others.
LOOK = """
SELECT coalesce(p.returns_until > clock_timestamp(), false), p.returns_until
FROM tickets t JOIN performances p ON p.id = t.performance_id WHERE t.id = %s"""
LOCK = f"{LOOK} FOR UPDATE OF t"
# A new link takes the place of the one before it.
OFFER = """
INSERT INTO hand_ons AS h (digest, ticket_id, price) VALUES (%(digest)s, %(ticket)s, %(price)s)
ON CONFLICT (ticket_id) DO UPDATE SET digest = excluded.digest, price = excluded.price, created_at = now()
WHERE h.new_ticket_id IS NULL"""
WITHDRAW = "DELETE FROM hand_ons WHERE ticket_id = %s AND new_ticket_id IS NULL"
FIND = "SELECT ticket_id, price, new_ticket_id FROM hand_ons WHERE digest = %s"
END = "UPDATE tickets SET status = 'handed_on', ended_at = clock_timestamp() WHERE id = %s"
TAKE = """
INSERT INTO tickets (id, payment_id, performance_id, seat_no, user_id, taken)
SELECT uuidv7(), payment_id, performance_id, seat_no, %(user)s, true FROM tickets WHERE id = %(ticket)s
RETURNING id"""
USE = "UPDATE hand_ons SET new_ticket_id = %s WHERE ticket_id = %s"
USER = "SELECT 1 FROM users WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Offer:
    """A ticket that may be taken over, for how much (won), and until when.

    ``code`` is what its link ends with; only whoever makes the link sees it.
    """

    ticket: Ticket
    price: int
    until: datetime
    code: str | None = None


def offer(user_id: UUID, ticket_id: UUID, *, gift: bool = False) -> Offer:
    """Make the link by which somebody else takes this ticket over; one before it works no more.

    It costs them what the seat cost, or nothing where it is a gift.

    Raises:
        NotFound, NotYours: it is not a ticket of theirs.
        TicketUsed, TicketVoid: it is not good for entering any more.
        HandingOnClosed: the organiser does not allow it, or no longer.
    """
    code = secrets.token_urlsafe(LINK_BYTES)
    with connection() as link, link.transaction():
        until = _lock(link, ticket_id)
        ticket = read_ticket(link, ticket_id)
        require_valid(ticket, user_id)
        ends = _require_open(until)
        price = 0 if gift else ticket.price
        link.execute(OFFER, {"digest": _digest(code), "ticket": ticket_id, "price": price})
    return Offer(ticket, price, ends, code)


def withdraw(user_id: UUID, ticket_id: UUID) -> None:
    """Take the link back; nothing happens where there is none that works.

    Raises:
        NotFound, NotYours: it is not a ticket of theirs.
    """
    with connection() as link, link.transaction():
        _lock(link, ticket_id)
        ticket = read_ticket(link, ticket_id)
        if ticket.user_id != user_id:
            raise NotYours("This ticket is somebody else's.")
        link.execute(WITHDRAW, (ticket_id,))


def look_at_offer(code: str) -> Offer:
    """What a link offers.

    Raises:
        NotFound: it does not work any more, or never did.
        HandingOnClosed: its time is over.
    """
    with connection() as link:
        row = link.execute(FIND, (_digest(code),)).fetchone()
        if row is None or row[2] is not None:
            raise NotFound("This link does not work any more.")
        ticket = read_ticket(link, row[0])
        if ticket.status != "valid":
            raise NotFound("This link does not work any more.")
        found = link.execute(LOOK, (row[0],)).fetchone()
    return Offer(ticket, row[1], _require_open(found))


def take_over(user_id: UUID, code: str) -> Ticket:
    """Take a ticket over by its link: it is this user's from here on, with a code of its own.

    What it costs goes from their wallet to that of whoever gives it. Using the link again gives
    the same ticket to whoever has taken it over, and nobody else.

    Raises:
        NotFound: the link does not work any more, or never did.
        BadRequest: it is a ticket of their own.
        HandingOnClosed: its time is over.
        InsufficientBalance: the balance is too small; nothing was taken.
        BalanceLimit: the giver's wallet would hold more than it may.
        UnknownUser: there is no such user.
    """
    digest = _digest(code)
    with connection() as link, link.transaction():
        row = link.execute(FIND, (digest,)).fetchone()
        if row is None:
            raise NotFound("This link does not work any more.")
        until = _lock(link, row[0])
        # Whoever had the lock may have used the link, or put another in its place.
        row = link.execute(FIND, (digest,)).fetchone()
        if row is None:
            raise NotFound("This link does not work any more.")
        ticket_id, price, taken = row
        if taken is not None:
            ticket = read_ticket(link, taken)
            if ticket.user_id != user_id:
                raise NotFound("This link does not work any more.")
            return ticket
        given = read_ticket(link, ticket_id)
        if given.status != "valid":
            raise NotFound("This link does not work any more.")
        if given.user_id == user_id:
            raise BadRequest("This is your own ticket.")
        _require_open(until)
        if link.execute(USER, (user_id,)).fetchone() is None:
            raise UnknownUser()
        # The ticket before the wallets, as the locking law has it.
        link.execute(END, (ticket_id,))
        new = link.execute(TAKE, {"user": user_id, "ticket": ticket_id}).fetchone()
        assert new is not None
        link.execute(USE, (new[0], ticket_id))
        if price:
            pass_on(link, user_id, given.user_id, price, "handed_on")
        ticket = read_ticket(link, new[0])
    note_event("ticket_taken_over", user_id, ticket=new[0], before=ticket_id, amount=price)
    return ticket


def _lock(link: Connection, ticket_id: UUID) -> Sequence[Any] | None:
    """Lock a ticket; whether it may be handed on now, and until when. None where there is no such ticket."""
    return link.execute(LOCK, (ticket_id,)).fetchone()


def _require_open(found: Sequence[Any] | None) -> datetime:
    if found is None or not found[0] or found[1] is None:
        raise HandingOnClosed("Tickets of this date cannot be handed on now.")
    until: datetime = found[1]
    return until


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
