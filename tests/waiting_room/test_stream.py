"""The stream for programs, over real HTTP: what it tells, when it ends, and how many there may be."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.serving import make_server

from concert.factory import ConcertApp, create_app
from concert.ground import events
from concert.ground.database import Database
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.ground.streams import HEARTBEAT_SECONDS, OpenStreams
from concert.waiting_room import service
from concert.waiting_room.service import Place
from concert.waiting_room.tokens import queue_token_of
from concert.waiting_room.watch import (
    MOST_UNREAD,
    NEAR_POSITION,
    OVER,
    PAUSE_SECONDS,
    PlaceWatch,
    Viewer,
)
from tests.sale import Fan, Sale, empty_everything, forget_all
from tests.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 15.0  # seconds until a read gives up; nothing waits so long unless it fails
MOST_STREAMS = 2


@pytest.fixture
def instance(settings: Settings) -> ConcertApp:
    """An instance of the service that serves two streams at the most, with quick heartbeats."""
    app = create_app(settings.model_copy(update={"max_streams": MOST_STREAMS}))
    part(OpenStreams, app).heartbeat_seconds = 0.1
    part(PlaceWatch, app).tick_seconds = 0.05
    return app


@pytest.fixture
def port(instance: ConcertApp, app: ConcertApp) -> Iterator[int]:
    """Where it listens."""
    asking, app = app, instance
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    # Streams whose viewers have gone end with their rooms; until then they ask for their places.
    empty_everything(app)
    # Whoever has looked at seats through the tests' own app hears of their changes for a while.
    forget_all(asking)
    wait_until(nobody_watches)
    server.shutdown()
    server.server_close()
    thread.join()
    part(Database, app).pool.close()


def nobody_watches() -> bool:
    return all(one.name not in ("place-watch", "fanout") for one in threading.enumerate())


class Stream:
    """One open stream of a fan's place."""

    def __init__(self, connection: http.client.HTTPConnection, token: str) -> None:
        connection.request(
            "GET", "/v1/enqueues/events", headers={"Authorization": f"Bearer {token}"}
        )
        self._response = connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers

    def problem(self) -> Any:
        """The problem document of a stream that was refused."""
        return json.loads(self._response.read())

    def next(self) -> Any | None:
        """The next event's data; None where the stream has ended."""
        name, ends = "", time.monotonic() + PATIENCE
        for raw in self._response:
            # Heartbeats come for ever.
            assert time.monotonic() < ends, "nothing was told"
            line = raw.decode().rstrip("\n")
            if line.startswith("event:"):
                name = line.removeprefix("event:").strip()
            if line.startswith("data:"):
                assert name == "place"
                return json.loads(line.removeprefix("data:"))
        return None

    def beat(self) -> None:
        """Read on to the next heartbeat, with nothing else before it."""
        for line in self._response:
            assert line == b"\n" or line.startswith(b":")
            if line != b"\n":
                return

    def until(self, wanted: Callable[[Any], bool]) -> Any:
        """Read on to the first event that is wanted."""
        while True:
            place = self.next()
            assert place is not None, "the stream ended before"
            if wanted(place):
                return place

    def rest(self) -> list[Any]:
        """All events to the end of the stream."""
        return list(iter(self.next, None))


@contextmanager
def streaming(port: int, fan: Fan) -> Iterator[Stream]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        yield Stream(connection, fan.queue_token)
    finally:
        connection.close()


@dataclass(frozen=True)
class House:
    """A room for one, who is inside, and its concert."""

    sale: Sale
    slug: str
    concert: int

    def room(self, **settings: Any) -> None:
        self.sale.room(self.slug, **settings)

    def admit(self) -> int:
        return self.sale.admit(self.slug)


def line_up(house: House, count: int) -> list[Fan]:
    fans = [house.sale.fan() for _ in range(count)]
    for fan in fans:
        assert fan.join(house.concert).status_code == 200
    return fans


