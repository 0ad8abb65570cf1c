"""What happens by itself: any tick may come late, twice, or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from rq import Queue, cron
from rq.job import Job
from structlog.testing import capture_logs

from concert.ground import idempotency
from concert.ground.database import connection, upkeep_connection
from concert.ground.redis_client import redis
from concert.ground.sale_health import TICKED_AT
from concert.ground.settings import Settings
from concert.jobs import cron as cron_table
from concert.jobs import ticks, upkeep
from concert.jobs.worker import Worker
from concert.waiting_room.keys import room_keys
from tests.sale import Sale
from tests.waiting import wait_until

INTERVALS = {
    "admit_everywhere": 1,
    "release_expired_holds": 1,
    "close_ended": 10,
    "refund_cancelled": 1,
    "clean_idempotency_keys": 3600,
    "forget_ended_places": 3600,
    "forget_old_samples": 3600,
    "reconcile": None,
}


def break_down() -> None:
    """A job with a fault."""
    raise RuntimeError("no such luck")


def say_something() -> None:
    """A job that logs."""
    ticks.log.error("said")


@pytest.fixture
def worker(sale: Sale, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker on this test's servers, as `rq worker` would make it."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("CONCERT_SECRET_KEYS", "a key that signs nothing in particular")
    monkeypatch.setenv("CONCERT_LOG_FORMAT", "json")
    monkeypatch.setenv("CONCERT_LOG_LEVEL", "error")
    return Worker(["ticks", "upkeep"], connection=redis())


@pytest.fixture
def facts(sale: Sale) -> Iterator[Any]:
    """Reads what was told since, on every channel: (channel, kind, fact)."""
    listener = redis().pubsub()
    listener.psubscribe("*")
    assert (
        wait_until(lambda: listener.get_message(timeout=1), what="subscribed")["type"]
        == "psubscribe"
    )

    def read() -> list[tuple[str, str, Any]]:
        redis().publish("end", b"end")
        found = []
        while True:
            message = wait_until(lambda: listener.get_message(timeout=1), what="a fact")
            if message["channel"] == b"end":
                return found
            told = json.loads(message["data"])
            found.append((message["channel"].decode(), told["type"], told["data"]))

    yield read
    listener.close()


def held_rows() -> int:
    with connection() as link:
        row = link.execute("SELECT count(*) FROM seats WHERE held_until IS NOT NULL").fetchone()
    assert row is not None
    return int(row[0])


def test_the_cron_table_registers_what_happens_by_itself(sale: Sale) -> None:
    scheduler = cron.CronScheduler(connection=redis())
    scheduler.load_config_from_file("concert.jobs.cron")
    registered = {job.func.__name__: job for job in scheduler.get_jobs()}
    assert {name: job.interval for name, job in registered.items()} == INTERVALS
    assert registered["reconcile"].cron is not None
    for name, job in registered.items():
        if (job.interval or 3600) <= 10:
            assert job.job_options["ttl"] <= 10, name


def test_a_tick_that_comes_twice_lets_nobody_else_in(sale: Sale) -> None:
    sale.room(capacity=2, admit_per_minute=1000, paused=True)
    line = [sale.fan() for _ in range(5)]
    for fan in line:
        fan.join()
    sale.room(paused=False)
    for _ in range(4):
        ticks.admit_everywhere()
    statuses = [fan.place().json["status"] for fan in line]
    assert statuses == ["admitted"] * 2 + ["waiting"] * 3


def test_a_tick_that_comes_late_lets_in_who_should_have_been_in_order(sale: Sale) -> None:
    sale.room(capacity=1, entry_seconds=10)
    line = [sale.fan() for _ in range(3)]
    for fan in line:
        fan.join()
    sale.let_time_pass(1000)
    ticks.admit_everywhere()
    assert [fan.place().json["status"] for fan in line] == ["expired", "admitted", "waiting"]


def test_one_rooms_failure_does_not_stop_the_rooms_after_it_and_the_tick_is_not_noted(
    sale: Sale,
) -> None:
    sale.room("aisle", paused=True)
    sale.room(paused=True)
    concert = sale.concert(room="aisle")
    fan, stuck = sale.fan(), sale.fan()
    fan.join()
    stuck.join(concert)
    sale.room(paused=False)
    broken = room_keys("aisle").admitted
    redis().set(broken, "not what belongs here")
    with capture_logs() as logs:
        ticks.admit_everywhere()
    failed = [(line["event"], line["room"]) for line in logs if line["log_level"] == "error"]
    assert failed == [("tick_failed", "aisle")]
    assert fan.place().json["status"] == "admitted"
    assert redis().get(TICKED_AT) is None
    redis().delete(broken)
    ticks.admit_everywhere()
    assert redis().get(TICKED_AT) is not None


def test_a_tick_makes_good_a_setting_that_redis_has_missed(sale: Sale) -> None:
    sale.room(capacity=5)
    with connection() as link:
        link.execute("UPDATE rooms SET capacity = 1, version = version + 1")
    ticks.admit_everywhere()
    fans = [sale.fan() for _ in range(2)]
    assert [fan.join().json["status"] for fan in fans] == ["admitted", "waiting"]


def test_lapsed_holds_are_tidied_once_and_living_ones_left(sale: Sale, facts: Any) -> None:
    concert = sale.concert()
    sale.admitted_fan(concert).hold(concert, 1, 2)
    sale.let_time_pass(200)
    living = sale.admitted_fan(concert)
    living.hold(concert, 3)
    sale.let_time_pass(101)
    facts()
    ticks.release_expired_holds()
    assert [fact[1:] for fact in facts()] == [
        ("seats", {"seats": [1, 2], "state": "available", "holder": None})
    ]
    ticks.release_expired_holds()
    assert facts() == []
    assert held_rows() == 1
    assert living.call("GET", "/v1/reservations").json["reservations"][0]["status"] == "held"


def test_the_live_pages_are_told_of_holds_releases_expiry_and_payments(
    sale: Sale, facts: Any
) -> None:
    concert = sale.concert(price=0)
    performance = sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["performance_id"]
    fan = sale.admitted_fan(concert)
    facts()
    reservation = fan.hold(concert, 5, 4).json["reservation_id"]
    fan.call("DELETE", f"/v1/reservations/{reservation}")
    fan.hold(concert, 6)
    fan.pay(concert, 6)
    leaving = sale.admitted_fan(concert)
    leaving.hold(concert, 7)
    leaving.call("DELETE", "/v1/enqueues")
    told = [fact for fact in facts() if fact[1] == "seats"]
    assert {channel for channel, _, _ in told} == {f"performance:{performance}"}
    assert [(fact["seats"], fact["state"]) for _, _, fact in told] == [
        ([4, 5], "held"),
        ([4, 5], "available"),
        ([6], "held"),
        ([6], "sold"),
        ([7], "held"),
        ([7], "available"),
    ]


def test_a_hold_that_fails_or_is_repeated_is_told_to_nobody(sale: Sale, facts: Any) -> None:
    concert = sale.concert()
    fan, other = sale.admitted_fan(concert), sale.admitted_fan(concert)
    fan.hold(concert, 5, headers={"Idempotency-Key": "one"})
    facts()
    assert other.hold(concert, 5).status_code == 409
    fan.hold(concert, 5)
    fan.hold(concert, 5, headers={"Idempotency-Key": "one"})
    assert facts() == []


def test_the_end_of_a_sale_is_told(sale: Sale, facts: Any) -> None:
    closes = (datetime.now().astimezone() + timedelta(minutes=1)).isoformat()
    sale.concert(sales_close_at=closes)
    facts()
    ticks.close_ended()
    assert facts() == []
    sale.let_time_pass(61)
    ticks.close_ended()
    assert [kind for _, kind, _ in facts()] == ["closed"]
    sale.let_time_pass(60)
    ticks.close_ended()
    assert facts() == []


def test_letting_people_in_is_told(sale: Sale, facts: Any) -> None:
    sale.room(paused=True)
    sale.fan().join()
    sale.room(paused=False)
    facts()
    ticks.admit_everywhere()
    assert facts() == [("rooms", "moved", {"room": "main", "admitted": 1})]
    ticks.admit_everywhere()
    assert facts() == []


def test_a_place_whose_completion_a_crash_cut_off_is_completed_by_the_next_tick(sale: Sale) -> None:
    concert = sale.concert(price=0)
    fan = sale.admitted_fan(concert)
    place = redis().hgetall(room_keys("main").sequences)
    fan.hold(concert, 1)
    fan.pay(concert, 1)
    keys = room_keys("main")
    (user, sequence) = next(iter(place.items()))
    redis().hdel(keys.ended, user)
    redis().hset(keys.sequences, user, sequence)
    redis().zadd(keys.admitted, {user: int(time.time() * 1000) + 60_000})
    assert fan.place().json["status"] == "admitted"
    for _ in range(2):
        ticks.admit_everywhere()
        assert fan.place().json["code"] == "token_expired"


def reconciled(worker: Worker) -> tuple[dict[str, int], list[str]]:
    """What a whole reconciliation has found, and the errors that it logged."""
    kept = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("info"))
    try:
        with capture_logs() as logs:
            upkeep.reconcile()
            worker.work(burst=True)
    finally:
        structlog.configure(wrapper_class=kept)
    (result,) = [line for line in logs if line["event"] == "reconciled"]
    found = {"wallets": result["differing_wallets"], "seats": result["differing_seats"]}
    return found, [line["event"] for line in logs if line["log_level"] == "error"]


def test_reconciling_an_honest_house_finds_nothing(sale: Sale, worker: Worker) -> None:
    concert = sale.concert(price=10)
    fan = sale.admitted_fan(concert, balance=100)
    fan.hold(concert, 1, 2)
    fan.pay(concert, 1)
    assert reconciled(worker) == ({"wallets": 0, "seats": 0}, [])


def test_reconciling_goes_through_every_wallet_and_performance_in_batches(
    sale: Sale, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "WALLETS_AT_ONCE", 2)
    for _ in range(3):
        concert = sale.concert(price=10, dates=2)
        fan = sale.admitted_fan(concert, balance=100)
        date = sale.call("GET", f"/v1/concerts/{concert}").json["dates"][1]["date"]
        fan.hold(concert, 1, date=date)
        assert fan.pay(concert, 1, date=date).status_code == 200
        sale.admitted_fan(concert, balance=100)
    with connection() as link:
        link.execute("UPDATE wallets SET balance = balance + 1")
        link.execute("UPDATE seats SET sold_at = NULL")
    found, errors = reconciled(worker)
    assert found == {"wallets": 6, "seats": 3}
    # A ticket that is good has no seat then.
    errors = [error for error in errors if error != "money_differs"]
    assert sorted(errors) == ["seat_differs"] * 3 + ["wallet_differs"] * 6


@pytest.mark.parametrize(
    ("tampering", "found", "event"),
    [
        ("UPDATE wallets SET balance = balance + 1", {"wallets": 1, "seats": 0}, "wallet_differs"),
        (
            "UPDATE wallet_entries SET amount = amount - 1 WHERE kind = 'charge'",
            {"wallets": 1, "seats": 0},
            "wallet_differs",
        ),
        (
            "UPDATE seats SET sold_at = NULL WHERE seat_no = 1",
            {"wallets": 0, "seats": 1},
            "seat_differs",
        ),
        (
            "UPDATE seats SET sold_at = now() WHERE seat_no = 3",
            {"wallets": 0, "seats": 1},
            "seat_differs",
        ),
        (
            "UPDATE seats SET reservation_id = gen_random_uuid() WHERE seat_no = 3",
            {"wallets": 0, "seats": 1},
            "seat_differs",
        ),
        (
            (
                "UPDATE seats SET reservation_id = (SELECT reservation_id FROM seats WHERE seat_no = 1),"
                " held_until = now() WHERE seat_no = 4"
            ),
            {"wallets": 0, "seats": 1},
            "seat_differs",
        ),
        (
            (
                "INSERT INTO reservations SELECT gen_random_uuid(), user_id, performance_id - 1, seat_nos,"
                " prices, amount, status, created_at, held_until FROM reservations WHERE status = 'held'"
            ),
            {"wallets": 0, "seats": 1},
            "seat_differs",
        ),
        (
            (
                "INSERT INTO reservations SELECT gen_random_uuid(), user_id, performance_id + 1, seat_nos,"
                " prices, amount, status, created_at, held_until FROM reservations WHERE status = 'held'"
            ),
            {"wallets": 0, "seats": 1},
            "seat_differs",
        ),
    ],
)
def test_reconciling_reports_what_was_tampered_with(
    sale: Sale, worker: Worker, tampering: str, found: dict[str, int], event: str
) -> None:
    # A number before the performance's is nobody's, as after it.
    sale.concert()
    with connection() as link:
        link.execute("DELETE FROM seats; DELETE FROM performances")
    concert = sale.concert(price=10)
    fan = sale.admitted_fan(concert, balance=100)
    fan.hold(concert, 1, 2)
    fan.pay(concert, 1)
    sale.admitted_fan(concert).hold(concert, 3)
    with connection() as link:
        link.execute(tampering.encode())
    counted, errors = reconciled(worker)
    assert (counted, [error for error in errors if error != "money_differs"]) == (found, [event])


def test_old_idempotency_keys_are_dropped_in_batches_and_new_ones_stay(
    sale: Sale, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "KEYS_AT_ONCE", 2)
    fan = sale.fan()
    for number in range(6):
        fan.charge(10, headers={"Idempotency-Key": f"key-{number}"})
    with connection() as link:
        link.execute(
            "UPDATE idempotency_keys SET created_at = now() - %s * interval '1 hour' WHERE key < 'key-5'",
            (idempotency.KEPT_HOURS + 1,),
        )
    upkeep.clean_idempotency_keys()
    assert kept_keys() == 4  # a batch, and the rest when the worker comes to it
    worker.work(burst=True)
    assert kept_keys() == 1


def kept_keys() -> int:
    with connection() as link:
        row = link.execute("SELECT count(*) FROM idempotency_keys").fetchone()
    assert row is not None
    return int(row[0])


def test_a_batch_of_upkeep_has_a_time_limit_of_its_own(sale: Sale) -> None:
    with upkeep_connection() as link:
        limits = link.execute(
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
        ).fetchone()
    assert limits == ("5s", "1s")
    with connection() as link:
        row = link.execute("SHOW statement_timeout").fetchone()
    assert row != ("5s",)
    assert cron_table.UPKEEP["job_timeout"] <= 30
    assert cron_table.UPKEEP["queue_name"] != cron_table.TICKS["queue_name"]


def test_a_tick_comes_before_the_next_batch_where_one_worker_does_everything(
    sale: Sale, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(
        upkeep, "differing_wallets", lambda *_: (tick(), done.append("batch"), [])[2]
    )
    monkeypatch.setattr(ticks, "note_tick", lambda: done.append("tick"))

    def tick() -> None:
        Queue("ticks", connection=redis()).enqueue(ticks.admit_everywhere, result_ttl=0, ttl=5)

    monkeypatch.setattr(upkeep, "WALLETS_AT_ONCE", 1)
    for _ in range(3):
        sale.fan().charge(10)
    upkeep.reconcile()
    worker.work(burst=True)
    assert done == ["batch", "tick"] * 4 or done == ["batch", "tick"] * 3


def test_what_redis_remembers_of_ended_places_is_forgotten_with_their_tokens(
    sale: Sale, settings: Settings, worker: Worker
) -> None:
    fan = sale.fan()
    fan.join()
    fan.call("DELETE", "/v1/enqueues")
    ended = room_keys("main").ended
    ((user, value),) = redis().hgetall(ended).items()
    status, sequence, at = value.decode().split(":")

    def ended_hours_ago(hours: int) -> None:
        redis().hset(ended, user, f"{status}:{sequence}:{int(at) - hours * 3_600_000}")

    ended_hours_ago(settings.queue_token_hours)
    upkeep.forget_ended_places_of("main")
    assert redis().hlen(ended) == 1
    ended_hours_ago(settings.queue_token_hours + 2)
    upkeep.forget_ended_places()
    worker.work(burst=True)
    assert redis().hlen(ended) == 0


def test_a_worker_runs_a_tick_and_leaves_nothing_behind(sale: Sale, worker: Worker) -> None:
    sale.room(paused=True)
    fan = sale.fan()
    fan.join()
    sale.room(paused=False)
    job = Queue("ticks", connection=redis()).enqueue(ticks.admit_everywhere, result_ttl=0, ttl=5)
    worker.work(burst=True)
    assert fan.place().json["status"] == "admitted"
    assert redis().get(TICKED_AT) is not None
    assert not Job.exists(job.id, connection=redis())


def test_ticks_do_not_pile_up_while_the_workers_are_away(sale: Sale, worker: Worker) -> None:
    queue = Queue("ticks", connection=redis())
    options = {key: value for key, value in cron_table.TICKS.items() if key != "queue_name"}
    for _ in range(20):
        queue.enqueue(ticks.admit_everywhere, **options)
    for job_id in queue.get_job_ids():
        assert 0 < redis().ttl(Job.key_for(job_id)) <= 10
        redis().pexpire(Job.key_for(job_id), 1)  # as time would
    wait_until(lambda: not any(Job.exists(one, connection=redis()) for one in queue.get_job_ids()))
    worker.work(burst=True)
    assert redis().get(TICKED_AT) is None
    assert queue.count == 0


def test_a_failing_job_is_logged_and_the_next_tick_works(sale: Sale, worker: Worker) -> None:
    queue = Queue("ticks", connection=redis())
    queue.enqueue(break_down, failure_ttl=60)
    queue.enqueue(ticks.admit_everywhere)
    with capture_logs() as logs:
        worker.work(burst=True)
    failed = [line for line in logs if line["event"] == "job_failed"]
    assert [line["error"] for line in failed] == ["RuntimeError: no such luck"]
    assert failed[0]["job"].endswith("break_down")
    assert redis().get(TICKED_AT) is not None


def test_the_id_of_a_request_goes_through_its_job(
    sale: Sale, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    from structlog.contextvars import merge_contextvars

    queue = Queue("ticks", connection=redis())
    queue.enqueue(say_something, meta={"request_id": "request-12345"})
    of_its_own = queue.enqueue(say_something)
    with capture_logs(processors=[merge_contextvars]) as logs:
        worker.work(burst=True)
    said = [line["request_id"] for line in logs if line["event"] == "said"]
    assert said == ["request-12345", of_its_own.id]
