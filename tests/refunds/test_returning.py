"""Giving one's own seats back, until the time that the organiser sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from werkzeug.test import TestResponse

from concert.ground.database import connection
from tests.refunds.money import (
    PRICE,
    allow,
    bought,
    differences,
    performances,
    refund,
    state_of,
    take_over,
    tomorrow,
)
from tests.sale import Fan, Sale
from tests.staff.crew import lines


def give(fan: Fan, payment: str, seat_no: int) -> TestResponse:
    return fan.call_as_user("DELETE", f"/v1/payments/{payment}/seats/{seat_no}")


def test_a_seat_is_given_back_while_its_date_allows_it(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    fan, payment = bought(rush, concert, 3, 4)
    assert give(fan, payment, 3).json["code"] == "refund_not_possible"
    assert allow(rush, performance, tomorrow()).status_code == 200
    answer = give(fan, payment, 3)
    assert answer.status_code == 200, answer.text
    assert (answer.json["amount"], answer.json["balance"]) == (PRICE, PRICE)
    (shown,) = fan.call_as_user("GET", f"/v1/payments/{payment}").json["refunds"]
    assert (shown["cause"], shown["reason"], shown["seats"]) == ("returned", None, [3])
    assert fan.balance() == PRICE
    assert [state_of(rush.admitted_fan(), concert, n) for n in (3, 4)] == ["available", "sold"]
    assert differences() == ()


def test_giving_the_same_seat_back_again_changes_nothing(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    allow(rush, performances(rush, concert)[0], tomorrow())
    fan, payment = bought(rush, concert, 3)
    first = give(fan, payment, 3)
    again = give(fan, payment, 3)
    assert (again.status_code, again.json) == (200, first.json)
    assert fan.balance() == PRICE


def test_after_the_time_for_it_nothing_can_be_given_back(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    fan, payment = bought(rush, concert, 3)
    allow(rush, performance, datetime.now(UTC) + timedelta(seconds=50))
    rush.let_time_pass(60)
    answer = give(fan, payment, 3)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_not_possible")
    assert allow(rush, performance, None).json["returns_until"] is None
    assert give(fan, payment, 3).status_code == 409
    assert fan.balance() == 0


def test_nobody_gives_back_what_is_somebody_elses_or_what_they_never_had(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    allow(rush, performances(rush, concert)[0], tomorrow())
    fan, payment = bought(rush, concert, 3)
    assert give(rush.fan(), payment, 3).json["code"] == "not_yours"
    assert give(fan, payment, 4).json["code"] == "refund_not_possible"
    assert give(fan, str(fan.user_id), 3).status_code == 404
    refund(rush, payment)
    assert give(rush.fan(), payment, 3).json["code"] == "not_yours"


def test_the_time_is_told_with_the_date_and_kept_in_the_audit_log(rush: Sale) -> None:
    concert = rush.concert()
    (performance,) = performances(rush, concert)
    until = tomorrow().replace(microsecond=0)
    allow(rush, performance, until, reason="Ill people stay at home.")
    (date,) = rush.call("GET", f"/v1/concerts/{concert}").json["dates"]
    assert datetime.fromisoformat(date["returns_until"]) == until
    (line,) = lines(verb="set_returns")
    assert (line.before, line.reason) == ({"returns_until": None}, "Ill people stay at home.")


def test_the_time_is_not_after_the_beginning(rush: Sale) -> None:
    (performance,) = performances(rush, rush.concert())
    late = datetime(2031, 1, 1, tzinfo=UTC)
    assert allow(rush, performance, late).status_code == 400
    assert (
        rush.organise("PUT", "/v1/performances/99/returns", json={"until": None}).status_code == 404
    )


def test_whoever_took_a_ticket_over_gives_it_back_and_whoever_gave_it_cannot(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    allow(rush, performances(rush, concert)[0], tomorrow())
    giver, payment = bought(rush, concert, 3)
    taker = rush.fan(balance=PRICE)
    take_over(giver, taker, seat_no=3)
    assert give(giver, payment, 3).json["code"] == "not_yours"
    assert give(taker, payment, 3).json["amount"] == PRICE
    assert (giver.balance(), taker.balance()) == (PRICE, PRICE)
    assert give(giver, payment, 3).json["code"] == "not_yours"
    assert differences() == ()


def test_nobody_gives_a_ticket_back_with_which_somebody_has_entered(rush: Sale) -> None:
    concert = rush.concert(price=PRICE)
    allow(rush, performances(rush, concert)[0], tomorrow())
    fan, payment = bought(rush, concert, 3)
    with connection() as link:
        link.execute("UPDATE tickets SET status = 'used'")
    answer = give(fan, payment, 3)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_not_possible")
    assert fan.balance() == 0
    # Staff may: they know why.
    assert refund(rush, payment).status_code == 201
    assert differences() == ()
