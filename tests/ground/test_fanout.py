"""Facts from Redis to many listeners, over one subscription for the whole process."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from concert.ground import events
from concert.ground.fanout import MOST_UNREAD, Fact, facts
from concert.ground.redis_client import redis
from tests.sale import Sale
from tests.waiting import wait_until

BEAT_SECONDS = 0.5


def nobody_hears() -> bool:
    return all(thread.name != "fanout" for thread in threading.enumerate())


def next_fact(heard: Iterator[Fact | None]) -> Fact:
    for beats, fact in enumerate(heard):
        if fact is not None:
            return fact
        assert beats < 30, "nothing was told"
    raise AssertionError("the facts have ended")


def subscriptions() -> int:
    return sum(1 for client in redis().client_list(_type="pubsub") if client["sub"] != "0")


def test_everybody_who_listens_hears_the_same_fact_over_one_subscription(sale: Sale) -> None:
    listeners = [facts(events.performance_channel(7), BEAT_SECONDS) for _ in range(5)]
    elsewhere = facts(events.performance_channel(8), BEAT_SECONDS)
    assert subscriptions() == 1
    events.publish_seats(7, [1, 2], "held")
    told = [next_fact(heard) for heard in listeners]
    assert all(fact is told[0] for fact in told)
    assert told[0].data == {"seats": [1, 2], "state": "held", "holder": None}
    assert next(elsewhere) is None
    for heard in (*listeners, elsewhere):
        heard.close()  # type: ignore[attr-defined]
    wait_until(nobody_hears)


def test_whoever_comes_back_after_the_last_one_left_hears_again(sale: Sale) -> None:
    for round_ in (1, 2):
        heard = facts(events.performance_channel(7), BEAT_SECONDS)
        events.publish_seats(7, [round_], "sold")
        assert next_fact(heard).data["seats"] == [round_]
        heard.close()  # type: ignore[attr-defined]
        wait_until(nobody_hears)


def test_after_a_broken_connection_listeners_are_told_to_look_again(sale: Sale) -> None:
    heard = facts(events.performance_channel(7), BEAT_SECONDS)
    assert redis().client_kill_filter(_type="pubsub") == 1
    assert next_fact(heard).kind == "resync"
    events.publish_closed(7)
    assert next_fact(heard).kind == "closed"
    heard.close()  # type: ignore[attr-defined]
    wait_until(nobody_hears)


def test_a_listener_who_is_too_slow_is_dropped_and_the_others_are_not(sale: Sale) -> None:
    slow = facts(events.performance_channel(7), BEAT_SECONDS)
    quick = facts(events.performance_channel(7), BEAT_SECONDS)
    for number in range(MOST_UNREAD + 1):
        events.publish_seats(7, [number], "held")
        assert next_fact(quick).data["seats"] == [number]
    assert len([fact for fact in slow if fact is not None]) < MOST_UNREAD
    quick.close()  # type: ignore[attr-defined]
    wait_until(nobody_hears)
