"""Buying, and giving back, as the tests of money back do it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug.test import TestResponse

from concert.refunds import books
from tests.sale import Fan, Sale

PRICE = 10_000
REASON = "The view is blocked."


def bought(sale: Sale, concert: int, *seat_nos: int, price: int = PRICE) -> tuple[Fan, str]:
    """A new fan who has paid these seats and has nothing left, and the payment."""
    fan = sale.admitted_fan(balance=price * len(seat_nos))
    return fan, pay_more(fan, concert, *seat_nos)


def pay_more(fan: Fan, concert: int, *seat_nos: int) -> str:
    """Hold and pay; returns the payment."""
    held = fan.hold(concert, *seat_nos)
    assert held.status_code == 200, held.text
    paid = fan.pay(concert, seat_nos[0])
    assert paid.status_code == 200, paid.text
    number: str = paid.json["payment_id"]
    return number


def refund(sale: Sale, payment: str, *seat_nos: int, key: str = "", **more: Any) -> TestResponse:
    """Refund a payment, or these seats of it, as the organiser."""
    body = {"reason": REASON, **({"seats": list(seat_nos)} if seat_nos else {}), **more}
    headers = {"Idempotency-Key": key} if key else {}
    return sale.organise("POST", f"/v1/payments/{payment}/refunds", json=body, headers=headers)


def state_of(fan: Fan, concert: int, seat_no: int) -> str:
    """How a seat is shown to somebody inside."""
    seats = fan.seats(concert).json["dates"][0]["seats"]
    state: str = seats[seat_no - 1]["state"]
    return state


def differences() -> tuple[books.Difference, ...]:
    """Whatever contradicts itself in the books."""
    return books.audit().differences


def performances(sale: Sale, concert: int) -> list[int]:
    """The numbers of a concert's dates."""
    shown = sale.call("GET", f"/v1/concerts/{concert}").json
    return [date["performance_id"] for date in shown["dates"]]


def allow(sale: Sale, performance: int, until: datetime | None, **more: Any) -> TestResponse:
    """Say until when tickets of a date may be given back."""
    told = {"until": until.isoformat() if until else None, **more}
    return sale.organise("PUT", f"/v1/performances/{performance}/returns", json=told)


def tomorrow() -> datetime:
    """A day from now."""
    return datetime.now(UTC) + timedelta(days=1)


def tickets(fan: Fan) -> list[dict[str, Any]]:
    """Somebody's tickets, by seat."""
    found: list[dict[str, Any]] = fan.call_as_user("GET", "/v1/tickets").json["tickets"]
    return sorted(found, key=lambda one: one["seat_no"])


def take_over(giver: Fan, taker: Fan, seat_no: int) -> None:
    """Hand one's ticket for a seat on, by a link."""
    (ticket,) = [one["ticket_id"] for one in tickets(giver) if one["seat_no"] == seat_no]
    made = giver.call_as_user("POST", f"/v1/tickets/{ticket}/links", json={})
    assert made.status_code == 201, made.text
    taken = taker.call_as_user("POST", f"/v1/ticket-links/{made.json['code']}", json={})
    assert taken.status_code == 201, taken.text
