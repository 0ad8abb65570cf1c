"""Pages for whoever gives a ticket back: asked first, then done."""

from __future__ import annotations

from uuid import UUID

from flask import Response, flash, url_for
from flask_babel import gettext as _

from concert.catalogue.service import concert_and_performance
from concert.ground.errors import NotFound, RefundNotPossible
from concert.refunds.service import return_seat
from concert.tickets.service import Ticket, bought_together
from concert.web.door import go_to, new_pages, private, render, require_user
from concert.web.formats import won

pages = new_pages("returns")


@pages.get("/tickets/<uuid:payment_id>/seats/<int:seat_no>/return")
def ask(payment_id: UUID, seat_no: int) -> Response:
    """What giving this ticket back would do."""
    return _page(payment_id, _ticket(require_user(), payment_id, seat_no))


@pages.post("/tickets/<uuid:payment_id>/seats/<int:seat_no>/return")
def give_back(payment_id: UUID, seat_no: int) -> Response:
    """Give it back; again, and nothing more happens."""
    user_id = require_user()
    try:
        returned = return_seat(user_id, payment_id, seat_no)
    except RefundNotPossible as refused:
        words = {
            "full": _("Your wallet would hold too much."),
            "used": _("Somebody has entered with this ticket."),
        }
        fault = words.get(refused.why, _("This ticket cannot be given back now."))
        return _page(payment_id, _ticket(user_id, payment_id, seat_no), fault)
    flash(_("%(amount)s came back to your wallet.", amount=won(returned.amount)), "good")
    return go_to(url_for("tickets.show", visit_id=payment_id))


def _page(payment_id: UUID, ticket: Ticket, refused: str | None = None) -> Response:
    concert, performance = concert_and_performance(ticket.performance_id)
    return private(
        render(
            "refunds/return.html",
            200 if refused is None else 409,
            payment_id=payment_id,
            ticket=ticket,
            concert=concert,
            performance=performance,
            refused=refused,
        )
    )


def _ticket(user_id: UUID, payment_id: UUID, seat_no: int) -> Ticket:
    """The newest ticket of theirs for this seat."""
    mine = [one for one in bought_together(user_id, payment_id) if one.seat_no == seat_no]
    if not mine:
        raise NotFound("There is no such ticket.")
    return min(mine, key=lambda one: (one.ended_at is not None, one.ended_at))
