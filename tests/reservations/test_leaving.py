"""Leaving the line gives the seats that are held back."""

from __future__ import annotations

import pytest

from concert.ground.redis_client import redis
from tests.sale import Fan, Sale


def states(sale: Sale, concert: int, *seat_nos: int) -> list[str]:
    seats = sale.admitted_fan(concert).seats(concert).json["dates"][0]["seats"]
    return [seats[seat_no - 1]["state"] for seat_no in seat_nos]


def leave(fan: Fan) -> None:
    assert fan.call("DELETE", "/v1/enqueues").status_code == 204


def test_leaving_frees_every_seat_that_is_held_behind_the_room_at_once(sale: Sale) -> None:
    concert, other = sale.concert(), sale.concert()
    fan = sale.admitted_fan(concert)
    assert fan.hold(concert, 1, 2).status_code == 200
    assert fan.hold(concert, 9).status_code == 200
    assert fan.hold(other, 3).status_code == 200
    leave(fan)
    assert states(sale, concert, 1, 2, 9) == ["available"] * 3
    assert states(sale, other, 3) == ["available"]
    mine = fan.call_as_user("GET", "/v1/reservations").json["reservations"]
    assert {one["status"] for one in mine} == {"cancelled"}


def test_leaving_keeps_what_is_paid_and_what_is_held_behind_another_room(sale: Sale) -> None:
    sale.room("hall")
    concert, elsewhere = sale.concert(price=0), sale.concert(room="hall")
    fan = sale.admitted_fan(elsewhere)
    assert fan.hold(elsewhere, 3).status_code == 200
    assert fan.join(concert).status_code == 200
    assert fan.hold(concert, 1).status_code == 200
    assert fan.hold(concert, 2).status_code == 200
    assert fan.pay(concert, 1).status_code == 200
    leave(fan)
    assert states(sale, concert, 1, 2) == ["sold", "available"]
    assert states(sale, elsewhere, 3) == ["held"]


def test_seats_that_leaving_could_not_free_are_freed_by_leaving_again(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    assert fan.hold(concert, 1).status_code == 200
    leave(fan)
    leave(fan)
    assert states(sale, concert, 1) == ["available"]


@pytest.mark.parametrize("lost", [False, True])
def test_a_token_that_was_left_frees_nothing_of_the_next_visit(sale: Sale, lost: bool) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    before = fan.queue_token
    leave(fan)
    fan.join(concert)
    assert fan.hold(concert, 1).status_code == 200
    if lost:
        redis().flushall()
        assert fan.seats(concert).status_code == 200
    assert fan.call("DELETE", "/v1/enqueues", token=before).status_code == 401
    assert fan.seats(concert).json["dates"][0]["seats"][0]["state"] == "held"
