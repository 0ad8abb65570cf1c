"""Facts from Redis to many listeners, over one subscription for the whole process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from concert.ground import events
from concert.ground.fanout import MOST_UNREAD, Fact, Fanout, facts
from concert.ground.redis_client import new_client, redis
from tests.sale import Sale
from tests.waiting import wait_until

BEAT_SECONDS = 0.5
CHANNEL = events.performance_channel(7)
# What is no fact, or none that a page could show.
MALFORMED = (
    b"not JSON",
    b"\xff\xfe",
    b"",
    b"7",
    b"[]",
    b"{}",
    b'{"type": "seats"}',
    b'{"data": {}}',
    b'{"type": null, "data": {}}',
    b'{"type": "seats", "data": [1, 2]}',
    b'{"type": "seats", "data": {"seats": 5, "state": "held"}}',
    b'{"type": "seats", "data": {"seats": ["x"], "state": "held"}}',
    b'{"type": "seats", "data": {"seats": [1], "state": null}}',
)


def nobody_hears() -> bool:
    return all(thread.name != "fanout" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def all_have_left() -> Iterator[None]:
    yield
    wait_until(nobody_hears)


def next_fact(heard: Iterator[Fact | None]) -> Fact:
    for beats, fact in enumerate(heard):
        if fact is not None:
            return fact
        assert beats < 30, "nothing was told"
    raise AssertionError("the facts have ended")


def subscriptions() -> int:
    return sum(1 for client in redis().client_list(_type="pubsub") if client["sub"] != "0")


def test_everybody_who_listens_hears_the_same_fact_over_one_subscription(sale: Sale) -> None:
    with ExitStack() as all_of_them:
        listeners = [all_of_them.enter_context(facts(CHANNEL, BEAT_SECONDS)) for _ in range(5)]
        elsewhere = all_of_them.enter_context(facts(events.performance_channel(8), BEAT_SECONDS))
        assert subscriptions() == 1
        events.publish_seats(7, [1, 2], "held")
        told = [next_fact(heard) for heard in listeners]
        assert all(fact is told[0] for fact in told)
        assert told[0].data == {"seats": [1, 2], "state": "held", "holder": None}
        assert next(elsewhere) is None


def test_whoever_comes_back_after_the_last_one_left_hears_again(sale: Sale) -> None:
    for round_ in (1, 2):
        with facts(CHANNEL, BEAT_SECONDS) as heard:
            events.publish_seats(7, [round_], "sold")
            assert next_fact(heard).data["seats"] == [round_]
        wait_until(nobody_hears)


def test_whoever_comes_back_at_once_waits_for_a_subscription_and_hears_again(sale: Sale) -> None:
    with facts(events.performance_channel(8), BEAT_SECONDS):
        for round_ in range(5):
            with facts(CHANNEL, BEAT_SECONDS) as heard:
                events.publish_seats(7, [round_], "sold")
                wanted = [round_]
                while (fact := next_fact(heard)).kind == "resync":
                    pass
                assert fact.data["seats"] == wanted


def test_after_a_broken_connection_listeners_are_told_to_look_again(sale: Sale) -> None:
    with facts(CHANNEL, BEAT_SECONDS) as heard:
        assert redis().client_kill_filter(_type="pubsub") == 1
        assert next_fact(heard).kind == "resync"
        events.publish_closed(7)
        assert next_fact(heard).kind == "closed"


def test_a_listener_who_is_too_slow_is_dropped_and_the_others_are_not(sale: Sale) -> None:
    with facts(CHANNEL, BEAT_SECONDS) as slow, facts(CHANNEL, BEAT_SECONDS) as quick:
        for number in range(MOST_UNREAD + 1):
            events.publish_seats(7, [number], "held")
            assert next_fact(quick).data["seats"] == [number]
        assert len([fact for fact in slow if fact is not None]) < MOST_UNREAD


@pytest.mark.parametrize("message", MALFORMED)
def test_a_message_that_is_no_fact_is_passed_over_and_the_next_one_is_heard(
    sale: Sale, message: bytes
) -> None:
    with facts(CHANNEL, BEAT_SECONDS) as heard:
        redis().publish(CHANNEL, message)
        events.publish_seats(7, [12], "held")
        assert next_fact(heard).data["seats"] == [12]


class Faulty(Fanout):
    """One with a fault of our own in it, of which nobody has thought, as often as asked."""

    faults = 0

    def _pass_on(self, channel: str, message: bytes) -> None:
        if self.faults:
            self.faults -= 1
            raise ZeroDivisionError
        super()._pass_on(channel, message)


def test_whatever_happens_to_the_thread_it_hears_again_and_listeners_look_again(
    sale: Sale, redis_url: str
) -> None:
    fanout = Faulty(redis_url, retry_seconds=0.01)
    fanout.faults = 2
    with fanout.listener(CHANNEL) as listener:
        heard = listener.contents(BEAT_SECONDS)
        for _ in range(2):
            events.publish_closed(7)
            assert next_fact(heard).kind == "resync"
        events.publish_closed(7)
        assert next_fact(heard).kind == "closed"


def test_whoever_leaves_before_the_first_fact_is_not_kept(sale: Sale) -> None:
    with facts(CHANNEL, BEAT_SECONDS):
        assert subscriptions() == 1
    wait_until(lambda: subscriptions() == 0)


def test_whose_subscription_stands_late_is_told_to_look_again(sale: Sale, redis_url: str) -> None:
    fanout = Fanout(redis_url)
    with new_client(redis_url) as organiser:
        organiser.client_pause(300)
        with fanout.listener(CHANNEL, timeout=0.01) as listener:
            # What happens now is not heard: there is no subscription yet.
            assert next_fact(listener.contents(BEAT_SECONDS)).kind == "resync"
            events.publish_closed(7)
            assert next_fact(listener.contents(BEAT_SECONDS)).kind == "closed"


def test_whoever_listens_in_a_process_that_ends_hears_the_end_and_nobody_begins_anew(
    sale: Sale, redis_url: str
) -> None:
    fanout = Fanout(redis_url)
    with fanout.listener(CHANNEL) as listener:
        heard = listener.contents(60)
        fanout.stop()
        assert list(heard) == []
    with fanout.listener(CHANNEL, timeout=60) as late:
        assert list(late.contents(60)) == []
