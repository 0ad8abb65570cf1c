"""Holding again and again: whoever lets holds lapse gives others a chance."""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from concert.ground.database import connection
from concert.reservations.service import tidy_expired
from tests.sale import Fan, Sale

LAPSES = 301
SOON, LATER = 4, 10


@pytest.fixture
def long_visits(sale: Sale) -> Sale:
    """A sale in which a visit lasts long enough to let many holds lapse."""
    sale.room(visit_seconds=86_400, capacity=1000)
    return sale


def code(answer: TestResponse) -> str:
    return str(answer.json.get("code", ""))


def hold_best(fan: Fan, concert: int, count: int) -> TestResponse:
    return fan.call("POST", f"/v1/concerts/{concert}/reservations", json={"best": count})


def let_lapse(fan: Fan, concert: int, *seat_nos: int) -> None:
    assert fan.hold(concert, *seat_nos).status_code == 200
    fan.sale.let_time_pass(LAPSES)


def test_after_a_hold_has_lapsed_its_seats_are_for_others_first(long_visits: Sale) -> None:
    concert = long_visits.concert()
    fan = long_visits.admitted_fan(concert)
    let_lapse(fan, concert, 7, 8)
    refused = fan.hold(concert, 8, 9)
    assert (refused.status_code, code(refused)) == (409, "rehold_too_soon")
    assert refused.json["seats"] == [8]
    assert 1 <= int(refused.headers["Retry-After"]) <= 9
    assert long_visits.admitted_fan(concert).hold(concert, 8).status_code == 200
    assert fan.hold(concert, 9).status_code == 200


@pytest.mark.parametrize("tidied", [False, True], ids=["not tidied up yet", "tidied up"])
def test_after_a_while_they_may_have_them_again(long_visits: Sale, tidied: bool) -> None:
    concert = long_visits.concert()
    fan = long_visits.admitted_fan(concert)
    let_lapse(fan, concert, 7)
    if tidied:
        assert tidy_expired() == 1
    long_visits.let_time_pass(SOON)
    assert code(fan.hold(concert, 7)) == "rehold_too_soon"
    long_visits.let_time_pass(LATER - SOON)
    assert fan.hold(concert, 7).status_code == 200


def test_lining_up_again_does_not_shorten_the_time_for_others(long_visits: Sale) -> None:
    concert = long_visits.concert()
    fan = long_visits.admitted_fan(concert)
    let_lapse(fan, concert, 7)
    fan.call("DELETE", "/v1/enqueues")
    assert fan.join(concert).json["status"] == "admitted"
    assert code(fan.hold(concert, 7)) == "rehold_too_soon"


def test_the_same_number_of_another_date_is_another_seat(long_visits: Sale) -> None:
    concert = long_visits.concert(dates=2)
    fan = long_visits.admitted_fan(concert)
    assert fan.hold(concert, 7, date="2030-12-31").status_code == 200
    long_visits.let_time_pass(LAPSES)
    assert fan.hold(concert, 7, date="2031-01-01").status_code == 200


def test_whoever_releases_may_change_their_mind_at_once_and_as_often_as_they_like(
    long_visits: Sale,
) -> None:
    concert = long_visits.concert()
    fan = long_visits.admitted_fan(concert)
    for _ in range(6):
        held = fan.hold(concert, 7)
        assert held.status_code == 200
        released = fan.call("DELETE", f"/v1/reservations/{held.json['reservation_id']}")
        assert released.status_code == 204


def test_a_visit_has_at_most_three_holds_that_lapse(long_visits: Sale) -> None:
    concert = long_visits.concert()
    fan = long_visits.admitted_fan(concert)
    for seat_no in (1, 2, 3):
        let_lapse(fan, concert, seat_no)
    for refused in (fan.hold(concert, 4), fan.hold(concert, 5, 6), hold_best(fan, concert, 2)):
        assert (refused.status_code, code(refused)) == (409, "too_many_lapsed")
    assert "line up again" in refused.json["detail"]


def test_lining_up_again_ends_it(long_visits: Sale) -> None:
    concert = long_visits.concert()
    fan = long_visits.admitted_fan(concert)
    for seat_no in (1, 2, 3):
        let_lapse(fan, concert, seat_no)
    assert code(fan.hold(concert, 4)) == "too_many_lapsed"
    fan.call("DELETE", "/v1/enqueues")
    fan.join(concert)
    assert fan.hold(concert, 4).status_code == 200


