"""Paying: money, seats and the record of it, all or nothing."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from concert.ground.database import connection
from concert.ground.errors import NotYours
from concert.payments.service import differing_seats, payment_of_reservation, top_up_and_pay
from concert.waiting_room.tokens import queue_token_of
from concert.wallet.service import differing_wallets
from tests.sale import Fan, Sale

PAYMENT = {
    "payment_id",
    "reservation_id",
    "concert_id",
    "performance_id",
    "date",
    "seats",
    "amount",
    "balance",
    "paid_at",
    "refunded",
    "refunds",
}


def holding(sale: Sale, *seats: int, balance: int = 0, price: int = 1000) -> tuple[int, Fan]:
    concert = sale.concert(price=price)
    fan = sale.admitted_fan(concert, balance=balance)
    assert fan.hold(concert, *seats).status_code == 200
    return concert, fan


def rows(table: str) -> int:
    with connection() as link:
        row = link.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_a_payment_has_the_fields_that_programs_rely_on(sale: Sale) -> None:
    concert, fan = holding(sale, 4, 3, balance=5000)
    paid = fan.pay(concert, 3)
    assert paid.status_code == 200
    assert paid.json.keys() == PAYMENT
    assert paid.json["seats"] == [{"seat_no": 3, "price": 1000}, {"seat_no": 4, "price": 1000}]
    assert (paid.json["amount"], paid.json["balance"]) == (2000, 3000)
    assert (paid.json["concert_id"], paid.json["date"]) == (concert, "2030-12-31")
    assert fan.call_as_user("GET", "/v1/payments").json == {"payments": [paid.json]}
    receipt = fan.call_as_user("GET", f"/v1/payments/{paid.json['payment_id']}")
    assert receipt.json == paid.json


def test_paying_takes_the_money_sells_the_seats_and_writes_the_payment(sale: Sale) -> None:
    concert, fan = holding(sale, 3, 4, balance=2000)
    reservation = fan.pay(concert, 4).json["reservation_id"]
    assert fan.balance() == 0
    one = fan.call_as_user("GET", f"/v1/reservations/{reservation}").json
    assert one["status"] == "paid"
    seats = sale.admitted_fan(concert).seats(concert).json["dates"][0]["seats"]
    assert [seat["seat_no"] for seat in seats if seat["state"] == "sold"] == [3, 4]
    assert differing_wallets() == differing_seats() == []


def test_a_balance_that_is_too_small_is_402_and_takes_nothing(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=999)
    refused = fan.pay(concert, 3)
    assert (refused.status_code, refused.json["code"]) == (402, "insufficient_balance")
    assert refused.json["missing"] == 1
    assert (fan.balance(), rows("payments")) == (999, 0)
    fan.charge(1)
    assert fan.pay(concert, 3).status_code == 200


def test_topping_up_and_paying_happen_together_or_not_at_all(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=400)
    held = fan.call("GET", "/v1/reservations").json["reservations"][0]
    token = queue_token_of(fan.queue_token)
    with connection() as link:
        link.execute("ALTER TABLE payments ADD CONSTRAINT refuse CHECK (amount < 0) NOT VALID")
    try:
        with pytest.raises(psycopg.errors.CheckViolation):
            top_up_and_pay(token, "main", UUID(held["reservation_id"]), 600)
    finally:
        with connection() as link:
            link.execute("ALTER TABLE payments DROP CONSTRAINT refuse")
    assert (fan.balance(), rows("wallet_entries")) == (400, 1)
    paid = top_up_and_pay(token, "main", UUID(held["reservation_id"]), 600)
    assert (paid.amount, paid.balance, rows("wallet_entries")) == (1000, 0, 3)
    assert fan.seats(concert).json["code"] == "token_expired"
    again = top_up_and_pay(token, "main", UUID(held["reservation_id"]), 600)
    assert (again, rows("wallet_entries")) == (paid, 3)
    assert differing_wallets() == differing_seats() == []


def test_nobody_tops_up_for_what_somebody_else_holds(sale: Sale) -> None:
    concert, fan = holding(sale, 3)
    held = fan.call("GET", "/v1/reservations").json["reservations"][0]
    other = sale.admitted_fan(concert)
    with pytest.raises(NotYours):
        top_up_and_pay(
            queue_token_of(other.queue_token), "main", UUID(held["reservation_id"]), 1000
        )
    assert rows("wallet_entries") == 0


def test_a_user_without_a_wallet_is_402_and_no_fault(sale: Sale) -> None:
    concert, fan = holding(sale, 3)
    refused = fan.pay(concert, 3)
    assert (refused.status_code, refused.json["missing"]) == (402, 1000)


def test_a_seat_that_costs_nothing_can_be_paid_without_a_wallet(sale: Sale) -> None:
    concert, fan = holding(sale, 3, price=0)
    paid = fan.pay(concert, 3)
    assert (paid.status_code, paid.json["amount"], paid.json["balance"]) == (200, 0, 0)


def test_paying_after_the_deadline_fails_and_takes_nothing(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    sale.let_time_pass(301)
    late = fan.pay(concert, 3)
    assert (late.status_code, late.json["code"]) == (409, "hold_expired")
    assert (fan.balance(), rows("payments")) == (1000, 0)


@pytest.mark.parametrize("table", ["reservations", "seats"])
def test_neither_a_reservation_nor_a_seat_whose_time_is_over_can_be_paid(
    sale: Sale, table: str
) -> None:
    concert, fan = holding(sale, 3, 4, balance=5000)
    with connection() as link:
        over = f"UPDATE {table} SET held_until = clock_timestamp() WHERE held_until IS NOT NULL"
        link.execute(over.encode())
    assert fan.pay(concert, 3).json["code"] == "hold_expired"
    assert (fan.balance(), rows("payments")) == (5000, 0)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE reservations SET status = 'cancelled' WHERE seat_nos = '{3,4}'",
        "UPDATE seats SET sold_at = now() WHERE seat_no = 4",
        """UPDATE seats SET reservation_id = r.id FROM reservations r
        WHERE r.seat_nos = '{9}' AND seat_no = 4""",
    ],
    ids=["cancelled", "one seat is sold", "one seat has gone to somebody else"],
)
def test_what_is_not_held_whole_any_more_is_not_sold(sale: Sale, tampering: str) -> None:
    concert, fan = holding(sale, 3, 4, balance=5000)
    assert sale.admitted_fan(concert).hold(concert, 9).status_code == 200
    with connection() as link:
        link.execute(tampering.encode())
    assert fan.pay(concert, 3).json["code"] == "hold_expired"
    assert (fan.balance(), rows("payments")) == (5000, 0)


def test_a_payment_takes_nobody_elses_money(sale: Sale) -> None:
    other = sale.fan(balance=5000)
    concert, fan = holding(sale, 3, balance=5000)
    assert fan.pay(concert, 3).status_code == 200
    assert (fan.balance(), other.balance()) == (4000, 5000)


def test_paying_after_somebody_else_took_the_lapsed_seat_takes_nothing(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    sale.let_time_pass(301)
    sale.admitted_fan(concert).hold(concert, 3)
    assert fan.pay(concert, 3).json["code"] == "hold_expired"
    assert fan.balance() == 1000


def test_paying_what_was_released_fails_and_takes_nothing(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    reservation = fan.call("GET", "/v1/reservations").json["reservations"][0]["reservation_id"]
    fan.call("DELETE", f"/v1/reservations/{reservation}")
    assert fan.pay(concert, 3).json["code"] == "hold_expired"
    assert fan.balance() == 1000


def test_paying_twice_returns_the_first_payment_and_takes_the_money_once(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=5000)
    first = fan.pay(concert, 3)
    second = fan.pay(concert, 3)
    assert (second.status_code, second.json) == (200, first.json)
    assert (fan.balance(), rows("payments")) == (4000, 1)


def test_a_seat_that_somebody_else_holds_or_owns_cannot_be_paid(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    other = sale.admitted_fan(concert, balance=1000)
    for _ in range(2):
        refused = other.pay(concert, 3)
        assert (refused.status_code, refused.json["code"]) == (403, "not_yours")
        fan.pay(concert, 3)
    assert other.balance() == 1000


def test_a_seat_that_nobody_holds_cannot_be_paid(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    missed = fan.pay(concert, 5)
    assert (missed.status_code, missed.json["code"]) == (404, "not_found")
    assert fan.balance() == 1000


def test_paying_completes_the_queue_token(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    fan.pay(concert, 3)
    for refused in (
        fan.place(),
        fan.seats(concert),
        fan.hold(concert, 9),
        fan.call("GET", f"/v1/concerts/{concert}/dates"),
        fan.call("GET", "/v1/reservations"),
        fan.call("DELETE", "/v1/enqueues"),
        fan.call("GET", "/v1/enqueues/events"),
    ):
        assert (refused.status_code, refused.json["code"]) == (401, "token_expired")


def test_the_queue_token_lasts_while_the_user_holds_other_seats_behind_the_room(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=2000)
    fan.hold(concert, 9)
    assert fan.pay(concert, 3).status_code == 200
    assert fan.seats(concert).status_code == 200
    assert fan.pay(concert, 9).status_code == 200
    assert fan.seats(concert).json["code"] == "token_expired"


def test_a_hold_that_has_lapsed_keeps_no_queue_token_alive(sale: Sale) -> None:
    concert, fan = holding(sale, 9, balance=2000)
    sale.let_time_pass(200)
    fan.hold(concert, 3)
    sale.let_time_pass(101)
    assert fan.pay(concert, 3).status_code == 200
    assert fan.place().json["code"] == "token_expired"


def test_a_hold_behind_another_room_keeps_no_queue_token_alive(sale: Sale) -> None:
    sale.room("hall")
    concert, fan = holding(sale, 3, balance=2000)
    spent = fan.queue_token
    elsewhere = sale.concert(room="hall")
    fan.join(elsewhere)
    assert fan.hold(elsewhere, 3).status_code == 200
    fan.queue_token = spent
    assert fan.pay(concert, 3).status_code == 200
    assert fan.place().json["code"] == "token_expired"


def test_the_place_is_completed_in_the_transaction_of_the_payment(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    fan.pay(concert, 3)
    with connection() as link:
        together = link.execute("SELECT c.xmin = y.xmin FROM completed_places c, payments y")
        assert together.fetchall() == [(True,)]


def test_a_seat_is_paid_at_the_price_at_which_it_was_held(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=5000)
    with connection() as link:
        link.execute("UPDATE seats SET price = 4000")
    assert fan.pay(concert, 3).json["amount"] == 1000


def test_a_payment_that_breaks_in_the_middle_leaves_nothing(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    with connection() as link:
        link.execute("ALTER TABLE payments ADD CONSTRAINT refuse CHECK (amount < 0) NOT VALID")
    try:
        assert fan.pay(concert, 3).status_code == 500
        assert (
            fan.pay(concert, 3, headers={"Idempotency-Key": "again-and-again"}).status_code == 500
        )
    finally:
        with connection() as link:
            link.execute("ALTER TABLE payments DROP CONSTRAINT refuse")
    assert (fan.balance(), rows("payments"), rows("idempotency_keys")) == (1000, 0, 0)
    assert fan.pay(concert, 3).status_code == 200


def test_the_database_itself_refuses_a_second_payment_of_one_reservation(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    fan.pay(concert, 3)
    with pytest.raises(psycopg.errors.UniqueViolation), connection() as link:
        link.execute(
            "INSERT INTO payments SELECT gen_random_uuid(), reservation_id, user_id, amount, balance_after, paid_at FROM payments"
        )


def test_the_database_itself_refuses_a_negative_balance_and_one_too_large(sale: Sale) -> None:
    sale.fan(balance=1)
    for balance in (-1, 1_000_000_001):
        with pytest.raises(psycopg.errors.CheckViolation), connection() as link:
            link.execute("UPDATE wallets SET balance = %s", (balance,))


def test_a_payment_is_seen_by_its_owner_only(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    path = f"/v1/payments/{fan.pay(concert, 3).json['payment_id']}"
    other = sale.fan()
    refused = other.call_as_user("GET", path)
    assert (refused.status_code, refused.json["code"]) == (403, "not_yours")
    assert other.call_as_user("GET", "/v1/payments").json == {"payments": []}
    missed = fan.call_as_user("GET", f"/v1/payments/{uuid4()}")
    assert (missed.status_code, missed.json["code"]) == (404, "not_found")
    assert fan.call_as_user("GET", "/v1/payments/x").status_code == 400


def test_the_payment_of_a_reservation_is_its_owners(sale: Sale) -> None:
    concert, fan = holding(sale, 3, balance=1000)
    paid = fan.pay(concert, 3).json
    reservation = UUID(paid["reservation_id"])
    mine = payment_of_reservation(fan.user_id, reservation)
    assert str(mine.payment_id) == paid["payment_id"]
    with pytest.raises(NotYours):
        payment_of_reservation(sale.fan().user_id, reservation)
