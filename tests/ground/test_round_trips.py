"""What the hot paths cost, counted on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median_low
from typing import Any

import pytest

from concert.factory import ConcertApp, create_app
from concert.ground.database import Database
from concert.ground.parts import keep, part
from concert.ground.redis_client import Client
from concert.ground.settings import Settings
from concert.overview.lately import LatelyRead
from tests.ground.wire import Wire
from tests.sale import Fan, Sale
from tests.servers import temporary_directory
from tests.web.browser import Browser

KEYS: dict[bool, Any] = {
    False: lambda number: None,
    True: lambda number: {"Idempotency-Key": f"key-{number}"},
}
# Enough for psycopg to have prepared each statement, which it does once a connection.
WARM = 8


@pytest.fixture
def wire(settings: Settings) -> Iterator[Wire]:
    """A counting proxy in front of this worker's PostgreSQL."""
    if "host=" not in settings.database_url:
        raise AssertionError("round trips are counted on a unix socket")
    with temporary_directory() as directory:
        wire = Wire(settings.database_url, directory)
        yield wire
        wire.close()


@pytest.fixture
def counted_app(sale: Sale, settings: Settings, wire: Wire) -> Iterator[ConcertApp]:
    """The app, with one connection that leads through the proxy."""
    app = create_app(
        settings.model_copy(update={"database_url": wire.url, "database_pool_size": 1})
    )
    yield app
    part(Database, app).pool.close()


def redis_calls(app: ConcertApp) -> int:
    stats = part(Client, app).info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


def usual(trips: list[int]) -> int:
    """The round trips that somebody waits for, of several that do the same.

    An answer may overtake a message that was sent without waiting for it, which counts a turn
    too many or too few now and then; a turn that is waited for is there every time.
    """
    return median_low(trips)


def through(fan: Fan, app: ConcertApp) -> Fan:
    """The same person at the counted app."""
    return Fan(Sale(app), fan.user_id, fan.user_token, fan.queue_token)


@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with a key"])
def test_holding_takes_at_most_three_round_trips_and_two_redis_calls(
    sale: Sale, counted_app: ConcertApp, wire: Wire, keyed: bool
) -> None:
    concert = sale.concert(capacity=50)
    trips, calls = [], []
    for number in range(1, WARM + 5):
        fan = through(sale.admitted_fan(concert), counted_app)
        fan.seats(concert)
        before = redis_calls(counted_app)
        with wire.counted() as found:
            held = fan.hold(concert, number, headers=KEYS[keyed](number))
        assert held.status_code == 200
        calls.append(redis_calls(counted_app) - before)
        trips += found
    assert 1 <= usual(trips[WARM:]) <= 3, trips
    # The check at the door, and what everybody is told; each is one, but for the first call of a
    # script on a new server, which sends its text as well.
    assert set(calls[1:]) == {2}


@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with a key"])
def test_paying_takes_at_most_four_round_trips(
    sale: Sale, counted_app: ConcertApp, wire: Wire, keyed: bool
) -> None:
    concert = sale.concert(price=10)
    trips = []
    for number in range(1, WARM + 5):
        fan = through(sale.admitted_fan(concert, balance=10), counted_app)
        assert fan.hold(concert, number).status_code == 200
        with wire.counted() as found:
            paid = fan.pay(concert, number, headers=KEYS[keyed](number))
        assert paid.status_code == 200
        trips += found
    assert 1 <= usual(trips[WARM:]) <= 4, trips


def test_joining_and_asking_are_one_redis_call_each_and_none_to_postgresql(
    sale: Sale, counted_app: ConcertApp, wire: Wire
) -> None:
    sale.concert()
    # The first call of a script on a new server sends its text as well.
    first = through(sale.fan(), counted_app)
    first.join()
    first.place()
    fan = through(sale.fan(), counted_app)
    before = redis_calls(counted_app)
    with wire.counted() as found:
        assert fan.join().status_code == 200
        assert fan.place().status_code == 200
    assert redis_calls(counted_app) - before == 2
    assert found == [0]


