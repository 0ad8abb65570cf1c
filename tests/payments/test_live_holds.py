"""What is held can be paid as long as the hold lives, whatever has become of the visit."""

from __future__ import annotations

from concert.ground.redis_client import redis
from concert.waiting_room.keys import room_keys
from tests.sale import Sale


def test_a_held_seat_can_be_paid_after_redis_has_lost_the_visit(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert, balance=50_000)
    assert fan.hold(concert, 7).status_code == 200

    redis().flushall()

    assert fan.pay(concert, 7).status_code == 200
    assert fan.balance() == 0
    assert fan.seats(concert).status_code == 401


def test_a_payment_completes_a_place_that_waits_again_since_redis_has_lost_it(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert, balance=50_000)
    assert fan.hold(concert, 7).status_code == 200
    redis().flushall()
    fan.place()

    assert fan.pay(concert, 7).status_code == 200
    assert fan.place().json["code"] == "token_expired"


def test_a_held_seat_can_be_paid_when_the_visit_was_shortened_below_its_hold(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert, balance=50_000)
    assert fan.hold(concert, 7).status_code == 200

    admitted = room_keys("main").admitted
    redis().zadd(admitted, {fan.user_id.bytes: 1})

    assert fan.pay(concert, 7).status_code == 200
    assert fan.place().json["code"] == "token_expired"


def test_somebody_who_holds_nothing_cannot_pay_out_of_turn(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    holder = sale.admitted_fan(concert)
    assert holder.hold(concert, 7).status_code == 200
    waiting = sale.fan(balance=50_000)
    assert waiting.join(concert).json["status"] == "waiting"

    refused = waiting.pay(concert, 7)

    assert (refused.status_code, refused.json["code"]) == (403, "not_admitted")
    assert waiting.balance() == 50_000


def test_somebody_whose_hold_and_turn_are_over_cannot_pay_out_of_turn(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert, balance=50_000)
    assert fan.hold(concert, 7).status_code == 200
    sale.let_time_pass(1000)

    refused = fan.pay(concert, 7)

    assert (refused.status_code, refused.json["code"]) == (403, "not_admitted")
    assert fan.balance() == 50_000


def test_a_hold_behind_one_room_cannot_be_paid_with_a_place_in_another(sale: Sale) -> None:
    sale.room("side")
    concert, other = sale.concert(), sale.concert(room="side")
    fan = sale.admitted_fan(concert, balance=50_000)
    assert fan.hold(concert, 7).status_code == 200
    assert fan.join(other).json["status"] == "admitted"

    refused = fan.pay(concert, 7)

    assert (refused.status_code, refused.json["code"]) == (403, "not_admitted")
    assert fan.balance() == 50_000