@pytest.fixture
def full(sale: Sale) -> House:
    slug = "hall"
    sale.room(slug, capacity=1, admit_per_minute=1_000_000)
    house = House(sale, slug, sale.concert(price=0, room=slug))
    line_up(house, 1)
    return house


def test_the_stream_begins_with_the_place_as_it_is(full: House, port: int) -> None:
    fans = line_up(full, 2)
    with streaming(port, fans[1]) as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        first = stream.next()
    now = fans[1].place().json
    del first["poll_after_seconds"], now["poll_after_seconds"]
    assert first == now


def test_the_stream_tells_when_the_place_moves_up_and_when_its_turn_comes(
    full: House, port: int
) -> None:
    ahead, fan = line_up(full, 2)
    with streaming(port, fan) as stream:
        assert stream.next()["position"] == 2
        ahead.call("DELETE", "/v1/enqueues")
        assert stream.until(lambda place: place["position"] == 1)["waiting"] == 1
        full.room(capacity=2)
        full.admit()
        turn = stream.until(lambda place: place["status"] == "admitted")
        assert turn["position"] is None
        assert turn["admitted_until"] == fan.place().json["admitted_until"]


def test_the_stream_tells_when_the_room_is_paused_and_goes_on(full: House, port: int) -> None:
    (fan,) = line_up(full, 1)
    with streaming(port, fan) as stream:
        assert stream.next()["paused"] is False
        full.room(paused=True)
        assert stream.until(lambda place: place["paused"])
        full.room(paused=False)
        assert stream.until(lambda place: not place["paused"])


def test_the_stream_tells_when_the_doors_will_open(full: House, port: int) -> None:
    (fan,) = line_up(full, 1)
    with streaming(port, fan) as stream:
        assert stream.next()["opens_at"] is None
        full.room(opens_at="2030-12-31T18:00:00+09:00")
        assert stream.until(lambda place: place["opens_at"])["position"] == 1


def test_the_stream_tells_how_long_a_visit_may_last_once_it_has_begun(
    full: House, port: int
) -> None:
    full.room(capacity=2, entry_seconds=100, visit_seconds=400)
    (fan,) = line_up(full, 1)
    with streaming(port, fan) as stream:
        before = stream.next()["admitted_until"]
        assert fan.seats(full.concert).status_code == 200
        assert stream.until(lambda place: place["admitted_until"] != before)
        assert fan.place().json["admitted_until"] > before


def test_the_stream_ends_when_the_turn_is_missed_and_says_so(full: House, port: int) -> None:
    full.room(capacity=2)
    (fan,) = line_up(full, 1)
    with streaming(port, fan) as stream:
        assert stream.next()["status"] == "admitted"
        full.sale.let_time_pass(121, full.slug)
        assert stream.rest()[-1]["status"] == "expired"


def test_the_stream_ends_when_its_user_leaves(full: House, port: int) -> None:
    (fan,) = line_up(full, 1)
    with streaming(port, fan) as stream:
        stream.next()
        fan.call("DELETE", "/v1/enqueues")
        assert stream.rest()[-1]["status"] == "left"


def test_the_stream_ends_when_the_place_is_completed(full: House, port: int) -> None:
    full.room(capacity=2)
    (fan,) = line_up(full, 1)
    with streaming(port, fan) as stream:
        assert stream.next()["status"] == "admitted"
        assert fan.hold(full.concert, 1).status_code == 200
        assert fan.pay(full.concert, 1).status_code == 200
        assert {place["status"] for place in stream.rest()} <= {"admitted"}


def test_the_stream_of_a_place_that_redis_has_lost_goes_on_where_it_was(
    full: House, port: int
) -> None:
    fans = line_up(full, 3)
    with streaming(port, fans[1]) as stream:
        assert stream.next()["position"] == 2
        redis().flushall()
        assert stream.until(lambda place: place["position"] == 1)
        assert fans[0].place().json["position"] == 1
        assert stream.until(lambda place: place["position"] == 2)