def test_it_counts_over_all_dates_and_concerts_of_the_visit_and_no_other_room(
    long_visits: Sale,
) -> None:
    long_visits.room("side", visit_seconds=86_400)
    here, too, elsewhere = (
        long_visits.concert(dates=2),
        long_visits.concert(),
        long_visits.concert(room="side"),
    )
    fan = long_visits.admitted_fan(here)
    assert fan.hold(here, 1, date="2030-12-31").status_code == 200
    assert fan.hold(here, 1, date="2031-01-01").status_code == 200
    assert fan.hold(too, 1).status_code == 200
    long_visits.let_time_pass(LAPSES, "main", "side")
    assert code(fan.hold(too, 2)) == "too_many_lapsed"
    fan.join(elsewhere)
    assert fan.hold(elsewhere, 1).status_code == 200


def test_what_is_held_can_be_paid_and_asked_for_again_however_many_have_lapsed(
    long_visits: Sale,
) -> None:
    concert = long_visits.concert(price=0)
    fan = long_visits.admitted_fan(concert)
    for seat_no in (1, 2):
        let_lapse(fan, concert, seat_no)
    fan.hold(concert, 3)
    long_visits.let_time_pass(200)
    held = fan.hold(concert, 4).json["reservation_id"]
    long_visits.let_time_pass(110)
    assert code(fan.hold(concert, 5)) == "too_many_lapsed"
    assert fan.hold(concert, 4).json["reservation_id"] == held
    assert fan.pay(concert, 4).status_code == 200


def test_what_was_paid_or_released_has_not_lapsed(long_visits: Sale) -> None:
    concert = long_visits.concert(price=0)
    fan = long_visits.admitted_fan(concert)
    for _ in range(3):
        released = fan.hold(concert, 9).json["reservation_id"]
        assert fan.call("DELETE", f"/v1/reservations/{released}").status_code == 204
    for seat_no in (1, 2, 3, 4):
        assert fan.hold(concert, seat_no).status_code == 200
    for seat_no in (1, 2, 3):
        assert fan.pay(concert, seat_no).status_code == 200
    long_visits.let_time_pass(LAPSES)
    assert code(fan.hold(concert, 4)) == "rehold_too_soon"
    assert fan.hold(concert, 9).status_code == 200


def test_two_bots_cannot_keep_a_house_by_holding_again_and_again(long_visits: Sale) -> None:
    concert = long_visits.concert(capacity=8)
    bots = [long_visits.admitted_fan(concert) for _ in range(2)]
    fan = long_visits.admitted_fan(concert)
    halves = [(1, 2, 3, 4), (5, 6, 7, 8)]
    for bot, half in zip(bots, halves, strict=True):
        assert bot.hold(concert, *half).status_code == 200
    assert code(fan.hold(concert, 1)) == "seat_taken"
    long_visits.let_time_pass(LAPSES)
    for bot, half in zip(bots, halves, strict=True):
        assert code(bot.hold(concert, *half)) == "rehold_too_soon"
    assert fan.hold(concert, 1, 2, 5, 6).status_code == 200


def test_two_bots_that_change_places_cannot_either(long_visits: Sale) -> None:
    concert = long_visits.concert(capacity=8)
    bots = [long_visits.admitted_fan(concert) for _ in range(2)]
    fan = long_visits.admitted_fan(concert)
    halves = [(1, 2, 3, 4), (5, 6, 7, 8)]
    for _ in range(3):
        for bot, half in zip(bots, halves, strict=True):
            assert bot.hold(concert, *half).status_code == 200
        assert code(fan.hold(concert, 1)) == "seat_taken"
        long_visits.let_time_pass(LAPSES)
        halves.reverse()
    for bot, half in zip(bots, halves, strict=True):
        assert code(bot.hold(concert, *half)) == "too_many_lapsed"
    assert fan.hold(concert, 1, 2, 5, 6).status_code == 200


def test_the_best_seats_of_somebody_who_let_them_lapse_are_the_next_best(
    long_visits: Sale,
) -> None:
    concert = long_visits.concert()
    fan = long_visits.admitted_fan(concert)
    let_lapse(fan, concert, 5, 6)
    held = hold_best(fan, concert, 2)
    assert held.status_code == 200
    assert [seat["seat_no"] for seat in held.json["seats"]] == [15, 16]


def test_where_only_those_are_left_they_are_for_others_first(long_visits: Sale) -> None:
    concert = long_visits.concert(capacity=2)
    fan = long_visits.admitted_fan(concert)
    let_lapse(fan, concert, 1, 2)
    assert code(hold_best(fan, concert, 2)) == "rehold_too_soon"
    assert hold_best(long_visits.admitted_fan(concert), concert, 2).status_code == 200


def test_a_function_that_an_older_process_calls_still_holds(sale: Sale) -> None:
    sale.concert()
    fan = sale.fan()
    with connection() as link:
        row = link.execute(
            "SELECT outcome FROM hold_seats(%s, 1, '{1}', gen_random_uuid(), interval '1 s', 4)",
            (fan.user_id,),
        ).fetchone()
    assert row == ("held",)
