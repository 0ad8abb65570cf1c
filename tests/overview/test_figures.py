"""Figures: what fans do, how the line and the seats stand, and what is told where a part is down."""

from __future__ import annotations

import time

import pytest
from rq import Queue

from concert.factory import create_app
from concert.ground.fanout import Fanout
from concert.ground.limits import Limits
from concert.ground.metrics import Figures
from concert.ground.parts import keep, part
from concert.ground.redis_client import redis
from concert.ground.sale_health import note_tick
from concert.ground.settings import Settings
from concert.jobs.ticks import release_expired_holds
from concert.overview import figures
from tests.overview.conftest import Watched, told_in
from tests.sale import Sale
from tests.waiting import wait_until


def test_a_hold_a_payment_and_a_charge_are_counted(watched: Watched) -> None:
    concert = watched.concert(price=10)
    fan = watched.admitted_fan(concert, balance=25)
    assert fan.hold(concert, 3).status_code == 200
    assert fan.pay(concert, 3).status_code in (200, 201)
    told = watched.figures()
    for event in ("charged", "held", "paid", "completed"):
        assert told["concert_events_total", (("event", event),)] == 1
    assert told["concert_won_total", (("event", "charged"),)] == 25
    assert told["concert_won_total", (("event", "paid"),)] == 10


def test_what_came_to_nothing_is_counted_by_its_reason(watched: Watched) -> None:
    concert = watched.concert(price=10)
    first, second = (watched.admitted_fan(concert) for _ in range(2))
    first.hold(concert, 3)
    assert second.hold(concert, 3).status_code == 409
    assert first.pay(concert, 3).status_code == 402
    told = watched.figures()
    lost = "concert_refusals_total"
    assert told[lost, (("operation", "hold"), ("reason", "seat_taken"))] == 1
    assert told[lost, (("operation", "pay"), ("reason", "insufficient_balance"))] == 1
    assert told["concert_events_total", (("event", "held"),)] == 1


def test_a_repeat_counts_as_a_repeat_and_not_as_another_hold(watched: Watched) -> None:
    concert = watched.concert()
    fan = watched.admitted_fan(concert)
    for _ in range(3):
        assert fan.hold(concert, 3, headers={"Idempotency-Key": "one"}).status_code == 200
    told = watched.figures()
    assert told["concert_repeats_total", ()] == 2
    assert told["concert_events_total", (("event", "held"),)] == 1


def test_requests_of_both_doors_are_counted_by_their_rule_and_never_by_their_path(
    watched: Watched,
) -> None:
    concert = watched.concert()
    fan = watched.admitted_fan(concert)
    for _ in range(2):
        assert fan.seats(concert).status_code == 200  # the express door
    assert fan.call_as_user("GET", "/v1/charges").status_code == 200
    client = watched.app.test_client()
    for number in range(5):
        client.get(f"/v1/nothing/{number}")
        client.open("/healthz", method=f"MADE{number}")
    told = watched.figures()
    counts = {labels: value for (name, labels), value in told.items() if name.endswith("s_count")}
    by = {tuple(value for _, value in labels): count for labels, count in counts.items()}
    assert by["GET", "/v1/concerts/<concert_id>/seats", "2xx"] == 2
    assert by["GET", "/v1/charges", "2xx"] == 1
    assert by["GET", "none", "4xx"] == 5
    assert by["other", "none", "4xx"] == 5
    assert not any("nothing" in route or "MADE" in method for method, route, _ in by)


def test_the_seconds_of_a_request_fall_into_their_buckets(watched: Watched) -> None:
    counted = part(Figures, watched.app)
    for seconds in (0.004, 0.3, 2.9):
        counted.request("GET", "/v1/x", 200, seconds)
    told = watched.figures()
    found = [
        (dict(labels)["le"], value)
        for (name, labels), value in told.items()
        if name == "concert_request_seconds_bucket" and ("route", "/v1/x") in labels
    ]
    assert found == [
        *(("0.005", 1.0), ("0.01", 1.0), ("0.025", 1.0), ("0.05", 1.0), ("0.1", 1.0)),
        *(("0.25", 1.0), ("0.5", 2.0), ("1.0", 2.0), ("2.0", 2.0), ("3.0", 3.0), ("+Inf", 3.0)),
    ]


