"""Pages of tickets: what I own, each with its code, and the check at the door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import segno
from flask import Response, request, url_for
from flask_babel import ngettext

from concert.catalogue.service import Concert, Performance, concert_of, find_performance
from concert.ground.errors import NotFound, TokenInvalid
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.ground.signing import sign_code, verify_code
from concert.payments.service import Payment, payment_by_id, payment_of, payments_of
from concert.web.door import current_user, new_pages, render, require_user
from concert.web.formats import seat_names

pages = new_pages("tickets")

# Nobody tells us how long a concert lasts, and a calendar wants to know; the entry says that it is
# assumed. So long before it begins, the calendar reminds.
ASSUMED_HOURS = 2
REMINDED_HOURS = 3


@dataclass(frozen=True, slots=True)
class Ticket:
    """A payment with what it is for."""

    payment: Payment
    concert: Concert
    performance: Performance

    @property
    def code(self) -> str:
        """What the QR code says, and door staff can check."""
        return sign_code("ticket", self.payment.payment_id.bytes)


@pages.get("/tickets")
def mine() -> Response:
    """What I own: the next concert first, then what is over."""
    user_id = current_user()
    owned = [_ticket(payment) for payment in payments_of(user_id)] if user_id else []
    owned.sort(key=lambda ticket: ticket.performance.starts_at)
    yesterday = datetime.now(UTC) - timedelta(hours=6)
    coming = [ticket for ticket in owned if ticket.performance.starts_at > yesterday]
    over = [ticket for ticket in reversed(owned) if ticket.performance.starts_at <= yesterday]
    return render("tickets/mine.html", coming=coming, over=over)


@pages.get("/tickets/<uuid:payment_id>")
def show(payment_id: UUID) -> Response:
    """One ticket, to be shown at the door or printed."""
    ticket = _ticket(payment_of(require_user(), payment_id))
    address = url_for("tickets.verify", code=ticket.code, _external=True)
    qr = segno.make(address, error="m", micro=False)
    drawn = qr.svg_inline(
        border=4, scale=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    return render("tickets/ticket.html", ticket=ticket, qr=drawn)


@pages.get("/tickets/<uuid:payment_id>.ics")
def calendar(payment_id: UUID) -> Response:
    """The same for a calendar."""
    ticket = _ticket(payment_of(require_user(), payment_id))
    response = Response(_ics(ticket), mimetype="text/calendar")
    response.headers["Content-Disposition"] = f'attachment; filename="ticket-{payment_id}.ics"'
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.get("/tickets/verify/<code>")
def verify(code: str) -> Response:
    """For door staff: whether this is a ticket of ours, and for what."""
    try:
        payment = payment_by_id(UUID(bytes=verify_code("ticket", code)))
    except (TokenInvalid, NotFound, ValueError):
        return render("tickets/verify.html", 404, ticket=None)
    ticket = _ticket(payment)
    settings = part(Settings)
    is_today = ticket.performance.date == datetime.now(settings.zone).date()
    return render("tickets/verify.html", ticket=ticket, is_today=is_today)


def _ticket(payment: Payment) -> Ticket:
    concert = concert_of(payment.concert_id)
    return Ticket(
        payment, concert, find_performance(concert, performance_id=payment.performance_id)
    )


def _ics(ticket: Ticket) -> str:
    """RFC 5545: lines end in CRLF and have 75 bytes at the most; a space continues one."""
    starts_at = ticket.performance.starts_at.astimezone(UTC)
    seats = seat_names(ticket.payment.seat_nos, ticket.performance)
    length = ngettext(
        "The end is not announced; %(num)s hour is assumed.",
        "The end is not announced; %(num)s hours are assumed.",
        ASSUMED_HOURS,
    )
    address = url_for("tickets.show", payment_id=ticket.payment.payment_id, _external=True)
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Concert//Tickets//EN",
        "BEGIN:VEVENT",
        f"UID:{ticket.payment.payment_id}@{request.host}",
        f"DTSTAMP:{ticket.payment.paid_at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"DTSTART:{starts_at:%Y%m%dT%H%M%SZ}",
        f"DURATION:PT{ASSUMED_HOURS}H",
        f"SUMMARY:{_escaped(ticket.concert.title)}",
        f"LOCATION:{_escaped(ticket.concert.venue)}",
        f"DESCRIPTION:{_escaped(seats)}\\n{_escaped(length)}",
        f"URL:{address}",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        f"TRIGGER:-PT{REMINDED_HOURS}H",
        f"DESCRIPTION:{_escaped(ticket.concert.title)}\\, {_escaped(ticket.concert.venue)}",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _escaped(text: str) -> str:
    for special in ("\\", ";", ","):
        text = text.replace(special, f"\\{special}")
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    folded, length = "", 0
    for letter in line:
        size = len(letter.encode())
        if length + size > 75:
            folded, length = f"{folded}\r\n ", 1
        folded, length = folded + letter, length + size
    return folded
