"""The streams of pages: what they tell, and to whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from unittest.mock import ANY

import orjson

from concert.factory import create_app
from concert.ground.database import Database
from concert.ground.events import performance_channel
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.ground.streams import OpenStreams
from tests.sale import Fan, Sale
from tests.waiting import wait_until
from tests.web.browser import Browser


@contextmanager
def stream(visitor: Browser, path: str, language: str = "en") -> Iterator[Iterator[str]]:
    """An open stream, event by event."""
    with visitor.sale.app.app_context():
        response = visitor.client.get(path, headers={"Accept-Language": language}, buffered=False)
        assert response.status_code == 200, response.text
        assert response.mimetype == "text/event-stream"
        assert response.headers["X-Accel-Buffering"] == "no"
        try:
            yield (part.decode() for part in response.iter_encoded())
        finally:
            response.close()


def nobody_watches() -> bool:
    return all(one.name not in ("place-watch", "fanout") for one in threading.enumerate())


def until(events: Iterator[str], words: str) -> str:
    """The first event that holds these words; the heartbeats end a wait that is in vain."""
    for beats, event in enumerate(events):
        if words in event:
            return event
        assert beats < 20, f"{words!r} was not told"
    raise AssertionError(f"the stream ended before {words!r}")


def test_a_place_is_told_at_once_and_whenever_it_changes(sale: Sale, visitor: Browser) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    ahead, fan = sale.fan(), sale.fan()
    ahead.join(concert)
    fan.join(concert)
    with stream(visitor.become(fan), f"/live/rooms/main?concert={concert}") as events:
        assert 'data-position="2"' in next(events)
        ahead.call("DELETE", "/v1/enqueues")
        told = until(events, "event:moved")
        assert orjson.loads(told.partition("data:")[2]) == {
            "position": "1",
            "place": "1",
            "ahead": "0",
            "behind": "0",
            "start": "2",
            "passed": "1",
            "poll": ANY,
            "wait": "being measured",
            "at": "",
            "chance": "You will likely find a seat.",
            "free": "50",
            "held": "0",
            "sold": "0",
            "free_width": "50",
            "held_width": "0",
            "sold_width": "0",
            "free_from": "0",
            "all": "50",
        }
    wait_until(nobody_watches)


def test_what_changes_for_all_who_wait_is_told_whole_with_each_ones_own_numbers(
    sale: Sale,
) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    fans = [sale.fan() for _ in range(3)]
    for fan in fans:
        fan.join(concert)
    first, second, third = (Browser(sale).become(fan) for fan in fans)
    with (
        stream(first, "/live/rooms/main") as of_first,
        stream(second, "/live/rooms/main") as of_second,
        stream(third, "/live/rooms/main", "ko") as of_third,
    ):
        whole = [next(events) for events in (of_first, of_second, of_third)]
        for position, told in enumerate(whole, 1):
            assert f'data-position="{position}"' in told
            assert f'data-told="ahead">{position - 1}<' in told
            assert f'data-told="behind">{3 - position}<' in told
            assert f'max="{position}" value="0"' in told
        assert "Your place in line" in whole[1] and "Your place in line" not in whole[2]
        sale.room(paused=True)
        for position, (events, words) in enumerate(
            ((of_first, "paused"), (of_second, "paused"), (of_third, "일시 정지")), 1
        ):
            told = until(events, f'data-position="{position}"')
            assert words in told
    wait_until(nobody_watches)


def test_the_turn_is_told_with_the_way_in(sale: Sale, visitor: Browser) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    inside = sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    with stream(visitor.become(fan), f"/live/rooms/main?concert={concert}") as events:
        next(events)
        inside.call("DELETE", "/v1/enqueues")
        sale.admit()
        told = until(events, 'data-status="admitted"')
        assert told.endswith(f"\n\nevent:turn\ndata:/concerts/{concert}/seats\n\n")
    wait_until(nobody_watches)


def test_a_stream_ends_when_the_place_is_over(sale: Sale, visitor: Browser) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    with stream(visitor.become(fan), "/live/rooms/main") as events:
        next(events)
        fan.call("DELETE", "/v1/enqueues")
        until(events, "event:over")
    wait_until(nobody_watches)


def test_seats_are_told_to_others_and_to_their_holder_as_what_they_are_to_each(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert()
    holder: Fan = sale.admitted_fan(concert)
    mine, others = visitor.become(holder), Browser(sale).become(sale.admitted_fan(concert))
    with (
        stream(mine, "/live/performances/1") as seen_by_holder,
        stream(others, "/live/performances/1") as seen_by_others,
    ):
        assert next(seen_by_holder) == next(seen_by_others) == "event:resync\ndata:-\n\n"
        assert holder.hold(concert, 12).status_code == 200
        assert "seat-mine" in until(seen_by_holder, "#seat-12")
        told = until(seen_by_others, "#seat-12")
        assert "seat-held" in told and "disabled" in told
        assert str(holder.user_id) not in told
    wait_until(nobody_watches)


def test_a_map_that_its_script_draws_is_told_facts(sale: Sale, visitor: Browser) -> None:
    concert = sale.concert()
    holder: Fan = sale.admitted_fan(concert)
    mine, others = visitor.become(holder), Browser(sale).become(sale.admitted_fan(concert))
    with (
        stream(mine, "/live/performances/1?as=facts") as seen_by_holder,
        stream(others, "/live/performances/1?as=facts") as seen_by_others,
    ):
        assert next(seen_by_holder) == next(seen_by_others) == "event:resync\ndata:-\n\n"
        assert holder.hold(concert, 12, 13).status_code == 200
        told = 'event:seats\ndata:{"seats":[12,13],"state":"held","mine":%s}\n\n'
        assert until(seen_by_holder, "event:seats") == told % "true"
        assert until(seen_by_others, "event:seats") == told % "false"
    wait_until(nobody_watches)


def test_each_viewer_of_seats_is_told_in_their_own_language(sale: Sale) -> None:
    concert = sale.concert()
    holder: Fan = sale.admitted_fan(concert)
    fans = [sale.admitted_fan(concert) for _ in range(2)]
    all_look = Barrier(3)

    def told_in(tongue: str, fan: Fan, before: Callable[[], object]) -> str:
        with sale.app.app_context():
            visitor = Browser(sale).become(fan)
        with stream(visitor, "/live/performances/1", tongue) as events:
            next(events)
            all_look.wait(10)
            before()
            return until(events, "#seat-12")

    # In threads of their own, as a server has them: what a request knows is its thread's.
    # One after the other, since the first one's words are kept for others of that language.
    with ThreadPoolExecutor() as threads:
        english = threads.submit(told_in, "en", fans[0], lambda: None)
        korean = threads.submit(told_in, "ko", fans[1], english.result)
        all_look.wait(10)
        assert holder.hold(concert, 12).status_code == 200
    assert "Row B" in english.result() and "B열" not in english.result()
    assert "B열" in korean.result() and "Row B" not in korean.result()
    wait_until(nobody_watches)


def test_streams_of_pages_beat_in_silence(settings: Settings, sale: Sale) -> None:
    app = create_app(settings)
    part(OpenStreams, app).heartbeat_seconds = 0.05
    concert = sale.concert()
    visitor = Browser(Sale(app)).become(sale.admitted_fan(concert))
    for path in ("/live/rooms/main", "/live/performances/1"):
        with stream(visitor, path) as events:
            until(events, "event:beat")
            assert next(events) == "event:beat\ndata:-\n\n"
    wait_until(nobody_watches)
    part(Database, app).pool.close()


def test_a_place_whose_stream_ends_with_its_process_is_not_said_to_be_over(
    settings: Settings, sale: Sale
) -> None:
    app = create_app(settings)
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    with stream(Browser(Sale(app)).become(fan), "/live/rooms/main") as events:
        next(events)
        part(OpenStreams, app).stop()
        assert [event for event in events if "over" in event] == []
    wait_until(nobody_watches)
    part(Database, app).pool.close()


def test_a_viewer_of_seats_who_leaves_before_the_first_fact_is_not_kept(
    sale: Sale, visitor: Browser
) -> None:
    fan = sale.admitted_fan(sale.concert())
    with stream(visitor.become(fan), "/live/performances/1") as events:
        assert next(events) == "event:resync\ndata:-\n\n"
    # Its subscription ends with it; no fact has to come for that.
    wait_until(nobody_watches)


def test_a_message_that_is_no_fact_costs_a_viewer_of_seats_nothing(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    with stream(visitor.become(fan), "/live/performances/1") as events:
        next(events)
        redis().publish(performance_channel(1), b'{"type": "seats", "data": {"seats": 12}}')
        assert fan.hold(concert, 12).status_code == 200
        assert "seat-mine" in next(events)
    wait_until(nobody_watches)


def test_only_those_whose_turn_it_is_hear_of_the_seats(sale: Sale, visitor: Browser) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    assert visitor.open("/live/performances/1").status_code == 401
    sale.admitted_fan(concert)
    waiting = sale.fan()
    waiting.join(concert)
    assert visitor.become(waiting).open("/live/performances/1").status_code == 403
    assert visitor.open("/live/performances/99").status_code == 404


def test_nobody_hears_of_a_place_that_they_do_not_have(sale: Sale, visitor: Browser) -> None:
    assert visitor.open("/live/rooms/main").status_code == 401
