"""The best seats by the JSON API, and choices that leave a single seat between others."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.halls.hall import concert_in, keep, keep_example, performance_of, two_rows
from tests.sale import Fan, Sale


def best(fan: Fan, concert: int, count: int, key: str = "", **wish: Any) -> TestResponse:
    """Ask for the best seats."""
    headers = {"Idempotency-Key": key} if key else None
    path = f"/v1/concerts/{concert}/best-seats"
    return fan.call("POST", path, json={"count": count, **wish}, headers=headers)


def numbers(answer: TestResponse) -> list[int]:
    """Which seats were held."""
    assert answer.status_code == 200, answer.text
    return [seat["seat_no"] for seat in answer.json["seats"]]


def test_the_best_seats_are_held_at_once_and_the_reservation_is_the_answer(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    held = best(fan, concert, 2)
    assert numbers(held) == [5, 6]
    assert held.json == fan.call("GET", "/v1/reservations").json["reservations"][0]


def test_a_category_may_be_named(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()), prices={"Front": 80_000, "Back": 50_000})
    held = best(sale.admitted_fan(concert), concert, 2, category="Back")
    assert numbers(held) == [6, 7]
    assert held.json["amount"] == 100_000
    for category in ("Side", ""):
        refused = best(sale.admitted_fan(concert), concert, 2, category=category)
        assert (refused.status_code, refused.json["code"]) == (400, "bad_request")


def test_the_usual_hall_has_no_categories(sale: Sale) -> None:
    concert = sale.concert()
    assert best(sale.admitted_fan(concert), concert, 2, category="Front").status_code == 400


def test_somebody_may_sit_near_somebody(sale: Sale) -> None:
    concert = sale.concert()
    friend, fan = sale.admitted_fan(concert), sale.admitted_fan(concert)
    friend.hold(concert, 41)
    assert numbers(best(fan, concert, 1, near=[41])) == [42]
    for near in ([0], [51], [1, 1]):
        assert best(fan, concert, 1, near=near).status_code == 400


def test_a_wheelchair_and_its_companion_are_held_together(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()))
    fan = sale.admitted_fan(concert)
    assert numbers(best(fan, concert, 2, wheelchair=True)) == [1, 2]
    refused = best(sale.admitted_fan(concert), concert, 2, wheelchair=True)
    assert (refused.status_code, refused.json["code"]) == (409, "not_together")


def test_a_group_that_cannot_stay_together_is_told_and_nothing_is_held(sale: Sale) -> None:
    concert = concert_in(sale, keep_example(sale, "club"))
    sale.admitted_fan(concert).hold(concert, 3)
    for taken in (8, 13, 18, 23, 28, 33, 38, 43, 48):
        sale.admitted_fan(concert).hold(concert, taken)
    fan = sale.admitted_fan(concert)
    refused = best(fan, concert, 3)
    assert (refused.status_code, refused.json["code"]) == (409, "not_together")
    assert fan.call("GET", "/v1/reservations").json["reservations"] == []
    assert len(numbers(best(fan, concert, 2))) == 2


@pytest.mark.parametrize("count", [0, 5, "2", 2.0, True, None])
def test_a_count_that_cannot_be_is_400(sale: Sale, count: Any) -> None:
    concert = sale.concert()
    assert best(sale.admitted_fan(concert), concert, count).status_code == 400


def test_the_same_key_gets_the_same_seats(sale: Sale) -> None:
    concert = sale.concert(capacity=2)
    fan = sale.admitted_fan(concert)
    first = best(fan, concert, 2, key="mine")
    assert best(fan, concert, 2, key="mine").json == first.json
    assert best(fan, concert, 1, key="mine").json["code"] == "idempotency_conflict"


def test_whose_turn_it_is_not_gets_none(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert(capacity=1)
    sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    assert best(fan, concert, 1).json["code"] == "not_admitted"
    assert best(fan, concert, 9).json["code"] == "not_admitted"


# Single seats.


def row_of_five(sale: Sale, lone_seats: str) -> int:
    """A concert with one row of five, where single seats are treated so."""
    concert = sale.concert(capacity=5, lone_seats=lone_seats)
    sale.something_else()
    return concert


@pytest.mark.parametrize(
    ("lone_seats", "expected"), [("off", [2, 3, 4]), ("advise", [1, 2, 3]), ("refuse", [1, 2, 3])]
)
def test_the_best_seats_leave_no_single_seat_where_the_date_says_so(
    sale: Sale, lone_seats: str, expected: list[int]
) -> None:
    concert = row_of_five(sale, lone_seats)
    assert numbers(best(sale.admitted_fan(concert), concert, 3)) == expected


def test_a_choice_that_leaves_a_single_seat_is_refused_where_the_date_says_so(sale: Sale) -> None:
    concert = row_of_five(sale, "refuse")
    fan = sale.admitted_fan(concert)
    refused = fan.hold(concert, 2, 3)
    assert (refused.status_code, refused.json["code"]) == (409, "lone_seat")
    assert refused.json["seats"] == [1]
    assert fan.hold(concert, 2).json["code"] == "lone_seat"
    assert fan.call("GET", "/v1/reservations").json["reservations"] == []
    held = fan.hold(concert, 1, 2)
    assert held.status_code == 200
    # Whoever asks again for what they hold gets it, whatever it leaves by now.
    assert fan.hold(concert, 1, 2).json == held.json


@pytest.mark.parametrize("lone_seats", ["off", "advise"])
def test_elsewhere_it_is_held(sale: Sale, lone_seats: str) -> None:
    concert = row_of_five(sale, lone_seats)
    assert sale.admitted_fan(concert).hold(concert, 2, 3).status_code == 200


def test_nothing_is_refused_where_nothing_else_is_possible(sale: Sale) -> None:
    concert = row_of_five(sale, "refuse")
    sale.admitted_fan(concert).hold(concert, 1, 2)
    # Of three that are left, two side by side always leave one.
    assert sale.admitted_fan(concert).hold(concert, 3, 4).status_code == 200


def test_a_seat_that_is_taken_is_said_before_who_would_be_alone(sale: Sale) -> None:
    concert = row_of_five(sale, "refuse")
    sale.admitted_fan(concert).hold(concert, 1)
    assert sale.admitted_fan(concert).hold(concert, 1, 3).json["code"] == "seat_taken"


def test_the_setting_is_changed_for_a_date_that_is_on_sale(sale: Sale) -> None:
    concert = row_of_five(sale, "off")
    performance = performance_of(sale, concert)
    path = f"/v1/performances/{performance}/seats"
    assert sale.organise("PATCH", path, json={"lone_seats": "refuse"}).status_code == 200
    assert sale.admitted_fan(concert).hold(concert, 2).json["code"] == "lone_seat"
    [date] = sale.call("GET", f"/v1/concerts/{concert}").json["dates"]
    assert date["lone_seats"] == "refuse"


def test_a_first_answer_is_given_again_though_it_would_be_refused_by_now(sale: Sale) -> None:
    concert = row_of_five(sale, "off")
    fan = sale.admitted_fan(concert)
    headers = {"Idempotency-Key": "mine"}
    first = fan.hold(concert, 2, headers=headers)
    fan.call("DELETE", f"/v1/reservations/{first.json['reservation_id']}")
    path = f"/v1/performances/{performance_of(sale, concert)}/seats"
    sale.organise("PATCH", path, json={"lone_seats": "refuse"})
    assert fan.hold(concert, 2, headers=headers).json == first.json
