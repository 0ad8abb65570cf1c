"""Seat lists from a reading that a crowd shares: never older than half a second, and nobody else's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concert.factory import create_app
from concert.ground import events
from concert.ground.budget import Budget, budget, within
from concert.ground.database import Database, connection
from concert.ground.errors import Unavailable
from concert.ground.events import performance_channel
from concert.ground.fanout import Fanout
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.reservations import snapshots
from concert.reservations.service import seat_letters
from concert.reservations.snapshots import SeatSnapshots, seats_lately
from tests.ground.wire import Wire
from tests.sale import Fan, Sale
from tests.servers import temporary_directory
from tests.waiting import wait_until

FOR_EVER = 3600.0
CROWD = 100
TAKE = """
WITH held AS (
    INSERT INTO reservations (id, user_id, performance_id, seat_nos, prices, amount, status, created_at, held_until)
    VALUES (gen_random_uuid(), %(user)s, %(performance)s, ARRAY[%(seat)s]::smallint[], ARRAY[1], 1, %(status)s,
        now(), now() + %(seconds)s * interval '1 second') RETURNING id, held_until)
UPDATE seats SET reservation_id = held.id, held_until = held.held_until,
    sold_at = CASE WHEN %(status)s = 'paid' THEN now() END
FROM held WHERE performance_id = %(performance)s AND seat_no = %(seat)s"""


@pytest.fixture
def kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing grows too old by itself, so that what is dropped is dropped for a reason."""
    monkeypatch.setattr(snapshots, "KEPT_SECONDS", FOR_EVER)


@pytest.fixture
def elsewhere(sale: Sale, settings: Settings) -> Iterator[Sale]:
    """The same service in another process, as far as the two can tell: they share the servers alone."""
    app = create_app(settings)
    yield Sale(app)
    part(SeatSnapshots, app).forget_all()
    part(Database, app).pool.close()


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Which performances were read from the database, reading by reading."""
    made: list[list[int]] = []
    read_now = snapshots._read_now

    def noted(missing: Any) -> Any:
        made.append(list(missing))
        return read_now(missing)

    monkeypatch.setattr(snapshots, "_read_now", noted)
    return made


def states(fan: Fan, concert: int) -> dict[int, str]:
    """What the seat list says of each seat; ``my`` in front where it is the fan's own."""
    answer = fan.seats(concert)
    assert answer.status_code == 200, answer.text
    return {
        seat["seat_no"]: ("my " if seat["mine"] else "") + seat["state"]
        for date in answer.json["dates"]
        for seat in date["seats"]
    }


def take(fan: Fan, seat: int, *, seconds: float = 300, status: str = "held", date: int = 1) -> None:
    """Take a seat as another process would whose fact is lost."""
    asked = {
        "user": fan.user_id,
        "performance": date,
        "seat": seat,
        "seconds": seconds,
        "status": status,
    }
    with connection() as link:
        link.execute(TAKE, asked)


def hear(sale: Sale, performance_id: int = 1) -> None:
    """Look once, and wait until facts about the performance are heard, and the first word of it is over."""
    seats_lately([performance_id])
    kept, fanout = part(SeatSnapshots, sale.app)._kept[performance_id], part(Fanout, sale.app)
    assert kept.listener is not None
    fanout.wait_for(kept.listener, 10)
    # What is told in turn: when this has come, all before it has been done.
    with fanout.listener(performance_channel(0)) as after:
        events.publish_closed(0)
        assert next(after.contents(10)) is not None
    kept.drop()


