"""How many calls of Redis and of PostgreSQL the hot paths make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from concert.ground.redis_client import new_client, redis
from concert.ground.settings import Settings
from concert.waiting_room import service
from concert.waiting_room.keys import room_keys
from concert.waiting_room.tokens import queue_token_of
from tests.sale import Sale

END = "that was all"


def calls_of(settings: Settings, work: Callable[[], Any]) -> list[str]:
    """The commands that Redis gets while the work is done, but for those that its scripts run."""
    # The server that has the room, should there be several.
    url = redis().server_of(room_keys("main").waiting).address
    watcher, marker = new_client(url), new_client(url)
    seen: list[str] = []
    marker.ping()
    with watcher.monitor() as monitor:
        work()
        marker.echo(END)
        while True:
            command = monitor.next_command()
            if END in command["command"]:
                break
            if command["client_type"] != "lua":
                seen.append(command["command"].split()[0].upper())
    watcher.close()
    marker.close()
    return seen


def test_joining_is_one_redis_call(sale: Sale, settings: Settings) -> None:
    sale.admitted_fan()
    fan = sale.fan()
    assert calls_of(settings, fan.join) == ["EVALSHA"]
    assert calls_of(settings, fan.join) == ["EVALSHA"]


def test_asking_is_one_redis_call(sale: Sale, settings: Settings) -> None:
    sale.room(capacity=1)
    admitted, waiting = sale.admitted_fan(), sale.fan()
    waiting.join()
    admitted.place()
    assert calls_of(settings, admitted.place) == ["EVALSHA"]
    assert calls_of(settings, waiting.place) == ["EVALSHA"]


def test_asking_with_either_token_of_one_place_is_one_redis_call(
    sale: Sale, settings: Settings
) -> None:
    sale.room(capacity=1)
    sale.admitted_fan()
    fan = sale.fan()
    fan.join()
    earlier = fan.queue_token
    redis().flushall()
    fan.join()
    later = fan.queue_token
    for token in (earlier, later):
        fan.call("GET", "/v1/enqueues", token=token)  # After the loss, PostgreSQL was asked once.
    for token in (earlier, later):
        assert calls_of(settings, lambda: fan.call("GET", "/v1/enqueues", token=token)) == [  # noqa: B023  # it is called at once
            "EVALSHA"
        ]


def test_the_check_at_the_door_is_one_redis_call(sale: Sale, settings: Settings) -> None:
    concert, fan = sale.concert(), sale.admitted_fan()
    fan.seats(concert)
    assert calls_of(settings, lambda: fan.seats(concert)) == ["EVALSHA"]


def test_asking_about_many_places_is_one_call_for_each_in_one_round_trip(
    sale: Sale, settings: Settings
) -> None:
    fans = [sale.admitted_fan() for _ in range(5)]
    tokens = [queue_token_of(fan.queue_token) for fan in fans]
    service.places_of(tokens)
    seen = calls_of(settings, lambda: service.places_of(tokens))
    assert seen.count("EVALSHA") == 5
    assert set(seen) <= {"EVALSHA", "SCRIPT"}
