"""Refunds by staff: the money is back, the seats are free, and each seat is refunded once."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from concert.ground.database import connection
from concert.wallet.models import HIGHEST_BALANCE
from tests.refunds.money import (
    PRICE,
    REASON,
    allow,
    bought,
    differences,
    pay_more,
    performances,
    refund,
    state_of,
    take_over,
    tickets,
    tomorrow,
)
from tests.sale import Sale
from tests.staff.crew import key_for, lines


def test_a_refund_gives_the_money_back_and_frees_the_seats(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    fan, payment = bought(rush, concert, 3, 4)
    answer = refund(rush, payment)
    assert answer.status_code == 201, answer.text
    assert answer.json["amount"] == answer.json["refunded"] == 2 * PRICE
    assert answer.json["seats"] == [{"seat_no": n, "price": PRICE} for n in (3, 4)]
    (to_wallet,) = answer.json["refunds"]
    assert (to_wallet["user_id"], to_wallet["balance"]) == (str(fan.user_id), 2 * PRICE)
    assert fan.balance() == 2 * PRICE
    other = rush.admitted_fan()
    assert {state_of(other, concert, n) for n in (3, 4)} == {"available"}
    assert other.hold(concert, 3, 4).status_code == 200
    assert differences() == ()


def test_a_refund_is_in_the_ledger_with_its_reason(rush: Sale) -> None:
    fan, payment = bought(rush, rush.concert(price=PRICE), 1)
    refund(rush, payment)
    newest = fan.call_as_user("GET", "/v1/charges?entries=5").json["entries"][0]
    assert (newest["kind"], newest["amount"], newest["balance_after"], newest["note"]) == (
        "refund",
        PRICE,
        PRICE,
        REASON,
    )


def test_some_seats_of_a_payment_can_be_refunded_and_then_the_rest(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    fan, payment = bought(rush, concert, 3, 4, 5)
    assert refund(rush, payment, 4).json["amount"] == PRICE
    assert fan.balance() == PRICE
    assert [state_of(rush.admitted_fan(), concert, n) for n in (3, 4, 5)] == [
        "sold",
        "available",
        "sold",
    ]
    assert differences() == ()
    rest = refund(rush, payment).json
    assert [seat["seat_no"] for seat in rest["seats"]] == [3, 5]
    assert (rest["amount"], rest["refunded"]) == (2 * PRICE, 3 * PRICE)
    assert fan.balance() == 3 * PRICE
    assert differences() == ()


def test_a_payment_shows_what_was_bought_and_what_of_it_was_refunded(rush: Sale) -> None:
    fan, payment = bought(rush, rush.concert(price=PRICE), 3, 4)
    refund(rush, payment, 4)
    shown = fan.call_as_user("GET", f"/v1/payments/{payment}").json
    assert [seat["seat_no"] for seat in shown["seats"]] == [3, 4]
    assert (shown["amount"], shown["refunded"]) == (2 * PRICE, PRICE)
    (told,) = shown["refunds"]
    assert (told["seats"], told["amount"], told["cause"], told["reason"]) == (
        [4],
        PRICE,
        "staff",
        REASON,
    )
    refund(rush, payment)
    assert fan.call_as_user("GET", "/v1/payments").json["payments"][0]["refunded"] == 2 * PRICE
    (reservation,) = fan.call_as_user("GET", "/v1/reservations").json["reservations"]
    assert reservation["status"] == "refunded"
    assert [seat["seat_no"] for seat in reservation["seats"]] == [3, 4]


def test_each_seat_is_refunded_once(rush: Sale) -> None:
    fan, payment = bought(rush, rush.concert(price=PRICE), 3, 4)
    assert refund(rush, payment, 3).status_code == 201
    for seats in ((3,), (3, 4), (5,)):
        answer = refund(rush, payment, *seats)
        assert (answer.status_code, answer.json["code"]) == (409, "refund_not_possible")
    assert refund(rush, payment).status_code == 201
    again = refund(rush, payment)
    assert (again.status_code, again.json["code"]) == (409, "refund_not_possible")
    assert fan.balance() == 2 * PRICE


def test_the_database_itself_refuses_a_second_refund_of_a_seat(rush: Sale) -> None:
    _, payment = bought(rush, rush.concert(price=PRICE), 3)
    refund(rush, payment)
    with connection() as link, pytest.raises(psycopg.errors.UniqueViolation):
        link.execute("INSERT INTO refunded_seats SELECT * FROM refunded_seats")


def test_the_same_key_gives_the_first_answer_and_no_money_again(rush: Sale) -> None:
    fan, payment = bought(rush, rush.concert(price=PRICE), 3, 4)
    first = refund(rush, payment, 3, key="once")
    assert refund(rush, payment, 3, key="once").json == first.json
    assert fan.balance() == PRICE
    other = refund(rush, payment, 4, key="once")
    assert (other.status_code, other.json["code"]) == (409, "idempotency_conflict")
    assert len(lines(verb="refund")) == 1


def test_the_seat_limit_counts_what_is_owned_and_not_what_was_refunded(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    fan, payment = bought(rush, concert, 1, 2, 3, 4)
    fan.join()
    assert fan.hold(concert, 5).json["code"] == "seat_limit"
    refund(rush, payment, 2)
    assert fan.hold(concert, 5, 6).json["code"] == "seat_limit"
    pay_more(fan, concert, 5)
    refund(rush, payment)
    fan.join()
    assert fan.hold(concert, 6, 7, 8, 9).json["code"] == "seat_limit"
    fan.charge(3 * PRICE)
    pay_more(fan, concert, 6, 7, 8)
    assert differences() == ()


def test_whoever_pays_again_what_was_refunded_gets_the_first_payment(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    fan, payment = bought(rush, concert, 3)
    refund(rush, payment)
    again = fan.pay(concert, 3)
    assert (again.status_code, again.json["payment_id"]) == (200, payment)
    assert again.json["refunded"] == fan.balance() == PRICE


def test_a_wallet_that_would_hold_too_much_gets_nothing_and_nothing_is_changed(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    fan, payment = bought(rush, concert, 3)
    while fan.balance() < HIGHEST_BALANCE:
        fan.charge(10_000_000)
    answer = refund(rush, payment)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_not_possible")
    assert fan.balance() == HIGHEST_BALANCE
    assert state_of(rush.admitted_fan(), concert, 3) == "sold"
    assert lines(verb="refund") == []
    assert differences() == ()


def test_what_cost_nothing_is_refunded_too(rush: Sale) -> None:
    concert = rush.concert(price=0)
    fan, payment = bought(rush, concert, 3, price=0)
    assert refund(rush, payment).json["amount"] == 0
    shown = fan.call_as_user("GET", f"/v1/payments/{payment}").json
    assert (shown["refunded"], shown["refunds"][0]["seats"]) == (0, [3])
    assert fan.join().status_code == 200
    assert fan.hold(concert, 3).status_code == 200


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": "x", "seats": []}])
def test_a_refund_needs_a_reason_and_a_seat(rush: Sale, body: dict[str, object]) -> None:
    _, payment = bought(rush, rush.concert(price=PRICE), 3)
    path = f"/v1/payments/{payment}/refunds"
    assert rush.organise("POST", path, json=body).status_code == 400
    assert refund(rush, payment, 3, 3).status_code == 400


def test_a_payment_that_is_not_there_cannot_be_refunded(rush: Sale) -> None:
    assert refund(rush, str(uuid4())).status_code == 404


def test_a_refund_is_in_the_audit_log(rush: Sale) -> None:
    _, payment = bought(rush, rush.concert(price=PRICE), 3, 4)
    body = {"seats": [4], "reason": REASON}
    path = f"/v1/payments/{payment}/refunds"
    answer = rush.call("POST", path, token=key_for("till", "box-office"), json=body)
    assert answer.status_code == 201
    (line,) = lines(verb="refund")
    assert (line.actor_kind, line.actor_name, line.reason) == ("key", "till", REASON)
    assert (line.subject_kind, line.subject_id) == ("payment", payment)
    assert line.before == {"refunded": 0}
    assert line.after is not None
    assert (line.after["refunded"], line.after["seats"]) == (PRICE, [4])


def test_seats_that_come_back_are_offered_to_whoever_stands_by(sale: Sale) -> None:
    sale.room(capacity=100, admit_per_minute=100_000)
    concert = sale.concert(price=PRICE, capacity=1)
    _, payment = bought(sale, concert, 1)
    sale.count_seats()
    waiting = sale.fan()
    assert waiting.join().json["seats"]["state"] == "sold_out"
    assert sale.admit() == 0
    refund(sale, payment)
    sale.count_seats()
    assert sale.admit() == 1
    assert waiting.hold(concert, 1).status_code == 200


def test_the_tickets_of_what_is_refunded_are_void_and_say_why(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    fan, payment = bought(rush, concert, 3, 4)
    refund(rush, payment, 4)
    shown = {one["seat_no"]: one for one in tickets(fan)}
    assert [shown[n]["status"] for n in (3, 4)] == ["valid", "void"]
    assert shown[4]["code"] is None
    refund(rush, payment)
    assert [one["status"] for one in tickets(fan)] == ["void", "void"]
    # The seat is somebody else's now, with a ticket of their own.
    other, _ = bought(rush, concert, 4)
    assert [one["status"] for one in tickets(other)] == ["valid"]
    assert differences() == ()


def test_whoever_took_a_ticket_over_gets_the_money_back(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    allow(rush, performance, tomorrow())
    giver, payment = bought(rush, concert, 3, 4)
    taker = rush.fan(balance=PRICE)
    take_over(giver, taker, seat_no=4)
    assert (giver.balance(), taker.balance()) == (PRICE, 0)
    answer = refund(rush, payment).json
    assert {one["user_id"]: one["amount"] for one in answer["refunds"]} == {
        str(giver.user_id): PRICE,
        str(taker.user_id): PRICE,
    }
    assert (giver.balance(), taker.balance()) == (2 * PRICE, PRICE)
    assert differences() == ()
