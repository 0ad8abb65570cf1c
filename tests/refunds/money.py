"""Buying, and giving back, as the tests of money back do it."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

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