@pytest.mark.parametrize("standing", ["waiting", "missed", "on another device"])
def test_a_page_that_asks_for_its_place_costs_postgresql_nothing(
    sale: Sale, counted_app: ConcertApp, wire: Wire, standing: str
) -> None:
    sale.room(capacity=1, entry_seconds=10)
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    if standing == "missed":
        sale.let_time_pass(11)
    else:
        fan = sale.fan()
        fan.join(concert)
    visitor = Browser(Sale(counted_app)).become(fan)
    path = f"/rooms/main/place?concert={concert}"
    # The process has to read once in front of which concert the room is.
    assert visitor.open(path).status_code == 200
    if standing == "on another device":
        visitor.client.delete_cookie("concert_queue_main")
    with wire.counted() as found:
        for _ in range(3):
            assert "You are not in line" not in visitor.open(path).text
    assert found == [0]


def test_a_hold_costs_a_page_one_round_trip_and_nobody_else_pays_for_it(
    sale: Sale, counted_app: ConcertApp, wire: Wire
) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    known, stranger = (Browser(Sale(counted_app)) for _ in range(2))
    known.become(fan)
    trips: dict[str, list[int]] = {"stranger": [], "known": [], "holding": []}

    def look(who: str, visitor: Browser) -> None:
        for _ in range(WARM + 5):
            with wire.counted() as found:
                assert visitor.open("/no-such-page").status_code == 404
            trips[who] += found

    look("stranger", stranger)
    look("known", known)
    assert fan.hold(concert, 12).status_code == 200
    look("holding", known)
    assert {who: usual(found[WARM:]) for who, found in trips.items()} == {
        "stranger": 0,
        "known": 1,
        "holding": 1,
    }


def test_at_eight_o_clock_the_front_page_and_a_concert_cost_a_stranger_nothing(
    sale: Sale, counted_app: ConcertApp, wire: Wire
) -> None:
    concert = sale.concert()
    stranger = counted_app.test_client()
    # What is read for the first of them is told to all, for longer than this test takes.
    with counted_app.app_context():
        keep(counted_app, LatelyRead(seconds=60))
    paths = ("/", f"/concerts/{concert}")
    for path in paths:
        assert stranger.get(path).status_code == 200
    before = redis_calls(counted_app)
    with wire.counted() as found:
        for path in paths * 3:
            assert "Winter Songs" in stranger.get(path).text
    assert found == [0]
    assert redis_calls(counted_app) == before


def test_a_greeting_costs_somebody_in_line_one_call_of_redis_and_nothing_of_postgresql(
    sale: Sale, counted_app: ConcertApp, wire: Wire
) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    keep(counted_app, LatelyRead(seconds=60))
    visitor = Browser(Sale(counted_app)).become(fan).client
    visitor.set_cookie("wanted-main", str(concert))
    trips, calls = [], []
    for _ in range(WARM + 5):
        before = redis_calls(counted_app)
        with wire.counted() as found:
            assert "in line for Winter Songs" in visitor.get("/").text
        calls.append(redis_calls(counted_app) - before)
        trips += found
    assert set(calls[1:]) == {1}
    # What is held is asked once for a whole page.
    assert usual(trips[WARM:]) == 1


def test_the_counter_counts_what_is_sent_in_turns_and_not_what_is_sent_together(
    sale: Sale, counted_app: ConcertApp, wire: Wire
) -> None:
    from concert.ground.database import connection

    with counted_app.app_context(), connection() as link:
        link.execute("SELECT 1")
        with wire.counted() as in_turns:
            for _ in range(3):
                link.execute("SELECT 1")
        with wire.counted() as together:
            link.execute("SELECT 2; SELECT 2; SELECT 2")
    assert in_turns == [3]
    assert together == [1]