@pytest.mark.usefixtures("kept_for_ever")
def test_a_list_is_right_at_once_after_a_hold_a_release_and_a_payment(sale: Sale) -> None:
    concert = sale.concert(price=10)
    holder, other = sale.admitted_fan(concert, balance=100), sale.admitted_fan(concert)
    assert set(states(holder, concert).values()) == {"available"}
    held = holder.hold(concert, 5)
    assert (states(holder, concert)[5], states(other, concert)[5]) == ("my held", "held")
    holder.call("DELETE", f"/v1/reservations/{held.json['reservation_id']}")
    assert (states(holder, concert)[5], states(other, concert)[5]) == ("available", "available")
    holder.hold(concert, 6, 7)
    assert [states(other, concert)[seat] for seat in (5, 6, 7)] == ["available", "held", "held"]
    assert holder.pay(concert, 6).status_code == 200
    assert [states(other, concert)[seat] for seat in (5, 6, 7)] == ["available", "sold", "sold"]


@pytest.mark.usefixtures("kept_for_ever")
def test_a_list_is_right_at_once_after_somebody_has_left_with_seats(sale: Sale) -> None:
    concert = sale.concert()
    leaving, other = sale.admitted_fan(concert), sale.admitted_fan(concert)
    leaving.hold(concert, 9)
    assert states(other, concert)[9] == "held"
    assert leaving.call("DELETE", "/v1/enqueues").status_code == 204
    assert states(other, concert)[9] == "available"


def test_a_change_whose_fact_is_lost_is_shown_within_half_a_second(sale: Sale) -> None:
    concert = sale.concert()
    fan, other = sale.admitted_fan(concert), sale.fan()
    hear(sale)
    assert states(fan, concert)[3] == "available"
    take(other, 3)
    taken_at = time.monotonic()
    while True:
        asked_at = time.monotonic()
        if states(fan, concert)[3] == "held":
            break
        assert asked_at - taken_at < 0.5


@pytest.mark.usefixtures("kept_for_ever")
def test_a_change_by_another_process_is_shown_as_soon_as_its_fact_arrives(
    sale: Sale, elsewhere: Sale
) -> None:
    concert = sale.concert()
    here = sale.admitted_fan(concert)
    there = Fan(elsewhere, here.user_id, here.user_token, here.queue_token)
    hear(sale)
    assert states(here, concert)[5] == "available"
    assert there.hold(concert, 5).status_code == 200
    wait_until(lambda: states(here, concert)[5] == "my held", what="the seat held elsewhere")


@pytest.mark.usefixtures("kept_for_ever")
def test_after_a_broken_subscription_everything_is_read_anew(sale: Sale) -> None:
    concert = sale.concert()
    fan, other = sale.admitted_fan(concert), sale.fan()
    hear(sale)
    states(fan, concert)
    take(other, 3)
    assert states(fan, concert)[3] == "available"
    assert redis().client_kill_filter(_type="pubsub")
    wait_until(lambda: states(fan, concert)[3] == "held", what="a reading after the loss")


@pytest.mark.usefixtures("kept_for_ever")
def test_a_hold_that_lapses_is_shown_as_available_at_once(sale: Sale) -> None:
    concert = sale.concert()
    fan, other = sale.admitted_fan(concert), sale.fan()
    hear(sale)
    take(other, 3, seconds=0.4)
    take(other, 4, seconds=300)
    part(SeatSnapshots).drop(1)
    while True:
        with connection() as link:
            row = link.execute(
                "SELECT held_until <= clock_timestamp() FROM seats WHERE seat_no = 3"
            )
            [lapsed] = row.fetchone() or ()
        shown = states(fan, concert)
        if lapsed:
            break
    assert (shown[3], shown[4]) == ("available", "held")


