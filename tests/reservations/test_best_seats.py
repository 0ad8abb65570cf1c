"""Holding the best seats that are free."""

from __future__ import annotations

from tests.sale import Fan, Sale


def hold_best(fan: Fan, concert: int, count: int, key: str | None = None) -> dict[str, object]:
    headers = {"Idempotency-Key": key} if key else None
    answer = fan.call(
        "POST", f"/v1/concerts/{concert}/reservations", json={"best": count}, headers=headers
    )
    return {**answer.json, "answered": answer.status_code}


def test_the_best_seats_are_side_by_side_in_front(sale: Sale) -> None:
    concert = sale.concert()
    held = hold_best(sale.admitted_fan(concert), concert, 2)
    assert [seat["seat_no"] for seat in held["seats"]] == [5, 6]


def test_the_next_fan_gets_the_next_best_seats(sale: Sale) -> None:
    concert = sale.concert()
    first = hold_best(sale.admitted_fan(concert), concert, 4)
    second = hold_best(sale.admitted_fan(concert), concert, 4)
    assert not {seat["seat_no"] for seat in first["seats"]} & {
        seat["seat_no"] for seat in second["seats"]
    }


def test_seats_that_are_not_side_by_side_are_not_given_as_together(sale: Sale) -> None:
    concert = sale.concert(capacity=3)
    sale.admitted_fan(concert).hold(concert, 2)
    refused = hold_best(sale.admitted_fan(concert), concert, 2)
    assert (refused["answered"], refused["code"]) == (409, "not_together")


def test_more_than_one_person_may_have_is_a_bad_request(sale: Sale) -> None:
    concert = sale.concert()
    assert hold_best(sale.admitted_fan(concert), concert, 5)["answered"] == 400


def test_either_seats_or_best_is_said_and_not_both(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    both = {"best": 2, "seats": [1, 2]}
    path = f"/v1/concerts/{concert}/reservations"
    assert fan.call("POST", path, json=both).status_code == 400
    assert fan.call("POST", path, json={}).status_code == 400


def test_the_same_key_gets_the_same_seats_even_when_the_house_is_full(sale: Sale) -> None:
    concert = sale.concert(capacity=2)
    fan = sale.admitted_fan(concert)
    first = hold_best(fan, concert, 2, key="mine")
    again = hold_best(fan, concert, 2, key="mine")
    assert first["answered"] == 200
    assert again == first


def test_nobody_is_told_out_of_turn_what_is_free(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert(capacity=1)
    sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    refused = hold_best(fan, concert, 2)
    assert (refused["answered"], refused["code"]) == (403, "not_admitted")