def test_a_spent_or_wrong_token_gets_no_stream(full: House, port: int) -> None:
    (fan,) = line_up(full, 1)
    newer = Fan(full.sale, fan.user_id, fan.user_token, fan.user_token)
    with streaming(port, newer) as stream:
        assert (stream.status, stream.problem()["code"]) == (401, "token_invalid")


def test_the_stream_tells_when_the_last_seat_is_held_when_it_is_sold_and_when_the_sale_ends(
    sale: Sale, port: int
) -> None:
    sale.room("hall", capacity=1)
    closes = datetime.now().astimezone() + timedelta(minutes=10)
    concert = sale.concert(price=0, room="hall", capacity=1, sales_close_at=closes.isoformat())
    inside, fan = line_up(House(sale, "hall", concert), 2)
    with streaming(port, fan) as stream:
        first = stream.next()
        assert first["seats"] == {"free": 1, "held": 0, "sold": 0, "state": "open"}
        inside.hold(concert, 1)
        held = stream.until(lambda place: place["seats"]["state"] == "all_held")
        assert (held["seats"]["held"], held["estimated_wait_seconds"]) == (1, None)
        inside.pay(concert, 1)
        sale.count_seats()
        sold = stream.until(lambda place: place["seats"]["state"] == "sold_out")
        assert (sold["chance"], sold["position"]) == ("none", 1)
        sale.let_time_pass(601, "hall")
        sale.admit("hall")
        last = stream.rest()[-1]
        assert (last["status"], last["seats"]["state"]) == ("expired", "ended")


def test_the_stream_tells_what_the_organiser_says(full: House, port: int) -> None:
    (fan,) = line_up(full, 1)
    message = {"ko": "곧 시작해요.", "en": "We begin soon."}
    with streaming(port, fan) as stream:
        assert stream.next()["message"] is None
        full.room(message=message)
        assert stream.until(lambda place: place["message"])["message"] == message
        full.sale.organise("PATCH", "/v1/rooms/hall", json={"message": None})
        assert stream.until(lambda place: place["message"] is None)["position"] == 1


def test_a_silent_stream_sends_a_heartbeat(full: House, port: int) -> None:
    (fan,) = line_up(full, 1)
    with streaming(port, fan) as stream:
        stream.next()
        for _ in range(3):
            stream.beat()


def test_heartbeats_come_sooner_than_a_proxy_or_a_page_takes_a_stream_for_dead(
    app: ConcertApp,
) -> None:
    proxy = (PROJECT / "deploy/nginx.conf").read_text()
    for address in ("= /v1/enqueues/events", "/live/"):
        place = proxy[proxy.index(f"location {address} {{") :]
        timeout = re.search(r"proxy_read_timeout (\d+)s", place[: place.index("}")])
        assert timeout and 2 * HEARTBEAT_SECONDS < int(timeout[1])
    for script in ("waiting-room/line", "seat-map"):
        silence = re.search(r"SILENCE_MS = (\d+)", (PROJECT / f"static/js/{script}.js").read_text())
        assert silence and 2 * HEARTBEAT_SECONDS < int(silence[1]) / 1000
    # Many proxies that are not ours cut what is silent for half a minute.
    assert part(OpenStreams, app).heartbeat_seconds == HEARTBEAT_SECONDS < 30


def test_a_stream_is_not_gathered_up_by_a_proxy(full: House, port: int) -> None:
    (fan,) = line_up(full, 1)
    with streaming(port, fan) as stream:
        assert stream.headers["X-Accel-Buffering"] == "no"


def test_streams_end_when_their_process_is_about_to_and_none_begins(
    full: House, port: int, instance: ConcertApp
) -> None:
    fan, late = line_up(full, 2)
    with streaming(port, fan) as stream:
        stream.next()
        part(OpenStreams, instance).stop()
        assert stream.rest() == []
        with streaming(port, late) as refused:
            assert (refused.status, refused.problem()["code"]) == (503, "unavailable")


