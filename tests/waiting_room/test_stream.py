"""The stream for programs, over real HTTP: what it tells, when it ends, and how many there may be."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.serving import make_server

from concert.factory import create_app
from concert.ground.database import Database
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.waiting_room import service
from concert.waiting_room.tokens import queue_token_of
from concert.waiting_room.watch import watch_place
from tests.sale import Fan, Sale, empty_everything
from tests.waiting import wait_until

PATIENCE = 15.0  # seconds until a read gives up; nothing waits so long unless it fails
MOST_STREAMS = 2


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    """Where an instance of the service listens that serves two streams at the most."""
    app = create_app(settings.model_copy(update={"max_streams": MOST_STREAMS}))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    # Streams whose viewers have gone end with their rooms; until then they ask for their places.
    empty_everything(app)
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
        name = ""
        for raw in self._response:
            line = raw.decode().rstrip("\n")
            if line.startswith("event:"):
                name = line.removeprefix("event:").strip()
            if line.startswith("data:"):
                assert name == "place"
                return json.loads(line.removeprefix("data:"))
        return None

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


def test_a_silent_stream_sends_a_heartbeat(full: House) -> None:
    (fan,) = line_up(full, 1)
    token = queue_token_of(fan.queue_token)
    first = service.place_of(token)
    places = watch_place(token, first, heartbeat_seconds=0.01)
    assert next(places) == first
    assert [next(places), next(places)] == [None, None]
    places.close()


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
