"""A payment whose place Redis was never told of: the place ends all the same."""

from __future__ import annotations

import time

from concert.ground.database import connection
from concert.ground.redis_client import redis
from concert.jobs import ticks
from concert.waiting_room.keys import room_keys
from concert.waiting_room.tokens import queue_token_of
from tests.sale import Fan, Sale


def paid_while_redis_was_away(sale: Sale, concert: int) -> Fan:
    """Somebody who has paid, and whom Redis takes for a visitor as before."""
    fan = sale.admitted_fan(concert)
    assert fan.hold(concert, 1).status_code == 200
    assert fan.pay(concert, 1).status_code == 200
    token, keys = queue_token_of(fan.queue_token), room_keys("main")
    user = token.user_id.bytes
    redis().hdel(keys.ended, user)
    redis().hset(keys.sequences, user, token.sequence)
    ends = int(time.time() * 1000) + 7_200_000
    redis().hset(keys.visits, user, ends)
    redis().zadd(keys.admitted, {user: ends})
    return fan


def untold() -> int:
    with connection() as link:
        row = link.execute("SELECT count(*) FROM completed_places WHERE told_at IS NULL").fetchone()
    assert row is not None
    return int(row[0])


def test_the_tick_completes_the_place_however_long_ago_the_payment_was(sale: Sale) -> None:
    concert = sale.concert(price=0)
    fan = paid_while_redis_was_away(sale, concert)
    sale.let_time_pass(3600)
    assert fan.place().json["status"] == "admitted"
    ticks.admit_everywhere()
    assert fan.place().json["code"] == "token_expired"
    assert untold() == 0


def test_the_spent_token_holds_no_further_seat_even_before_the_tick(sale: Sale) -> None:
    concert = sale.concert(price=0)
    fan = paid_while_redis_was_away(sale, concert)
    refused = fan.hold(concert, 2)
    assert (refused.status_code, refused.json["code"]) == (401, "token_expired")
    best = fan.call("POST", f"/v1/concerts/{concert}/reservations", json={"best": 2})
    assert (best.status_code, best.json["code"]) == (401, "token_expired")
    reservations = fan.call_as_user("GET", "/v1/reservations").json["reservations"]
    assert [one["status"] for one in reservations] == ["paid"]


def test_the_tick_lets_the_next_one_in_where_it_completes_a_place(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert(price=0)
    paid_while_redis_was_away(sale, concert)
    waiting = sale.fan()
    assert waiting.join(concert).json["status"] == "waiting"
    ticks.admit_everywhere()
    assert waiting.place().json["status"] == "admitted"


def test_more_payments_than_one_batch_are_all_told(sale: Sale) -> None:
    with connection() as link:
        link.execute(
            "INSERT INTO users (id) SELECT md5(n::text)::uuid FROM generate_series(1, 1300) n"
        )
        link.execute(
            "INSERT INTO completed_places (room_slug, user_id, sequence) SELECT 'main', id, 7 FROM users"
        )
    ticks.admit_everywhere()
    assert untold() == 0
