"""The tickets that somebody owns: reading them, renewing a code, making them void."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from concert.ground.database import Connection, array, connection
from concert.ground.errors import NotFound, NotYours, TicketUsed, TicketVoid
from concert.ground.observability import note_event
from concert.tickets.codes import TicketCode, write_code

Status = Literal["valid", "used", "void", "handed_on"]
MOST_LISTED = 500


@dataclass(frozen=True, slots=True)
class Ticket:
    """One seat that somebody owns or owned; ``price`` is what the seat cost (won).

    ``ended_at`` is when it became void or was handed on; ``offered_for`` what somebody may take it
    over for (won), None where there is no such link.
    """

    ticket_id: UUID
    payment_id: UUID
    concert_id: int
    performance_id: int
    seat_no: int
    user_id: UUID
    status: Status
    serial: int
    renewed_at: datetime | None
    ended_at: datetime | None
    reason: str | None
    price: int
    paid_at: datetime
    offered_for: int | None

    @property
    def code(self) -> str | None:
        """What its QR code says; None where it opens no door any more."""
        if self.status not in ("valid", "used"):
            return None
        return write_code(
            TicketCode(self.ticket_id, self.performance_id, self.seat_no, self.serial)
        )


@dataclass(frozen=True, slots=True)
class Voided:
    """A ticket that was made void: whose it was, and whether somebody had entered with it."""

    ticket_id: UUID
    payment_id: UUID
    performance_id: int
    seat_no: int
    user_id: UUID
    was: Literal["valid", "used"]


READ = """
SELECT t.id, t.payment_id, p.concert_id, t.performance_id, t.seat_no, t.user_id, t.status, t.serial,
    t.renewed_at, t.ended_at, t.reason, coalesce(r.prices[array_position(r.seat_nos, t.seat_no)],
        (SELECT f.price FROM refunded_seats f WHERE f.payment_id = y.id AND f.seat_no = t.seat_no)), y.paid_at, h.price
