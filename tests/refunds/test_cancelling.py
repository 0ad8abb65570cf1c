"""Cancelling a date: the sale is over at once, and everybody is refunded exactly once."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from concert.ground.database import connection
from concert.refunds import cancelling
from concert.refunds.cancelling import SETTLED_SECONDS, refund_cancelled
from concert.wallet.models import HIGHEST_BALANCE
from tests.refunds.money import PRICE, bought, differences, performances, refund
from tests.sale import Fan, Sale
from tests.staff.crew import lines

WHY = "The band is ill."


def cancel(sale: Sale, performance: int, **body: Any) -> TestResponse:
    path = f"/v1/performances/{performance}/cancellation"
    return sale.organise("POST", path, json={"reason": WHY, **body})


def progress(sale: Sale, performance: int) -> Any:
    answer = sale.organise("GET", f"/v1/performances/{performance}/cancellation")
    assert answer.status_code == 200, answer.text
    return answer.json


def balances(fans: list[Fan]) -> list[int]:
    return [fan.balance() for fan in fans]


def with_a_full_wallet(sale: Sale, concert: int, *seat_nos: int) -> Fan:
    """Somebody who has paid these seats, and has as much as a wallet may hold."""
    fan, _ = bought(sale, concert, *seat_nos)
    with connection() as link:
        link.execute(
            "UPDATE wallets SET balance = %s WHERE user_id = %s", (HIGHEST_BALANCE, fan.user_id)
        )
        link.execute(
            "INSERT INTO wallet_entries (user_id, amount, balance_after, kind) VALUES (%s, %s, %s, 'charge')",
            (fan.user_id, HIGHEST_BALANCE, HIGHEST_BALANCE),
        )
    return fan


def test_everybody_is_refunded_once_with_the_reason_of_the_cancellation(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    fans = [bought(rush, concert, n, n + 10)[0] for n in range(1, 6)]
    assert cancel(rush, performance).status_code == 201
    assert progress(rush, performance)["payments"] == {"refunded": 0, "left": 5}
    assert refund_cancelled() == 5
    assert refund_cancelled() == 0
    assert balances(fans) == [2 * PRICE] * 5
    told = progress(rush, performance)
    assert (told["payments"], told["amount"]) == (
        {"refunded": 5, "left": 0},
        {"refunded": 10 * PRICE, "left": 0},
    )
    entry = fans[0].call_as_user("GET", "/v1/charges?entries=1").json["entries"][0]
    assert (entry["kind"], entry["note"]) == ("refund", WHY)
    (payment,) = fans[0].call_as_user("GET", "/v1/payments").json["payments"]
    assert payment["refunds"][0]["cause"] == "cancelled"
    assert differences() == ()


def test_it_is_done_when_nothing_that_had_begun_before_can_come_any_more(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    bought(rush, concert, 1)
    cancel(rush, performance)
    refund_cancelled()
    assert progress(rush, performance)["state"] == "running"
    rush.let_time_pass(SETTLED_SECONDS + 1)
    refund_cancelled()
    told = progress(rush, performance)
    assert (told["state"], told["payments"]) == ("done", {"refunded": 1, "left": 0})
    assert [line.verb for line in lines() if "cancel" in line.verb] == [
        "cancel_performance",
        "finish_cancellation",
    ]


def test_the_sale_ends_at_once_and_holds_are_released(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    holder, other = rush.admitted_fan(balance=PRICE), rush.admitted_fan()
    assert holder.hold(concert, 3).status_code == 200
    cancel(rush, performance)
    assert other.hold(concert, 4).json["code"] == "sales_not_open"
    (reservation,) = holder.call_as_user("GET", "/v1/reservations").json["reservations"]
    assert reservation["status"] == "cancelled"
    assert holder.pay(concert, 3).json["code"] == "hold_expired"
    assert holder.balance() == PRICE
    assert holder.place().json["status"] == "admitted"


def test_what_is_paid_all_the_same_is_refunded_too(rush: Sale) -> None:
    # A hold that had begun before may be written after the sale was over.
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    fan = rush.admitted_fan(balance=PRICE)
    assert fan.hold(concert, 3).status_code == 200
    with connection() as link:
        link.execute(
            "UPDATE performances SET cancelled_at = now(), sales_close_at = now() WHERE id = %s",
            (performance,),
        )
        link.execute(
            "INSERT INTO cancellations (performance_id, reason, cancelled_at) VALUES (%s, %s, now())",
            (performance, WHY),
        )
    assert fan.pay(concert, 3).status_code == 200
    refund_cancelled()
    assert fan.balance() == PRICE
    assert differences() == ()


def test_a_sale_that_is_to_come_can_be_cancelled(rush: Sale) -> None:
    concert = rush.concert(sales_open_at="2030-01-01T00:00:00+09:00")
    (performance,) = performances(rush, concert)
    assert cancel(rush, performance).status_code == 201
    (date,) = rush.call("GET", f"/v1/concerts/{concert}").json["dates"]
    assert date["cancelled_at"] is not None
    assert rush.call("GET", f"/v1/concerts/{concert}").json["sales"] == "ended"


def test_cancelling_again_changes_nothing(rush: Sale) -> None:
    (performance,) = performances(rush, rush.concert())
    first = cancel(rush, performance)
    again = cancel(rush, performance, reason="Something else.")
    assert (again.status_code, again.json) == (200, first.json)
    assert len(lines(verb="cancel_performance")) == 1


def test_other_dates_stay_as_they_are(rush: Sale) -> None:
    concert = rush.concert(price=PRICE, dates=2)
    first, second = performances(rush, concert)
    fan = rush.admitted_fan(balance=PRICE)
    assert fan.hold(concert, 1, performance_id=second).status_code == 200
    assert fan.pay(concert, 1, performance_id=second).status_code == 200
    cancel(rush, first)
    assert refund_cancelled() == 0
    assert fan.balance() == 0
    other = rush.admitted_fan()
    assert other.hold(concert, 2, performance_id=second).status_code == 200


def test_the_room_ends_where_nothing_else_is_on_sale(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.fan()
    assert fan.join().status_code == 200
    cancel(sale, performances(sale, concert)[0])
    sale.count_seats()
    late = sale.fan().join()
    assert (late.status_code, late.json["code"]) == (409, "sales_ended")


def test_what_was_refunded_before_is_not_refunded_again(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    fan, payment = bought(rush, concert, 1, 2, 3)
    refund(rush, payment, 2)
    cancel(rush, performance)
    assert refund_cancelled() == 1
    assert fan.balance() == 3 * PRICE
    assert progress(rush, performance)["amount"]["refunded"] == 2 * PRICE
    assert differences() == ()


def test_a_full_wallet_stops_nobody_else_and_is_tried_again(
    rush: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "AT_ONCE", 3)
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    fans = [bought(rush, concert, n)[0] for n in range(1, 8)]
    rich = with_a_full_wallet(rush, concert, 9)
    cancel(rush, performance)
    assert refund_cancelled() == 7
    assert balances(fans) == [PRICE] * 7
    told = progress(rush, performance)
    assert (told["state"], told["payments"]["left"]) == ("waiting", 1)
    assert [(one["user_id"], one["amount"]) for one in told["waiting"]] == [
        (str(rich.user_id), PRICE)
    ]
    assert rich.balance() == HIGHEST_BALANCE
    paid_out = rush.organise(
        "POST", f"/v1/users/{rich.user_id}/payouts", json={"amount": PRICE, "note": "By bank."}
    )
    assert paid_out.status_code == 201
    rush.let_time_pass(SETTLED_SECONDS + 1)
    assert refund_cancelled() == 1
    assert progress(rush, performance)["state"] == "done"
    assert rich.balance() == HIGHEST_BALANCE
    assert differences() == ()


def test_whoever_is_being_refunded_at_this_moment_is_left_for_the_next_look(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    fans = [bought(rush, concert, n)[0] for n in range(1, 4)]
    cancel(rush, performance)
    with connection() as link, link.transaction():
        link.execute("SELECT 1 FROM reservations WHERE user_id = %s FOR UPDATE", (fans[1].user_id,))
        assert refund_cancelled() == 2
    rush.let_time_pass(SETTLED_SECONDS + 1)
    assert refund_cancelled() == 1
    assert balances(fans) == [PRICE] * 3


@pytest.mark.parametrize(("number", "status"), [(999, 404), (2**63 - 1, 404), (0, 400)])
def test_a_date_that_is_not_there_cannot_be_cancelled(rush: Sale, number: int, status: int) -> None:
    assert cancel(rush, number).status_code == status


def test_a_date_that_is_not_cancelled_has_no_cancellation(rush: Sale) -> None:
    (performance,) = performances(rush, rush.concert())
    answer = rush.organise("GET", f"/v1/performances/{performance}/cancellation")
    assert answer.status_code == 404


def test_a_cancellation_needs_a_reason_and_is_in_the_audit_log(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    assert cancel(rush, performance, reason=" ").status_code == 400
    bought(rush, concert, 1)
    cancel(rush, performance)
    refund_cancelled()
    (line,) = lines(verb="cancel_performance")
    assert (line.subject_id, line.reason, line.actor_kind) == (str(performance), WHY, "root")
    (line,) = lines(verb="refund")
    assert (line.actor_kind, line.reason) == ("system", WHY)