@pytest.mark.usefixtures("kept_for_ever")
def test_a_change_that_comes_while_the_seats_are_read_is_not_lost(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    concert = sale.concert()
    fan, other = sale.admitted_fan(concert), sale.admitted_fan(concert)
    hear(sale)
    read_now = snapshots._read_now

    def overtaken(missing: Any) -> Any:
        found = read_now(missing)
        monkeypatch.setattr(snapshots, "_read_now", read_now)
        assert other.hold(concert, 8).status_code == 200
        return found

    monkeypatch.setattr(snapshots, "_read_now", overtaken)
    assert states(fan, concert)[8] == "available"
    assert states(fan, concert)[8] == "held"


@pytest.mark.usefixtures("kept_for_ever")
def test_a_hundred_who_ask_at_once_wait_for_one_reading(
    sale: Sale, readings: list[list[int]]
) -> None:
    concert = sale.concert()
    fans = [sale.admitted_fan(concert) for _ in range(4)]
    hear(sale)
    readings.clear()
    ready = threading.Barrier(CROWD)

    def ask(number: int) -> str:
        ready.wait()
        return states(fans[number % len(fans)], concert)[1]

    with ThreadPoolExecutor(CROWD) as crowd:
        assert set(crowd.map(ask, range(CROWD))) == {"available"}
    assert readings == [[1]]


@pytest.mark.usefixtures("kept_for_ever")
def test_a_crowd_that_waits_while_a_seat_changes_is_served_by_one_more_reading(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    hear(sale)
    read_now, began, go_on = snapshots._read_now, threading.Event(), threading.Event()
    made = []

    def slow(missing: Any) -> Any:
        made.append(len(missing))
        found = read_now(missing)
        if len(made) == 1:
            began.set()
            assert go_on.wait(10)
        # A seat changes during each reading, so that none may be kept for whoever comes later.
        part(SeatSnapshots, sale.app).drop(1)
        return found

    waiting = []

    def budget_of_one_who_waits() -> Budget:
        waiting.append(1)
        return budget()

    monkeypatch.setattr(snapshots, "_read_now", slow)
    with ThreadPoolExecutor(20) as crowd:
        first = crowd.submit(states, fan, concert)
        assert began.wait(10)
        monkeypatch.setattr(snapshots, "budget", budget_of_one_who_waits)
        others = [crowd.submit(states, fan, concert) for _ in range(15)]
        wait_until(lambda: len(waiting) == 15, what="fifteen who wait")
        take(sale.fan(), 2)
        part(SeatSnapshots, sale.app).drop(1)
        go_on.set()
        assert first.result()[2] == "available"
        assert {one.result()[2] for one in others} == {"held"}
    assert made == [1, 1]


@pytest.mark.usefixtures("kept_for_ever")
def test_all_dates_are_read_in_one_statement(sale: Sale, readings: list[list[int]]) -> None:
    concert = sale.concert(dates=4, capacity=5)
    fan = sale.admitted_fan(concert)
    for date in (1, 2, 3, 4):
        hear(sale, date)
    seats_lately([2])
    readings.clear()
    shown = fan.seats(concert).json["dates"]
    assert [date["performance_id"] for date in shown] == [1, 2, 3, 4]
    assert readings == [[1, 3, 4]]


def test_a_look_costs_the_database_nothing_while_a_reading_is_good(
    sale: Sale, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "KEPT_SECONDS", FOR_EVER)
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    with temporary_directory() as directory:
        wire = Wire(settings.database_url, directory)
        app = create_app(settings.model_copy(update={"database_url": wire.url}))
        looking = Fan(Sale(app), fan.user_id, fan.user_token, fan.queue_token)
        with app.app_context():
            hear(Sale(app))
        states(looking, concert)
        with wire.counted() as found:
            for _ in range(20):
                states(looking, concert)
        part(SeatSnapshots, app).forget_all()
        part(Database, app).pool.close()
        wire.close()
    # What a concert is, and what seats cost, is looked up again now and then.
    assert found[0] <= 8


@settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    taken=st.dictionaries(
        st.integers(1, 12),
        st.tuples(st.integers(0, 5), st.sampled_from(["held", "paid", "lapsed"])),
    )
)
def test_everybody_sees_their_own_seats_as_theirs_and_nobody_else_s(
    sale: Sale, taken: dict[int, tuple[int, str]]
) -> None:
    with connection() as link:
        link.execute("TRUNCATE concerts CASCADE")
    sale.room(capacity=100_000, admit_per_minute=100_000)
    concert = sale.concert(capacity=12)
    with connection() as link:
        [date] = link.execute("SELECT max(id) FROM performances").fetchone() or ()
    sale.something_else()
    fans = [sale.admitted_fan(concert) for _ in range(7)]
    for seat, (owner, status) in taken.items():
        lapsed = status == "lapsed"
        kind = "held" if lapsed else status
        take(fans[owner], seat, seconds=-5 if lapsed else 300, status=kind, date=date)
    part(SeatSnapshots).forget_all()
    for number, fan in enumerate(fans):
        shown = states(fan, concert)
        mine = {
            seat
            for seat, (owner, status) in taken.items()
            if owner == number and status != "lapsed"
        }
        assert {seat for seat, state in shown.items() if state.startswith("my ")} == mine
        # The same as the database says to this person alone.
        letters = seat_letters(fan.user_id, [date])[date]
        assert seats_lately([date])[0].letters_for(fan.user_id) == letters


@pytest.mark.usefixtures("kept_for_ever")
def test_holding_does_not_trust_what_a_list_has_shown(sale: Sale) -> None:
    concert = sale.concert()
    fan, other = sale.admitted_fan(concert), sale.fan()
    hear(sale)
    states(fan, concert)
    take(other, 3)
    assert states(fan, concert)[3] == "available"
    refused = fan.hold(concert, 3)
    assert (refused.status_code, refused.json["code"]) == (409, "seat_taken")
    best = fan.call("POST", f"/v1/concerts/{concert}/reservations", json={"best": 4})
    assert 3 not in [seat["seat_no"] for seat in best.json["seats"]]


def test_only_so_many_dates_are_kept_and_heard(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MOST_KEPT", 3)
    concert = sale.concert(dates=6, capacity=5)
    fan = sale.admitted_fan(concert)
    for date in range(1, 7):
        assert fan.seats(concert, performance_id=date).status_code == 200
    assert len(part(SeatSnapshots)) == 3
    wait_until(lambda: _heard(range(1, 7)) == {4, 5, 6}, what="three subscriptions")
    assert len(fan.seats(concert).json["dates"]) == 6
    assert len(part(SeatSnapshots)) == 3


def test_facts_are_heard_only_while_somebody_looks(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    hear(sale)
    assert _heard([1]) == {1}
    monkeypatch.setattr(snapshots, "IDLE_SECONDS", 0.0)
    fan.hold(concert, 3)
    wait_until(lambda: not _heard([1]), what="the end of the subscription")
    assert len(part(SeatSnapshots)) == 0
    assert states(fan, concert)[3] == "my held"


def test_whoever_waits_for_a_reading_waits_no_longer_than_their_request_may(sale: Sale) -> None:
    concert = sale.concert()
    sale.admitted_fan(concert)
    seats_lately([1])
    kept = part(SeatSnapshots)._kept[1]
    kept.drop()
    began = time.monotonic()
    with kept.lock, within(0.05), pytest.raises(Unavailable):
        seats_lately([1])
    assert time.monotonic() - began < 5
    assert len(seats_lately([1])[0].letters) == 50


def _heard(performances: Any) -> set[int]:
    """The performances whose facts anybody hears."""
    channels = {performance_channel(number): number for number in performances}
    heard = redis().pubsub_numsub(*channels)
    return {channels[channel.decode()] for channel, count in heard if count}


def test_the_dates_say_how_many_seats_are_left_after_every_change(sale: Sale) -> None:
    concert = sale.concert(capacity=10, price=10)
    fan = sale.admitted_fan(concert, balance=100)
    path = f"/v1/concerts/{concert}/dates"

    def left() -> tuple[int, int, int]:
        [date] = fan.call("GET", path).json["dates"]
        return date["available"], date["held"], date["sold"]

    assert left() == (10, 0, 0)
    fan.hold(concert, 1, 2)
    assert left() == (8, 2, 0)
