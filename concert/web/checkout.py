"""Pages of the checkout: what is held, for how long, and paying or releasing it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from flask import Response, request, url_for

from concert.catalogue.service import Concert, Performance, concert_of, find_performance
from concert.ground.errors import (
    AlreadyPaid,
    HoldExpired,
    InsufficientBalance,
    NotAdmitted,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
)
from concert.payments.service import (
    Payment,
    pay_reservation,
    payment_of_reservation,
    top_up_and_pay,
)
from concert.refunds.search import refunds_to
from concert.reservations.service import Reservation, release_reservation, reservation_of
from concert.waiting_room.tokens import QueueToken
from concert.wallet.service import balance_of
from concert.web.door import (
    go_to,
    new_pages,
    private,
    queue_token,
    render,
    require_user,
)
from concert.web.seats import map_url

pages = new_pages("checkout")


@pages.get("/reservations/<uuid:reservation_id>")
def show(reservation_id: UUID) -> Response:
    """What I hold, how long, and what it costs; ``?part=checkout`` gives that alone."""
    user_id = require_user()
    reservation = reservation_of(user_id, reservation_id)
    if reservation.status == "paid":
        return go_to(_ticket(user_id, reservation))
    return _page(reservation)


@pages.post("/reservations/<uuid:reservation_id>/pay")
def pay(reservation_id: UUID) -> Response:
    """Pay from my wallet and get the ticket; again, and I get the same ticket."""
    return _settle(reservation_id, pay_reservation)


@pages.post("/reservations/<uuid:reservation_id>/top-up")
def top_up(reservation_id: UUID) -> Response:
    """Add what is missing to my wallet and pay, in one step; never more than the page has shown me."""
    shown = request.form.get("amount", 0, type=int)
    return _settle(
        reservation_id,
        lambda token, room, reservation: top_up_and_pay(token, room, reservation, shown),
        refused="more_missing",
    )


@pages.post("/reservations/<uuid:reservation_id>/release")
def release(reservation_id: UUID) -> Response:
    """Give the seats back and return to the map."""
    user_id = require_user()
    try:
        release_reservation(user_id, reservation_id)
    except AlreadyPaid:
        return go_to(_ticket(user_id, reservation_of(user_id, reservation_id)))
    except HoldExpired:
        return go_to(url_for("checkout.show", reservation_id=reservation_id))
    concert, performance = _what(reservation_of(user_id, reservation_id))
    return go_to(map_url(concert, performance))


def _settle(
    reservation_id: UUID,
    settle: Callable[[QueueToken, str, UUID], Payment],
    refused: str = "insufficient_balance",
) -> Response:
    user_id = require_user()
    reservation = reservation_of(user_id, reservation_id)
    if reservation.status == "paid":
        return go_to(_ticket(user_id, reservation))
    room = concert_of(reservation.concert_id).room
    token = queue_token(room)
    try:
        if token is None:
            raise TokenMissing("Line up first.")
        payment = settle(token, room, reservation_id)
    except InsufficientBalance:
        return _page(reservation, refused=refused, status=402)
    except HoldExpired:
        return _page(reservation_of(user_id, reservation_id), status=409)
    except (NotAdmitted, TokenExpired, TokenInvalid, TokenMissing):
        return _page(reservation_of(user_id, reservation_id), refused="not_admitted", status=403)
    return go_to(url_for("tickets.show", visit_id=payment.payment_id))


def _page(reservation: Reservation, *, refused: str = "", status: int = 200) -> Response:
    concert, performance = _what(reservation)
    balance = balance_of(reservation.user_id).balance
    shown = {
        "reservation": reservation,
        "concert": concert,
        "performance": performance,
        "balance": balance,
        "missing": max(0, reservation.amount - balance),
        "map_url": map_url(concert, performance),
        "refused": refused,
        "refunds": (),
    }
    if reservation.status == "refunded":
        payment = payment_of_reservation(reservation.user_id, reservation.reservation_id)
        shown["refunds"] = refunds_to(reservation.user_id, payment.payment_id)
    part = request.args.get("part") == "checkout"
    template = "checkout/_checkout.html" if part else "checkout/page.html"
    return private(render(template, status, **shown))


def _what(reservation: Reservation) -> tuple[Concert, Performance]:
    concert = concert_of(reservation.concert_id)
    return concert, find_performance(concert, performance_id=reservation.performance_id)


def _ticket(user_id: UUID, reservation: Reservation) -> str:
    payment = payment_of_reservation(user_id, reservation.reservation_id)
    return url_for("tickets.show", visit_id=payment.payment_id)