FROM tickets t JOIN payments y ON y.id = t.payment_id JOIN reservations r ON r.id = y.reservation_id
    JOIN performances p ON p.id = t.performance_id
    LEFT JOIN hand_ons h ON h.ticket_id = t.id AND h.new_ticket_id IS NULL AND t.status = 'valid'"""
# Tickets have no index by payment, which every payment would have to write: its seats lead to them. What
# was given back of a payment has left its reservation.
FROM_PAYMENTS = """
FROM payments y JOIN reservations r ON r.id = y.reservation_id
    JOIN tickets t ON t.performance_id = r.performance_id AND t.payment_id = y.id AND t.seat_no = ANY (
        r.seat_nos || ARRAY(SELECT f.seat_no FROM refunded_seats f WHERE f.payment_id = y.id))"""
MINE = f"""
WITH mine AS (
    SELECT t.id {FROM_PAYMENTS} WHERE y.user_id = %(user)s AND t.user_id = %(user)s
    UNION SELECT id FROM tickets WHERE user_id = %(user)s AND taken
)
{READ} WHERE t.id IN (SELECT id FROM mine)
ORDER BY y.paid_at DESC, t.payment_id, t.seat_no, t.id LIMIT %(most)s"""
ONE = f"{READ} WHERE t.id = %s"
OF_PAYMENT = f"""
WITH found AS (SELECT t.id {FROM_PAYMENTS} WHERE y.id = %s)
{READ} WHERE t.id IN (SELECT id FROM found) ORDER BY t.seat_no, t.id"""
RENEW = """
UPDATE tickets SET serial = serial %% 32767 + 1, renewed_at = clock_timestamp()
WHERE id = %(ticket)s AND user_id = %(user)s AND status = 'valid' RETURNING serial"""
# In the order of the law: seats by number. A performance alone means all of its tickets.
VOID = """
WITH wanted AS (
    SELECT t.id, t.status {which} AND t.ended_at IS NULL
      AND (%(seats)s::smallint[] IS NULL OR t.seat_no = ANY (%(seats)s::smallint[]))
    ORDER BY t.performance_id, t.seat_no FOR UPDATE OF t
)
UPDATE tickets t SET status = 'void', ended_at = clock_timestamp(), reason = %(reason)s
FROM wanted w WHERE t.id = w.id
RETURNING t.id, t.payment_id, t.performance_id, t.seat_no, t.user_id, w.status"""
VOID_OF_PAYMENT = VOID.replace("{which}", FROM_PAYMENTS + " WHERE y.id = %(payment)s")
VOID_OF_PERFORMANCE = VOID.replace(
    "{which}", "FROM tickets t WHERE t.performance_id = %(performance)s"
)


def tickets_of(user_id: UUID) -> list[Ticket]:
    """A user's tickets, the newest payment first, each payment's by seat; 500 at the most."""
    with connection() as link:
        rows = link.execute(MINE, {"user": user_id, "most": MOST_LISTED}).fetchall()
    return [Ticket(*row) for row in rows]


def ticket_of(user_id: UUID, ticket_id: UUID) -> Ticket:
    """One of a user's tickets.

    Raises:
        NotFound: there is no such ticket.
        NotYours: it is somebody else's.
    """
    ticket = ticket_by_id(ticket_id)
    if ticket.user_id != user_id:
        raise NotYours("This ticket is somebody else's.")
    return ticket


def ticket_by_id(ticket_id: UUID) -> Ticket:
    """A ticket, whoever asks; for callers who were shown its signed code.

    Raises:
        NotFound: there is no such ticket.
    """
    with connection() as link:
        return read_ticket(link, ticket_id)


def bought_together(user_id: UUID, which: UUID) -> list[Ticket]:
    """The user's tickets of one payment, by seat; ``which`` names the payment, or one of its tickets.

    Raises:
        NotFound: there is no such payment and no such ticket.
        NotYours: none of it is theirs.
    """
    with connection() as link:
        rows = link.execute(OF_PAYMENT, (which,)).fetchall()
        if not rows:
            rows = link.execute(ONE, (which,)).fetchall()
    if not rows:
        raise NotFound("There is no such ticket.")
    mine = [ticket for ticket in (Ticket(*row) for row in rows) if ticket.user_id == user_id]
    if not mine:
        raise NotYours("This ticket is somebody else's.")
    return mine


def renew_code(user_id: UUID, ticket_id: UUID) -> Ticket:
    """Give a ticket a new code; the one before it opens no door from here on.

    Raises:
        NotFound, NotYours: it is not a ticket of theirs.
        TicketUsed, TicketVoid: it is not good for entering any more.
    """
    with connection() as link:
        if link.execute(RENEW, {"ticket": ticket_id, "user": user_id}).fetchone() is None:
            require_valid(read_ticket(link, ticket_id), user_id)
        ticket = read_ticket(link, ticket_id)
    note_event("code_renewed", user_id, ticket=ticket_id, serial=ticket.serial)
    return ticket


def void_tickets(
    link: Connection,
    *,
    reason: str,
    payment_id: UUID | None = None,
    performance_id: int | None = None,
    seat_nos: Iterable[int] | None = None,
) -> list[Voided]:
    """Make the tickets of a payment, or of a performance, void: all of them, or those of some seats.

    It is a part of the caller's transaction, which holds their locks from here on: after the seats
    and before the wallet. What is void already or was handed on is passed over; the ticket of
    whoever took one over belongs to the same payment and is made void, so ``user_id`` of what
    comes back says who owned it last. Whoever has entered may be among them (``was`` is ``used``).
    """
    assert (payment_id is None) != (performance_id is None), "name a payment or a performance"
    asked = {
        "payment": payment_id,
        "performance": performance_id,
        "seats": None if seat_nos is None else array(seat_nos),
        "reason": reason,
    }
    statement = VOID_OF_PERFORMANCE if payment_id is None else VOID_OF_PAYMENT
    voided = [Voided(*row) for row in link.execute(statement, asked).fetchall()]
    return sorted(voided, key=lambda one: (one.performance_id, one.seat_no))


def read_ticket(link: Connection, ticket_id: UUID) -> Ticket:
    """A ticket, on a connection of the caller's.

    Raises:
        NotFound: there is no such ticket.
    """
    row: Any = link.execute(ONE, (ticket_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such ticket.")
    return Ticket(*row)


def require_valid(ticket: Ticket, user_id: UUID) -> None:
    """Check that a ticket is this user's, and good for entering.

    Raises:
        NotYours, TicketUsed, TicketVoid: it is not.
    """
    if ticket.user_id != user_id:
        raise NotYours("This ticket is somebody else's.")
    if ticket.status == "used":
        raise TicketUsed("Somebody has entered with this ticket.")
    if ticket.status != "valid":
        raise TicketVoid("This ticket is not good any more.")
