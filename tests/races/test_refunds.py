"""Money back from many sides at one time. Each storm has a control without the guard."""

from __future__ import annotations

from functools import partial

import pytest

from concert.factory import ConcertApp
from concert.refunds.cancelling import refund_cancelled
from concert.refunds.queries import LOCK_PAYMENT, WRITE_SEATS
from tests.races import steps
from tests.races.crew import Altered, Answer, Crew, Step, asking
from tests.races.test_holds import people
from tests.races.verdict import contradictions
from tests.refunds.money import (
    allow,
    differences,
    pay_more,
    performances,
    refund,
    tickets,
    tomorrow,
)
from tests.sale import ORGANISER_KEY, Fan, Sale

pytestmark = pytest.mark.races

PRICE = 10_000


@pytest.fixture
def rush(sale: Sale) -> Sale:
    """A sale whose room lets everybody in."""
    sale.room(capacity=10_000, admit_per_minute=1_000_000)
    sale.something_else()
    return sale


def refunding(payment: str, *seat_nos: int) -> Step:
    """Refund these seats, or all that is left."""
    body = {"reason": "Why not.", **({"seats": list(seat_nos)} if seat_nos else {})}
    return asking("POST", f"/v1/payments/{payment}/refunds", ORGANISER_KEY, body)


def returning(fan: Fan, payment: str, seat_no: int) -> Step:
    """Give one's own seat back."""
    return asking("DELETE", f"/v1/payments/{payment}/seats/{seat_no}", fan.user_token)


def going_on(app: ConcertApp, seconds: float) -> int:
    """The clock's job."""
    return refund_cancelled(seconds)


def refund_the_rest(sale: Sale, fans: list[Fan]) -> None:
    """Refund whatever is left of what they have paid."""
    for fan in fans:
        (payment,) = fan.call_as_user("GET", "/v1/payments").json["payments"]
        assert refund(sale, payment["payment_id"]).status_code in (201, 409)


def refunds_from_all_sides(
    sale: Sale, crew: Crew, altered: Altered | None = None
) -> tuple[list[Fan], list[Answer]]:
    """Six payments of three seats each: refunded whole and in part, and given back, twice over."""
    concert = sale.concert(price=PRICE)
    allow(sale, performances(sale, concert)[0], tomorrow())
    fans = people(sale, 6, balance=3 * PRICE)
    storm: list[Step] = []
    for number, fan in enumerate(fans):
        seats = [3 * number + 1, 3 * number + 2, 3 * number + 3]
        payment = pay_more(fan, concert, *seats)
        for _ in range(2):
            storm += [
                refunding(payment),
                refunding(payment, seats[0]),
                refunding(payment, *seats[1:]),
            ]
            storm += [returning(fan, payment, seats[2])]
    return fans, crew.storm(storm, altered)


def test_refunds_of_one_payment_from_all_sides_give_each_seat_back_once(
    rush: Sale, crew: Crew
) -> None:
    fans, answers = refunds_from_all_sides(rush, crew)
    # Whoever had to wait too long on a busy machine is told so, and asks again.
    assert {one.code for one in answers} <= {"", "refund_not_possible", "unavailable"}
    refund_the_rest(rush, fans)
    assert [fan.balance() for fan in fans] == [3 * PRICE] * len(fans)
    assert differences() == ()
    assert contradictions(rush) == set()


def test_control_without_the_lock_and_the_key_seats_are_given_back_twice(
    rush: Sale, crew: Crew
) -> None:
    unlocked = LOCK_PAYMENT.replace("FOR UPDATE OF r", "")
    paused = unlocked.replace("WHERE y.id = %s", "CROSS JOIN pg_sleep(0.2) WHERE y.id = %s")
    home = "concert.refunds.queries"
    blind = {
        (home, "LOCK_PAYMENT"): paused,
        (
            home,
            "LOCK_SEATS",
        ): "SELECT 1, s FROM unnest(%(seats)s::smallint[]) s, unnest(%(performances)s::bigint[]) p, unnest(%(reservations)s::uuid[]) r",
        (home, "WRITE_SEATS"): f"{WRITE_SEATS} ON CONFLICT DO NOTHING",
    }
    fans, _answers = refunds_from_all_sides(rush, crew, blind)
    assert max(fan.balance() for fan in fans) > 3 * PRICE
    assert differences() != ()


def test_refunding_while_tickets_are_handed_on_gives_the_money_to_whoever_has_paid_for_it(
    rush: Sale, crew: Crew
) -> None:
    concert = rush.concert(price=PRICE)
    allow(rush, performances(rush, concert)[0], tomorrow())
    givers, takers = people(rush, 12, balance=PRICE), people(rush, 12, balance=PRICE)
    storm: list[Step] = []
    for seat_no, (giver, taker) in enumerate(zip(givers, takers, strict=True), start=1):
        payment = pay_more(giver, concert, seat_no)
        (ticket,) = [one["ticket_id"] for one in tickets(giver)]
        made = giver.call_as_user("POST", f"/v1/tickets/{ticket}/links", json={})
        taking = asking("POST", f"/v1/ticket-links/{made.json['code']}", taker.user_token, {})
        storm += [taking, refunding(payment), returning(giver, payment, seat_no), taking]
    answers = crew.storm(storm)
    assert {one.status for one in answers} <= {200, 201, 403, 404, 409, 503}
    refund_the_rest(rush, givers)
    # Everybody has what they began with: nobody owns a seat, and whoever paid for one got it back.
    assert [fan.balance() for fan in (*givers, *takers)] == [PRICE] * 24
    assert differences() == ()


def test_a_date_is_cancelled_while_people_hold_pay_and_are_refunded(rush: Sale, crew: Crew) -> None:
    concert = rush.concert(price=PRICE)
    (performance,) = performances(rush, concert)
    fans = people(rush, 24, balance=2 * PRICE)
    storm: list[Step] = []
    for seat_no, fan in enumerate(fans, start=1):
        if seat_no % 3 == 0:
            payment = pay_more(fan, concert, seat_no)
            storm += [refunding(payment)]
        elif seat_no % 3 == 1:
            assert fan.hold(concert, seat_no).status_code == 200
            storm += [steps.pay(fan, concert, seat_no)]
        else:
            storm += [steps.hold(fan, concert, seat_no, seat_no + 24)]
    path = f"/v1/performances/{performance}/cancellation"
    cancelling = asking("POST", path, ORGANISER_KEY, {"reason": "Ill."})
    storm[4:4] = [cancelling, partial(going_on, seconds=2.0)]
    storm += [cancelling, partial(going_on, seconds=2.0), partial(going_on, seconds=2.0)]
    crew.storm(storm)
    # What began before the sale was over may have come after it was looked at: the clock looks again.
    rush.let_time_pass(60)
    refund_cancelled()
    assert rush.organise("GET", path).json["state"] == "done"
    assert [fan.balance() for fan in fans] == [2 * PRICE] * len(fans)
    assert differences() == ()
    assert contradictions(rush) == set()
