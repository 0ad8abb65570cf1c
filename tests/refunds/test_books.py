"""The books: an honest house has no difference, and whatever is tampered with is found."""

from __future__ import annotations

from typing import Any

import pytest

from concert.ground.database import connection
from concert.refunds import books
from concert.refunds.cancelling import refund_cancelled
from tests.refunds.money import PRICE, bought, performances, refund
from tests.refunds.test_cancelling import cancel
from tests.sale import Sale


@pytest.fixture
def house(rush: Sale) -> Sale:
    """Somebody owns two seats, had three, and got some of the money paid out; a date was cancelled."""
    concert = rush.concert(price=PRICE)
    fan, payment = bought(rush, concert, 1, 2, 3)
    refund(rush, payment, 2)
    path = f"/v1/users/{fan.user_id}/payouts"
    assert rush.organise("POST", path, json={"amount": 400, "note": "Bank."}).status_code == 201
    other = rush.concert(price=PRICE)
    bought(rush, other, 7)
    cancel(rush, performances(rush, other)[0])
    assert refund_cancelled() == 1
    return rush


def test_an_honest_house_has_no_difference(house: Sale) -> None:
    found = books.audit()
    assert found.differences == ()
    sums = found.sums
    assert (sums.charged, sums.paid, sums.refunded, sums.paid_out) == (
        4 * PRICE,
        4 * PRICE,
        2 * PRICE,
        400,
    )
    assert sums.in_wallets == sums.charged - sums.paid + sums.refunded - sums.paid_out
    assert (sums.payments, sums.seats_sold) == (2, 2)


TAMPERED = {
    "a balance": ("UPDATE wallets SET balance = balance + 1 WHERE balance > 0", "wallet"),
    "an entry's balance": (
        "UPDATE wallet_entries SET balance_after = balance_after + 1 WHERE kind = 'payout'",
        "wallet",
    ),
    "a refund's entry": (
        "UPDATE wallet_entries SET amount = amount + 1 WHERE kind = 'refund'",
        "refund",
    ),
    "a payment's entry": (
        "UPDATE wallet_entries SET amount = amount + 1 WHERE kind = 'payment'",
        "payment",
    ),
    "a payout": ("UPDATE payouts SET amount = amount + 1", "payout"),
    "a refund": ("UPDATE refunds SET amount = amount + 1", "refund"),
    "a refunded seat": ("UPDATE refunded_seats SET price = price + 1", "refund"),
    "a payment": ("UPDATE payments SET amount = amount + 1", "payment"),
    "a reservation": (
        "UPDATE reservations SET amount = amount + 1 WHERE status = 'paid'",
        "payment",
    ),
    "a reservation's seats": (
        "UPDATE reservations SET seat_nos = '{1}', prices = '{10000}', amount = 10000 WHERE status = 'paid'",
        "seat",
    ),
    "a reservation's state": (
        "UPDATE reservations SET status = 'expired' WHERE status = 'refunded'",
        "payment",
    ),
    "a seat sold": ("UPDATE seats SET sold_at = NULL", "seat"),
    "a ticket": (
        "UPDATE tickets SET ended_at = now(), status = 'void' WHERE ended_at IS NULL AND seat_no = 1",
        "seat",
    ),
    "a ticket's end": (
        "UPDATE tickets SET ended_at = NULL, status = 'valid' WHERE seat_no = 2",
        "ticket",
    ),
    "a cancellation": ("DELETE FROM cancellations", "performance"),
    "a date": ("UPDATE performances SET cancelled_at = NULL", "performance"),
    "the end of a cancellation": (
        "UPDATE cancellations SET finished_at = now(), performance_id = (SELECT performance_id FROM reservations WHERE status = 'paid')",
        "performance",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_tampered_with_is_found(house: Sale, what: str) -> None:
    statement, about = TAMPERED[what]
    with connection() as link:
        link.execute(statement)
    found = books.audit().differences
    assert about in {one.about for one in found}, found


def test_an_audit_changes_nothing_and_waits_for_nobody(house: Sale) -> None:
    with connection() as link, link.transaction():
        link.execute("LOCK TABLE wallets, payments, seats IN ROW EXCLUSIVE MODE")
        link.execute("UPDATE wallets SET balance = balance + 1")
        assert books.audit().differences == ()


def test_an_audit_is_one_snapshot(house: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    read = books.read_differing_wallets

    def read_and_let_others_work(*asked: Any) -> Any:
        found = read(*asked)
        # Somebody pays for a seat between one statement of the audit and the next.
        bought(house, house.concert(price=PRICE), 1)
        with connection() as link:
            link.execute("UPDATE wallets SET balance = balance + 1")
            link.execute("UPDATE payments SET amount = amount + 1")
        return found

    monkeypatch.setattr(books, "read_differing_wallets", read_and_let_others_work)
    assert books.audit().differences == ()