def test_the_line_and_what_became_of_it_are_told_by_room(watched: Watched) -> None:
    watched.room(capacity=1, admit_per_minute=60)
    concert = watched.concert()
    watched.admitted_fan(concert)
    for _ in range(2):
        watched.fan().join(concert)
    # Those who have lined up an hour ago have a number of an hour ago.
    told = watched.figures()
    main = (("room", "main"),)
    assert told["concert_room_waiting", main] == 2
    assert told["concert_room_inside", main] == told["concert_room_capacity", main] == 1
    assert told["concert_room_admit_per_minute", main] == 60
    assert told["concert_room_open", main] == 1
    assert 0 < told["concert_room_front_seconds", main] < 60
    became = {
        dict(labels)["became"]: value
        for (name, labels), value in told.items()
        if name == "concert_room_places_total"
    }
    assert became == {"joined": 3, "admitted": 1, "completed": 0, "expired": 0, "left": 0}
    watched.room(paused=True)
    assert watched.figure("concert_room_open", room="main") == 0


def test_the_seats_on_sale_are_told_by_state_and_no_others(watched: Watched) -> None:
    concert = watched.concert(capacity=10, price=0)
    watched.concert(sales_open_at="2030-01-01T00:00:00Z")
    fan = watched.admitted_fan(concert)
    fan.hold(concert, 1)
    fan.pay(concert, 1)
    watched.admitted_fan(concert).hold(concert, 2)
    told = watched.figures()
    seats = {labels: value for (name, labels), value in told.items() if name == "concert_seats"}
    on_sale = (("performance", "1"), ("room", "main"))
    assert seats == {
        (*on_sale, ("state", "free")): 8,
        (*on_sale, ("state", "held")): 1,
        (*on_sale, ("state", "sold")): 1,
    }


def test_only_so_many_performances_are_told_of(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.concert(dates=3)
    monkeypatch.setattr(figures, "MOST_PERFORMANCES", 2)
    told = watched.figures()
    assert len({labels for name, labels in told if name == "concert_seats"}) == 2 * 3


def test_a_hold_that_lapses_is_counted_for_all_processes(watched: Watched) -> None:
    concert = watched.concert()
    watched.admitted_fan(concert).hold(concert, 1)
    assert watched.figure("concert_lapsed_holds_total") == 0
    watched.let_time_pass(400)
    release_expired_holds()
    assert watched.figure("concert_lapsed_holds_total") == 1


def test_a_clock_that_stands_still_is_told_in_seconds(watched: Watched) -> None:
    assert watched.figure("concert_tick_silence_seconds", part="worker") == float("inf")
    note_tick()
    silence = watched.figure("concert_tick_silence_seconds", part="worker")
    assert silence is not None and silence < 10


def test_jobs_that_wait_and_that_failed_are_told_by_queue(watched: Watched) -> None:
    queue = Queue("ticks", connection=redis())
    job = queue.enqueue("time.time")
    queue.enqueue("time.time")
    redis().hset(f"rq:job:{job.id}", "enqueued_at", "2026-01-01T00:00:00.000000Z")
    redis().zadd("rq:failed:ticks", {"somebody's": 1})
    told = watched.figures()
    assert told["concert_jobs_queued", (("queue", "ticks"),)] == 2
    assert told["concert_jobs_queued", (("queue", "upkeep"),)] == 0
    assert told["concert_jobs_oldest_seconds", (("queue", "ticks"),)] > 86_400
    assert told["concert_jobs_failed", (("queue", "ticks"),)] == 1


def test_redis_says_how_much_memory_it_has_and_whether_it_can_save(watched: Watched) -> None:
    told = watched.figures()
    assert told["concert_redis_memory_bytes", (("kind", "used"),)] > 100_000
    assert told["concert_redis_memory_bytes", (("kind", "most"),)] == 0
    assert told["concert_redis_saves", (("kind", "aof"),)] == 1
    assert told["concert_redis_saves", (("kind", "rdb"),)] == 1
    assert told["concert_redis_delayed_fsyncs_total", ()] == 0


def test_the_pool_and_the_parts_of_this_process_are_told(
    watched: Watched, settings: Settings
) -> None:
    watched.concert()
    told = watched.figures()
    assert told["concert_pool_connections", (("state", "open"),)] >= 1
    assert told["concert_pool_most", ()] == settings.database_pool_size
    assert told["concert_part_silent", (("part", "redis"),)] == 0
    assert told["concert_live_viewers", (("kind", "seats"),)] == 0


def test_a_process_shows_how_it_stands_though_nobody_asks_it(
    watched: Watched, settings: Settings
) -> None:
    shown = part(Figures, watched.app)
    most = f"concert_pool_most {settings.database_pool_size}.0"
    assert most not in shown.told("", ())[0].decode()
    figures.show_process(watched.app)
    wait_until(lambda: most in shown.told("", ())[0].decode(), what="it is shown")


def test_what_others_count_is_caught_up_with_and_never_counted_twice(watched: Watched) -> None:
    limits, fanout = part(Limits, watched.app), part(Fanout, watched.app)
    limits.refused["holds"] = 2
    fanout.resyncs = 5
    for _ in range(2):
        assert watched.figure("concert_limited_total", what="holds") == 2
        assert watched.figure("concert_resyncs_total") == 5
    limits.refused["holds"] += 1
    assert watched.figure("concert_limited_total", what="holds") == 3


def test_a_refusal_by_a_limit_is_counted_by_kind(sale: Sale, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"metrics": True, "charges_per_minute": 1}))
    with app.app_context():
        watched = Watched(app)
        fan = watched.fan(balance=1)
        assert fan.charge(1).status_code == 429
        assert watched.figure("concert_limited_total", what="charges") == 1


