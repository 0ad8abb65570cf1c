"""Holding seats: whose they are, for how long, and what gives them back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from concert.reservations.service import tidy_expired
from tests.sale import Sale

RESERVATION = {
    "reservation_id",
    "concert_id",
    "performance_id",
    "date",
    "seats",
    "amount",
    "status",
    "created_at",
    "held_until",
}


def states(sale: Sale, concert: int) -> dict[int, str]:
    """Every seat of a concert with one date, as a newcomer sees it."""
    seats = sale.admitted_fan(concert).seats(concert).json["dates"][0]["seats"]
    return {seat["seat_no"]: seat["state"] for seat in seats}


def test_a_reservation_has_the_fields_that_programs_rely_on(sale: Sale) -> None:
    concert = sale.concert(price=30_000)
    fan = sale.admitted_fan(concert)
    held = fan.hold(concert, 9, 8, 12)
    assert held.status_code == 200
    assert held.json.keys() == RESERVATION
    assert held.json["seats"] == [
        {"seat_no": 8, "price": 30_000},
        {"seat_no": 9, "price": 30_000},
        {"seat_no": 12, "price": 30_000},
    ]
    assert (held.json["amount"], held.json["status"]) == (90_000, "held")
    assert (held.json["concert_id"], held.json["date"]) == (concert, "2030-12-31")
    mine = fan.call_as_user("GET", "/v1/reservations")
    assert mine.json == {"reservations": [held.json]}
    one = fan.call_as_user("GET", f"/v1/reservations/{held.json['reservation_id']}")
    assert one.json == held.json


def test_a_hold_lasts_three_hundred_seconds(sale: Sale) -> None:
    concert = sale.concert()
    held = sale.admitted_fan(concert).hold(concert, 1).json
    lasts = datetime.fromisoformat(held["held_until"]) - datetime.fromisoformat(held["created_at"])
    assert lasts == timedelta(seconds=300)


@pytest.mark.parametrize("wanted", [(7,), (6, 7)], ids=["alone", "with another"])
def test_a_seat_that_is_held_cannot_be_held_by_anybody_else(
    sale: Sale, wanted: tuple[int, ...]
) -> None:
    concert = sale.concert()
    sale.admitted_fan(concert).hold(concert, 7)
    refused = sale.admitted_fan(concert).hold(concert, *wanted)
    assert (refused.status_code, refused.json["code"]) == (409, "seat_taken")
    assert refused.json["seats"] == [7]


def test_one_of_several_that_are_held_cannot_be_held_by_anybody_else(sale: Sale) -> None:
    concert = sale.concert()
    sale.admitted_fan(concert).hold(concert, 7, 8)
    refused = sale.admitted_fan(concert).hold(concert, 8)
    assert (refused.status_code, refused.json["code"]) == (409, "seat_taken")


@pytest.mark.parametrize("wanted", [(7,), (6, 7)], ids=["alone", "with another"])
def test_a_seat_that_is_sold_cannot_be_held_by_anybody(sale: Sale, wanted: tuple[int, ...]) -> None:
    concert = sale.concert(price=0)
    fan = sale.admitted_fan(concert)
    fan.hold(concert, 7)
    fan.pay(concert, 7)
    fan.join(concert)
    for person in (fan, sale.admitted_fan(concert)):
        assert person.hold(concert, *wanted).json["code"] == "seat_taken"


@pytest.mark.parametrize("wanted", [(7,), (6, 7)], ids=["alone", "with another"])
def test_a_hold_ends_by_itself_though_no_job_has_run_and_the_next_can_take_the_seat(
    sale: Sale, wanted: tuple[int, ...]
) -> None:
    concert = sale.concert()
    first = sale.admitted_fan(concert)
    held = first.hold(concert, 7).json
    sale.let_time_pass(299)
    assert sale.admitted_fan(concert).hold(concert, *wanted).status_code == 409
    sale.let_time_pass(1.5)
    assert states(sale, concert)[7] == "available"
    assert sale.admitted_fan(concert).hold(concert, *wanted).status_code == 200
    one = first.call_as_user("GET", f"/v1/reservations/{held['reservation_id']}")
    assert one.json["status"] == "expired"


def test_a_hold_ends_for_its_owner_too(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert, balance=50_000)
    fan.hold(concert, 7)
    sale.let_time_pass(301)
    late = fan.pay(concert, 7)
    assert (late.status_code, late.json["code"]) == (409, "hold_expired")
    assert fan.balance() == 50_000
    sale.let_time_pass(10)
    again = fan.hold(concert, 7)
    assert again.status_code == 200
    assert len(fan.call_as_user("GET", "/v1/reservations").json["reservations"]) == 2


def test_holding_several_seats_is_all_or_nothing(sale: Sale) -> None:
    concert = sale.concert()
    sale.admitted_fan(concert).hold(concert, 3)
    fan = sale.admitted_fan(concert)
    refused = fan.hold(concert, 2, 3, 4)
    assert (refused.status_code, refused.json["code"]) == (409, "seat_taken")
    assert refused.json["seats"] == [3]
    found = states(sale, concert)
    assert [found[seat] for seat in (2, 3, 4)] == ["available", "held", "available"]
    assert fan.call_as_user("GET", "/v1/reservations").json["reservations"] == []


def test_one_user_holds_at_most_four_seats_of_one_performance(sale: Sale) -> None:
    concert = sale.concert(dates=2)
    fan = sale.admitted_fan(concert)
    first, second = "2030-12-31", "2031-01-01"
    refused = fan.hold(concert, 1, 2, 3, 4, 5, date=first)
    assert (refused.status_code, refused.json["code"]) == (409, "seat_limit")
    assert fan.hold(concert, 1, 2, 3, date=first).status_code == 200
    assert fan.hold(concert, 4, 5, date=first).json["code"] == "seat_limit"
    assert fan.hold(concert, 4, date=first).status_code == 200
    assert fan.hold(concert, 5, date=first).json["code"] == "seat_limit"
    assert fan.hold(concert, 5, date=second).status_code == 200


def test_seats_that_are_paid_count_towards_the_limit_and_lapsed_ones_do_not(sale: Sale) -> None:
    concert = sale.concert(price=0)
    fan = sale.admitted_fan(concert)
    fan.hold(concert, 1, 2)
    assert fan.pay(concert, 1).status_code == 200
    fan.join(concert)
    assert fan.hold(concert, 3, 4, 5).json["code"] == "seat_limit"
    assert fan.hold(concert, 3, 4).status_code == 200
    sale.let_time_pass(301)
    assert fan.hold(concert, 5, 6).status_code == 200


def test_asking_again_for_the_seats_one_holds_gives_the_same_reservation(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    first = fan.hold(concert, 1, 2, 3, 4)
    assert fan.hold(concert, 4, 3, 2, 1).json == first.json
    refused = fan.hold(concert, 1)
    assert refused.status_code == 409


def test_what_one_held_before_and_somebody_else_holds_now_is_taken(sale: Sale) -> None:
    sale.room(visit_seconds=3600)
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    assert fan.hold(concert, 7).status_code == 200
    sale.let_time_pass(301)
    assert sale.admitted_fan(concert).hold(concert, 7).status_code == 200
    sale.let_time_pass(11)  # Until then the seat is for others anyway.
    refused = fan.hold(concert, 7)
    assert (refused.status_code, refused.json["code"]) == (409, "seat_taken")


def test_a_hold_can_be_released_by_its_owner_and_the_seats_are_free_at_once(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    path = f"/v1/reservations/{fan.hold(concert, 1, 2).json['reservation_id']}"
    released = fan.call("DELETE", path)
    assert (released.status_code, released.data) == (204, b"")
    assert fan.call("GET", path).json["status"] == "cancelled"
    assert sale.admitted_fan(concert).hold(concert, 2).status_code == 200
    assert fan.call("DELETE", path).status_code == 204
    assert states(sale, concert)[2] == "held"


def test_a_hold_can_be_neither_seen_nor_released_by_anybody_else(sale: Sale) -> None:
    concert = sale.concert()
    path = f"/v1/reservations/{sale.admitted_fan(concert).hold(concert, 1).json['reservation_id']}"
    other = sale.admitted_fan(concert)
    for method in ("GET", "DELETE"):
        for call in (other.call, other.call_as_user):
            refused = call(method, path)
            assert (refused.status_code, refused.json["code"]) == (403, "not_yours")
    assert states(sale, concert)[1] == "held"


def test_what_is_paid_or_lapsed_cannot_be_released(sale: Sale) -> None:
    concert = sale.concert(price=0)
    fan = sale.admitted_fan(concert)
    paid = fan.hold(concert, 1).json["reservation_id"]
    fan.pay(concert, 1)
    early = fan.call_as_user("DELETE", f"/v1/reservations/{paid}")
    assert (early.status_code, early.json["code"]) == (409, "already_paid")
    fan.join(concert)
    lapsed = fan.hold(concert, 2).json["reservation_id"]
    sale.let_time_pass(301)
    for reservation, code in ((paid, "already_paid"), (lapsed, "hold_expired")):
        refused = fan.call_as_user("DELETE", f"/v1/reservations/{reservation}")
        assert (refused.status_code, refused.json["code"]) == (409, code)
    assert states(sale, concert)[1] == "sold"


def test_a_reservation_that_is_not_there_is_404(sale: Sale) -> None:
    fan = sale.admitted_fan()
    for method in ("GET", "DELETE"):
        missed = fan.call(method, f"/v1/reservations/{uuid4()}")
        assert (missed.status_code, missed.json["code"]) == (404, "not_found")
        assert fan.call(method, "/v1/reservations/12").status_code == 400


def test_seats_come_with_number_price_and_state_and_say_which_are_mine(sale: Sale) -> None:
    concert = sale.concert(dates=2, capacity=4, price=100)
    fan, other = sale.admitted_fan(concert, balance=100), sale.admitted_fan(concert)
    day = {"date": "2030-12-31"}
    fan.hold(concert, 1, **day)
    other.hold(concert, 2, **day)
    fan.hold(concert, 3, **day)
    assert fan.pay(concert, 3, **day).status_code == 200
    answer = fan.seats(concert, **day)
    assert answer.json.keys() == {"dates"}
    (date,) = answer.json["dates"]
    assert date.keys() == {"performance_id", "date", "seats"}
    assert date["seats"] == [
        {"seat_no": 1, "price": 100, "state": "held", "mine": True},
        {"seat_no": 2, "price": 100, "state": "held", "mine": False},
        {"seat_no": 3, "price": 100, "state": "sold", "mine": True},
        {"seat_no": 4, "price": 100, "state": "available", "mine": False},
    ]
    every = fan.seats(concert).json["dates"]
    assert [one["date"] for one in every] == ["2030-12-31", "2031-01-01"]
    assert fan.seats(concert, performance_id=date["performance_id"]).json["dates"] == [date]


def test_a_bare_date_with_two_performances_is_400_and_the_performance_id_names_one(
    sale: Sale,
) -> None:
    concert = sale.concert()
    matinee = {"starts_at": "2030-12-31T14:00:00+09:00", "price": 1000}
    made = sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [matinee]})
    performance = made.json["dates"][0]["performance_id"]
    fan = sale.admitted_fan(concert)
    for refused in (
        fan.hold(concert, 1, date="2030-12-31"),
        fan.hold(concert, 1),
        fan.hold(concert, 1, 2, date="2030-12-31"),
        fan.seats(concert, date="2030-12-31"),
        fan.pay(concert, 1, date="2030-12-31"),
    ):
        assert (refused.status_code, refused.json["code"]) == (400, "ambiguous_date")
    held = fan.hold(concert, 1, date="2030-12-31", performance_id=performance)
    assert (held.status_code, held.json["amount"]) == (200, 1000)


def test_the_date_may_be_left_out_where_the_concert_has_one(sale: Sale) -> None:
    one, two = sale.concert(), sale.concert(dates=2)
    fan = sale.admitted_fan()
    assert fan.hold(one, 1).status_code == 200
    refused = fan.hold(two, 1)
    assert (refused.status_code, refused.json["code"]) == (400, "ambiguous_date")


@pytest.mark.parametrize(
    "date",
    ["2030-01-01", "0000-00-00", "2030-02-30", "9999-12-31", "31.12.2030", "", 20301231, True],
)
def test_a_date_that_the_concert_does_not_have_is_400(sale: Sale, date: Any) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    for refused in (fan.seats(concert, date=date), fan.hold(concert, 1, date=date)):
        assert (refused.status_code, refused.json["code"]) == (400, "bad_request")


@pytest.mark.parametrize("seat", ["0", "-1", "51", "32768", "9" * 30, "x", "1.5", "%00", "١"])
def test_a_seat_number_out_of_range_is_400(sale: Sale, seat: str) -> None:
    concert = sale.concert(capacity=50)
    fan = sale.admitted_fan(concert)
    for what in ("reservations", "payments"):
        refused = fan.call("POST", f"/v1/concerts/{concert}/seats/{seat}/{what}", json={})
        assert (refused.status_code, refused.json["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "seats",
    [
        [],
        [1, 1],
        [0],
        [51],
        [1, 99],
        [True],
        [1.0],
        ["1"],
        [None],
        "1",
        None,
        [[1]],
        list(range(101)),
    ],
    ids=str,
)
def test_seats_that_cannot_be_held_together_are_400_and_hold_nothing(
    sale: Sale, seats: object
) -> None:
    concert = sale.concert(capacity=50)
    fan = sale.admitted_fan(concert)
    refused = fan.call("POST", f"/v1/concerts/{concert}/reservations", json={"seats": seats})
    assert (refused.status_code, refused.json["code"]) == (400, "bad_request")
    assert set(states(sale, concert).values()) == {"available"}


def test_a_seat_cannot_be_held_before_sales_open_nor_after_they_close(sale: Sale) -> None:
    now = datetime.now().astimezone()
    sale.something_else()
    concert = sale.concert(
        sales_open_at=(now + timedelta(minutes=1)).isoformat(),
        sales_close_at=(now + timedelta(minutes=2)).isoformat(),
    )
    fan = sale.admitted_fan(concert)
    assert fan.hold(concert, 1).json["code"] == "sales_not_open"
    sale.let_time_pass(61)
    assert fan.hold(concert, 1).status_code == 200
    sale.let_time_pass(61)
    refused = fan.hold(concert, 2)
    assert (refused.status_code, refused.json["code"]) == (400, "sales_not_open")


def test_what_was_held_while_sales_were_open_can_be_paid_after_they_have_closed(sale: Sale) -> None:
    closes = (datetime.now().astimezone() + timedelta(minutes=1)).isoformat()
    concert = sale.concert(price=10, sales_close_at=closes)
    fan = sale.admitted_fan(concert, balance=10)
    fan.hold(concert, 1)
    sale.let_time_pass(61)
    assert fan.pay(concert, 1).status_code == 200


def test_tidying_up_takes_no_seat_from_its_next_holder(sale: Sale) -> None:
    concert = sale.concert()
    sale.admitted_fan(concert).hold(concert, 7, 8)
    sale.let_time_pass(301)
    assert sale.admitted_fan(concert).hold(concert, 7).status_code == 200
    # Of the two that lapsed, one is somebody else's by now.
    assert tidy_expired() == 1
    assert states(sale, concert)[7] == "held"