def test_a_stream_more_than_there_may_be_is_told_to_come_again(full: House, port: int) -> None:
    fans = line_up(full, 3)
    with streaming(port, fans[0]) as first, streaming(port, fans[1]) as second:
        assert (first.status, second.status) == (200, 200)
        with streaming(port, fans[2]) as third:
            assert third.status == 503
            assert int(third.headers["Retry-After"]) >= 1
            assert third.problem()["code"] == "unavailable"


def test_a_stream_that_its_viewer_has_left_makes_room_for_another(full: House, port: int) -> None:
    fans = line_up(full, MOST_STREAMS)
    for fan in fans:
        with streaming(port, fan) as stream:
            assert stream.next()["status"] == "waiting"

    def another_is_served() -> bool:
        # Who has gone is noticed when there is something to tell.
        (fan,) = line_up(full, 1)
        with streaming(port, fan) as stream:
            return stream.status == 200

    wait_until(another_is_served, seconds=PATIENCE)


@contextmanager
def watching(watch: PlaceWatch, *fans: Fan) -> Iterator[list[Viewer]]:
    with ExitStack() as all_of_them:
        tokens = [queue_token_of(fan.queue_token) for fan in fans]
        yield [
            all_of_them.enter_context(watch.viewer(token, service.place_of(token)))
            for token in tokens
        ]
    # The thread sees at its next look that nobody is left; a fact brings that on.
    events.publish_room("any", admitted=0)
    wait_until(nobody_watches)


def until_over(viewer: Viewer) -> None:
    for seen in viewer.contents(PATIENCE):
        assert seen is not None, "nothing was told"
        if seen is OVER:
            return
    raise AssertionError("the watch has ended before")


def next_place(viewer: Viewer) -> Place:
    seen = next(viewer.contents(PATIENCE))
    assert isinstance(seen, Place), "nothing was told"
    return seen


def test_one_room_that_cannot_be_looked_at_leaves_the_viewers_of_others_told(
    full: House, app: ConcertApp
) -> None:
    ahead, fan = line_up(full, 2)
    full.sale.room("broken", capacity=1)
    elsewhere = House(full.sale, "broken", full.sale.concert(price=0, room="broken"))
    (unlucky,) = line_up(elsewhere, 1)
    watch = PlaceWatch(app, tick_seconds=0.02)
    with watching(watch, unlucky, fan) as (lost, viewer):
        at_once = redis().pipeline(transaction=True)
        for key in redis().keys("{room:broken}*"):
            at_once.delete(key)
            at_once.set(key, "not what it should be")
        at_once.execute()
        ahead.call("DELETE", "/v1/enqueues")
        assert next_place(viewer).position == 1
        assert next(lost.contents(0.0)) is None
        # That this place is over takes a look of its own as well, and comes after the failed one.
        fan.call("DELETE", "/v1/enqueues")
        fan.join(full.concert)
        until_over(viewer)
        for key in redis().keys("{room:broken}*"):
            redis().delete(key)
        # It is looked at again by and by, and put back.
        assert next_place(lost).status == "waiting"


def test_a_place_that_only_postgresql_could_restore_leaves_the_others_told_while_it_is_away(
    full: House, settings: Settings
) -> None:
    ahead, fan = line_up(full, 2)
    full.sale.room("lost", capacity=1)
    elsewhere = House(full.sale, "lost", full.sale.concert(price=0, room="lost"))
    (unlucky,) = line_up(elsewhere, 1)
    away = settings.database_url.replace(urlsplit(settings.database_url).path, "/nowhere")
    cut_off = create_app(settings.model_copy(update={"database_url": away}))
    watch = PlaceWatch(cut_off, tick_seconds=0.02)
    with watching(watch, unlucky, fan) as (lost, viewer):
        redis().delete(*redis().keys("{room:lost}*"))
        ahead.call("DELETE", "/v1/enqueues")
        assert next_place(viewer).position == 1
        assert next(lost.contents(0.0)) is None
        # That this place is over takes a look of its own as well, and comes after the failed one.
        fan.call("DELETE", "/v1/enqueues")
        fan.join(full.concert)
        until_over(viewer)
    part(Database, cut_off).pool.close()


