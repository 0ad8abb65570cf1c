"""Pages of tickets: what I own, each seat with its code, handing one on, and what a code is for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

import segno
from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from werkzeug.exceptions import NotFound as NoSuchPage

from concert.catalogue.service import Concert, Performance, concert_of, find_performance
from concert.ground.errors import NotFound, TokenInvalid
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.ground.signing import verify_code
from concert.payments.service import payment_by_id
from concert.planning.service import Change, changes_of, changes_since
from concert.refunds.search import refunds_to
from concert.tickets import handing_on, service
from concert.tickets.codes import read_code
from concert.tickets.service import Ticket
from concert.web.calendar_file import calendar_file
from concert.web.door import (
    current_user,
    go_to,
    new_pages,
    private,
    render,
    require_user,
    user_or_new,
)
from concert.web.formats import seat_names
from concert.web.staff_door import is_signed_in

pages = new_pages("tickets")

ENDED = ("void", "handed_on")


@dataclass(frozen=True, slots=True)
class Visit:
    """What somebody has bought or taken over together, with what it is for."""

    concert: Concert
    performance: Performance
    tickets: tuple[Ticket, ...]
    # What of that was changed since they were bought.
    changes: Sequence[Change] = ()

    @property
    def visit_id(self) -> UUID:
        """What its page is called: the payment, as it always was."""
        return self.tickets[0].payment_id

    @property
    def good(self) -> list[Ticket]:
        """The tickets that have not ended."""
        return [ticket for ticket in self.tickets if ticket.status not in ENDED]

    @property
    def seat_nos(self) -> list[int]:
        """The seats of the good tickets; where there is none, those that there were."""
        return [ticket.seat_no for ticket in self.good or self.tickets]

    @property
    def amount(self) -> int:
        """What the seats cost together (won)."""
        return sum(ticket.price for ticket in self.tickets)


@pages.get("/tickets")
def mine() -> Response:
    """What I own: the next concert first, then what is over."""
    user_id = current_user()
    owned = _told(list(_visits(service.tickets_of(user_id)))) if user_id else []
    owned.sort(key=lambda visit: visit.performance.starts_at)
    yesterday = datetime.now(UTC) - timedelta(hours=6)
    coming = [one for one in owned if one.performance.starts_at > yesterday and one.good]
    over = [one for one in reversed(owned) if one not in coming]
    return render("tickets/mine.html", coming=coming, over=over)


@pages.get("/tickets/<uuid:visit_id>")
def show(visit_id: UUID) -> Response:
    """The tickets of one payment, or of one that was taken over: each with its code, for the door or paper."""
    [visit] = _told([_visit(service.bought_together(require_user(), visit_id))])
    drawn = {one.ticket_id: _drawn(one.code) for one in visit.good if one.code}
    until = visit.performance.returns_until
    return render(
        "tickets/ticket.html",
        visit=visit,
        drawn=drawn,
        may_hand_on=visit.performance.takes_returns(datetime.now(UTC)),
        until=until,
        refunds=refunds_to(visit.tickets[0].user_id, visit.visit_id),
    )


@pages.get("/tickets/<uuid:visit_id>.ics")
def calendar(visit_id: UUID) -> Response:
    """The same for a calendar."""
    visit = _visit(service.bought_together(require_user(), visit_id))
    text = calendar_file(
        f"{visit_id}@{request.host}",
        visit.concert,
        visit.performance,
        seat_names(visit.seat_nos, visit.performance),
        visit.tickets[0].paid_at,
        url_for("tickets.show", visit_id=visit_id, _external=True),
    )
    response = Response(text, mimetype="text/calendar")
    response.headers["Content-Disposition"] = f'attachment; filename="ticket-{visit_id}.ics"'
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.post("/tickets/<uuid:ticket_id>/code")
def renew(ticket_id: UUID) -> Response:
    """Give a ticket a new code, because others have seen the one before."""
    ticket = service.renew_code(require_user(), ticket_id)
    flash(_("The code is new. The one before opens no door any more."), "good")
    return go_to(url_for("tickets.show", visit_id=ticket.payment_id))


@pages.post("/tickets/<uuid:ticket_id>/link")
def offer(ticket_id: UUID) -> Response:
    """Make the link by which somebody else takes the ticket over; it is shown once."""
    made = handing_on.offer(require_user(), ticket_id, gift="gift" in request.form)
    visit = _visit([made.ticket])
    public = part(Settings).public_url
    path = url_for("tickets.offered", code=made.code)
    address = (
        f"{public}{path}" if public else url_for("tickets.offered", code=made.code, _external=True)
    )
    return private(
        render("tickets/link.html", made=made, visit=visit, address=address, qr=_qr(address))
    )


@pages.post("/tickets/<uuid:ticket_id>/link/withdraw")
def withdraw(ticket_id: UUID) -> Response:
    """Take the link back."""
    user_id = require_user()
    handing_on.withdraw(user_id, ticket_id)
    ticket = service.ticket_of(user_id, ticket_id)
    flash(_("The link works no more. The ticket is still yours."), "good")
    return go_to(url_for("tickets.show", visit_id=ticket.payment_id))


@pages.get("/tickets/take/<code>")
def offered(code: str) -> Response:
    """What a link offers, before anything happens: messengers open links to preview them."""
    try:
        found = handing_on.look_at_offer(code)
    except NotFound:
        return private(render("tickets/over.html", 404))
    is_mine = found.ticket.user_id == current_user()
    return private(
        render(
            "tickets/take.html",
            found=found,
            visit=_visit([found.ticket]),
            code=code,
            is_mine=is_mine,
        )
    )


@pages.post("/tickets/take/<code>")
def take(code: str) -> Response:
    """Take the ticket over. Whoever was nobody here becomes a user."""
    user_id = current_user()
    if user_id is None:
        # A link that does not work makes nobody a user.
        handing_on.look_at_offer(code)
        user_id = user_or_new()
    try:
        ticket = handing_on.take_over(user_id, code)
    except NotFound:
        return private(render("tickets/over.html", 404))
    flash(_("The ticket is yours."), "good")
    return go_to(url_for("tickets.show", visit_id=ticket.ticket_id))


@pages.get("/tickets/verify/<code>")
def verify(code: str) -> Response:
    """For anybody: whether this is a ticket of ours, and for what. Whether it may enter is for staff to see."""
    try:
        read = read_code(code)
        ticket = service.ticket_by_id(read.ticket_id)
    except (TokenInvalid, NotFound):
        return _verify_old(code)
    at_the_door = is_signed_in("door")
    response = render(
        "tickets/verify.html",
        visit=_visit([ticket]),
        seat_nos=[read.seat_no],
        ticket=ticket if at_the_door else None,
        is_newest=read.serial == ticket.serial,
    )
    return private(response) if at_the_door else response


def _verify_old(code: str) -> Response:
    """Before each seat had a ticket, one code stood for all that was paid together."""
    try:
        payment = payment_by_id(UUID(bytes=verify_code("ticket", code)))
    except (TokenInvalid, NotFound, ValueError):
        return render("tickets/verify.html", 404, visit=None)
    concert, performance = _what(payment.concert_id, payment.performance_id)
    return render(
        "tickets/verify.html",
        visit=Visit(concert, performance, ()),
        seat_nos=payment.seat_nos,
        is_old=True,
    )


def _visits(tickets: Iterable[Ticket]) -> Iterable[Visit]:
    """Tickets by payment; those of one payment stand together."""
    for _payment, together in groupby(tickets, key=lambda one: one.payment_id):
        yield _visit(list(together))


def _told(visits: Sequence[Visit]) -> list[Visit]:
    """The same with what their owners are told of."""
    changes = changes_of([one.performance.performance_id for one in visits])
    return [
        replace(
            one,
            changes=changes_since(
                changes.get(one.performance.performance_id, ()), one.tickets[0].paid_at
            ),
        )
        for one in visits
    ]


def _visit(tickets: list[Ticket]) -> Visit:
    if not tickets:
        raise NoSuchPage()
    return Visit(*_what(tickets[0].concert_id, tickets[0].performance_id), tuple(tickets))


def _what(concert_id: int, performance_id: int) -> tuple[Concert, Performance]:
    concert = concert_of(concert_id)
    return concert, find_performance(concert, performance_id=performance_id)


def _drawn(code: str) -> str:
    return _qr(url_for("tickets.verify", code=code, _external=True))


def _qr(address: str) -> str:
    drawn: str = segno.make(address, error="m", micro=False).svg_inline(
        border=4, scale=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    return drawn
