"""Near the front a page says that somebody is in front of it: the line counts on them, and less on the silent."""

from __future__ import annotations

import pytest

from concert.ground.redis_client import redis
from concert.waiting_room.keys import RoomKeys, room_keys
from concert.waiting_room.service import admit
from tests.sale import Fan, Sale

LINE = [b"%016d" % one for one in range(300)]


def keys() -> RoomKeys:
    return room_keys("main")


def a_line_that_is_often_not_there(sale: Sale, capacity: int) -> None:
    """Three hundred wait; of the silent ones nobody has come lately, and all of the others."""
    sale.room(capacity=capacity, admit_per_minute=1_000_000)
    sale.concert(capacity=1000)
    redis().zadd(keys().waiting, {user: 10**15 + place for place, user in enumerate(LINE)})
    counts = {"came": 0, "missed": 200, "came_here": 200, "missed_here": 0}
    redis().hset(keys().state, mapping=counts)


def here(sale: Sale, fan: Fan) -> bool:
    """Whether the line knows that this fan is there, after the fan has said so."""
    assert fan.call("PUT", "/v1/enqueues/presence").status_code == 204
    return bool(redis().sismember(keys().here, fan.user_id.bytes))


def tick(sale: Sale) -> int:
    sale.count_seats()
    return admit("main").admitted


def test_for_people_who_are_known_to_be_there_nobody_more_is_called(sale: Sale) -> None:
    a_line_that_is_often_not_there(sale, capacity=100)
    redis().sadd(keys().here, *LINE)
    assert tick(sale) == 100
    assert redis().scard(keys().expected) == 100
    # They have been called and are on their way: whoever is behind them waits, whatever the silent do.
    redis().delete(keys().here)
    assert tick(sale) == 0


def test_for_silent_people_more_are_called_and_in_order_all_the_same(sale: Sale) -> None:
    a_line_that_is_often_not_there(sale, capacity=100)
    redis().sadd(keys().here, *LINE[40:])
    called = tick(sale)
    # Of the forty, twenty would come, and three times the spread are ten more: 70 slots for the others.
    assert called == 110
    assert redis().zrange(keys().waiting, 0, 0) == [LINE[called]]
    assert redis().scard(keys().expected) == called - 40


def test_what_people_who_were_known_to_be_there_do_is_measured_apart(sale: Sale) -> None:
    sale.room(capacity=1, admit_per_minute=1_000_000, entry_seconds=50)
    concert = sale.concert(capacity=10)
    first, second, third = (sale.fan() for _ in range(3))
    for fan in (first, second, third):
        fan.join(concert)
    first.seats(concert)
    assert here(sale, second)
    assert here(sale, third)
    for fan in (first, second):
        fan.call("DELETE", "/v1/enqueues")
        assert tick(sale) == 1
        if fan is first:
            assert second.seats(concert).status_code == 200
    # The third was there, was called, and does not come.
    sale.let_time_pass(51)
    tick(sale)
    counts = redis().hmget(keys().state, "came", "missed", "came_here", "missed_here")
    assert [float(count) for count in counts] == [1, 0, 0.995, 1]
    assert redis().exists(keys().here, keys().expected) == 0


def test_only_near_the_front_it_counts(sale: Sale) -> None:
    sale.room(capacity=3, admit_per_minute=2, paused=True)
    concert = sale.concert(capacity=100)
    line = [sale.fan() for _ in range(7)]
    for fan in line:
        fan.join(concert)
    assert [here(sale, fan) for fan in line] == [True] * 6 + [False]


@pytest.mark.parametrize("ending", ["leaves", "is let in"])
def test_nobody_is_known_to_be_there_who_does_not_wait(sale: Sale, ending: str) -> None:
    sale.room(capacity=1)
    concert = sale.concert(capacity=100)
    inside, fan = sale.admitted_fan(concert), sale.fan()
    fan.join(concert)
    assert here(sale, fan)
    if ending == "leaves":
        fan.call("DELETE", "/v1/enqueues")
    else:
        inside.call("DELETE", "/v1/enqueues")
        assert tick(sale) == 1
    assert not here(sale, fan)


def test_saying_so_changes_nothing_about_the_place(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert(capacity=100)
    sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    before = fan.place().json
    assert here(sale, fan)
    assert here(sale, fan)
    assert fan.place().json["position"] == before["position"] == 1


def test_whoever_stands_nowhere_says_it_for_nobody(sale: Sale) -> None:
    sale.concert(capacity=100)
    fan = sale.fan()
    assert sale.call("PUT", "/v1/enqueues/presence").status_code == 401
    assert sale.call("PUT", "/v1/enqueues/presence", token=fan.user_token).status_code == 401
    assert redis().exists(keys().here) == 0