def test_a_viewer_who_does_not_read_is_dropped_and_is_not_told_that_the_place_is_over(
    full: House, app: ConcertApp
) -> None:
    (fan,) = line_up(full, 1)
    watch = PlaceWatch(app, tick_seconds=0.01)
    with watching(watch, fan) as (viewer,):
        for change in range(MOST_UNREAD + 1):
            full.room(paused=change % 2 == 0)
            wait_until(lambda: viewer.last.paused is (change % 2 == 0))  # noqa: B023  # called here
        # Nobody else watches, so the thread ends with the one who was dropped.
        wait_until(nobody_watches)
        assert list(viewer.contents(PATIENCE)) == []


def test_people_far_back_are_told_as_well(full: House, app: ConcertApp) -> None:
    fans = line_up(full, NEAR_POSITION + 2)
    watch = PlaceWatch(app, tick_seconds=0.02)
    with watching(watch, fans[-1]) as (viewer,):
        fans[0].call("DELETE", "/v1/enqueues")
        assert next_place(viewer).position == NEAR_POSITION + 1


def test_a_place_moves_at_once_when_people_were_let_in(full: House, app: ConcertApp) -> None:
    *ahead, fan = line_up(full, 4)
    # Without facts, nothing is looked at before this is over.
    watch = PlaceWatch(app, tick_seconds=10 * PATIENCE)
    with watching(watch, fan) as (viewer,):
        # The subscription stands when the first fact is heard; those after it come through it.
        for position, one in zip((3, 2, 1), ahead, strict=True):
            one.call("DELETE", "/v1/enqueues")

            def is_told(position: int = position) -> bool:
                events.publish_room(full.slug, admitted=1)
                return viewer.last.position == position

            wait_until(is_told, seconds=PATIENCE)


def test_however_much_is_told_of_rooms_looks_at_places_stay_few(
    full: House, app: ConcertApp
) -> None:
    ahead, fan = line_up(full, 2)
    watch = PlaceWatch(app, tick_seconds=10 * PATIENCE)
    with watching(watch, fan) as (viewer,):
        begun, before = time.monotonic(), scripts_run()
        for _ in range(500):
            events.publish_room(full.slug, admitted=1)
        ahead.call("DELETE", "/v1/enqueues")

        def is_told() -> bool:
            events.publish_room(full.slug, admitted=1)
            return viewer.last.position == 1

        wait_until(is_told, seconds=PATIENCE)
        took = time.monotonic() - begun
        # Joining and leaving are scripts as well, but few.
        assert scripts_run() - before < 5 + took / PAUSE_SECONDS


def test_a_crowd_is_asked_about_in_one_question(full: House, app: ConcertApp) -> None:
    fans = line_up(full, 60)
    watch = PlaceWatch(app, tick_seconds=0.02)
    with watching(watch, *fans[1:]) as viewers:
        before = scripts_run()
        full.room(paused=True)
        wait_until(lambda: all(viewer.last.paused for viewer in viewers), seconds=PATIENCE)
        looked_by = {viewer.due for viewer in viewers}
        wait_until(lambda: looked_by.isdisjoint({viewer.due for viewer in viewers}))
        # A tick is one script, and few ticks have passed.
        assert scripts_run() - before < len(viewers)


def scripts_run() -> int:
    calls: int = redis().info("commandstats")["cmdstat_evalsha"]["calls"]
    return calls