def test_without_redis_the_rest_is_told_within_two_seconds(
    watched: Watched, settings: Settings
) -> None:
    watched.concert()
    app = create_app(
        settings.model_copy(update={"metrics": True, "redis_url": "redis://127.0.0.1:1/0"})
    )
    began = time.monotonic()
    told = told_in(app.test_client().get("/metrics").text)
    assert time.monotonic() - began < 2.5
    assert told["concert_up", (("part", "redis"),)] == 0
    assert told["concert_up", (("part", "postgresql"),)] == 1
    assert told["concert_seats", (("performance", "1"), ("room", "main"), ("state", "free"))] == 50
    assert not any(name == "concert_room_waiting" for name, _ in told)


def test_without_postgresql_the_rest_is_told(watched: Watched, settings: Settings) -> None:
    app = create_app(
        settings.model_copy(
            update={"metrics": True, "database_url": "postgresql://concert@127.0.0.1:1/none"}
        )
    )
    told = told_in(app.test_client().get("/metrics").text)
    assert told["concert_up", (("part", "redis"),)] == 1
    assert told["concert_up", (("part", "postgresql"),)] == 0
    assert told["concert_redis_memory_bytes", (("kind", "used"),)] > 0
    assert not any(name == "concert_seats" for name, _ in told)


def test_where_postgresql_goes_away_later_the_lines_are_told_all_the_same(
    watched: Watched, settings: Settings
) -> None:
    known = part(figures.Readings, watched.app)
    watched.figures()
    app = create_app(
        settings.model_copy(
            update={"metrics": True, "database_url": "postgresql://concert@127.0.0.1:1/none"}
        )
    )
    keep(app, figures.Readings(rooms=known.rooms))
    told = told_in(app.test_client().get("/metrics").text)
    assert told["concert_room_waiting", (("room", "main"),)] == 0


def test_what_all_share_is_read_once_a_second_at_the_most(watched: Watched) -> None:
    client = watched.app.test_client()
    readings = part(figures.Readings, watched.app)
    client.get("/metrics")
    first = readings.found
    readings.until = time.monotonic() + 3600
    watched.room("another")
    client.get("/metrics")
    assert readings.found is first
    readings.until = 0.0
    client.get("/metrics")
    assert readings.found is not first
