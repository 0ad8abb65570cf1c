"""Health, and what happens while a part is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import flask_migrate
import psycopg
import pytest
from rq.cron import CronScheduler

from concert.factory import ConcertApp, create_app
from concert.ground.database import Database, connection
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.sale_health import KEPT, note_tick
from concert.ground.settings import Settings
from concert.jobs import ticks
from concert.local.servers import EmbeddedPostgres, EmbeddedRedis
from tests.sale import Sale, empty_everything
from tests.servers import NewCluster, temporary_directory
from tests.waiting import wait_until

UNREACHABLE = "cannot be reached or takes no work"
DEAD_REDIS = "redis://127.0.0.1:9/0"
DEAD_POSTGRES = "postgresql://nobody@127.0.0.1:9/none"


def checks(app: ConcertApp, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
    answer = app.test_client().get(path)
    return answer.status_code, answer.json["checks"]


def clock_seen(seconds_ago: float) -> None:
    """What a tick of the clock leaves in Redis, as it is that long after."""
    key, kept = KEPT["clock"]
    redis().zadd(key, {"a job": 1})
    redis().pexpire(key, round((kept - seconds_ago) * 1000))


def worker_seen(seconds_ago: float) -> None:
    """The same for a worker."""
    note_tick()
    key, kept = KEPT["worker"]
    redis().pexpire(key, round((kept - seconds_ago) * 1000))


def test_a_process_is_alive_though_everything_else_is_away(settings: Settings) -> None:
    app = create_app(
        settings.model_copy(update={"redis_url": DEAD_REDIS, "database_url": DEAD_POSTGRES})
    )
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "alive"})
    status, found = checks(app)
    assert status == 503
    assert found["postgresql"] == found["redis"] == UNREACHABLE
    part(Database, app).pool.close()


def test_a_web_is_ready_though_the_clock_and_every_worker_are_dead(sale: Sale) -> None:
    answer = sale.app.test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ready", "checks": {"postgresql": "ok", "redis": "ok"}}


def test_the_sale_goes_on_while_the_clock_ticks_and_a_worker_works(sale: Sale) -> None:
    clock_seen(1)
    worker_seen(2)
    answer = sale.app.test_client().get("/healthz/sale")
    assert answer.status_code == 200
    assert answer.json["status"] == "goes on"
    assert answer.json["checks"] == {"clock": "ok", "worker": "ok"}
    clock, worker = (datetime.fromisoformat(answer.json["last_seen"][one]) for one in KEPT)
    assert timedelta(0) <= clock - worker <= timedelta(seconds=3)


def test_a_clock_and_a_worker_that_were_never_seen_are_named(sale: Sale) -> None:
    answer = sale.app.test_client().get("/healthz/sale")
    assert answer.status_code == 503
    assert answer.json == {
        "status": "stands still",
        "checks": {"clock": "never seen", "worker": "never seen"},
        "last_seen": {"clock": None, "worker": None},
    }


def test_a_worker_that_has_fallen_silent_is_named_with_its_last_tick(sale: Sale) -> None:
    clock_seen(1)
    worker_seen(42)
    answer = sale.app.test_client().get("/healthz/sale")
    assert answer.status_code == 503
    assert answer.json["checks"] == {"clock": "ok", "worker": "not seen for 42 s"}
    silence = datetime.now(UTC) - datetime.fromisoformat(answer.json["last_seen"]["worker"])
    assert 40 < silence.total_seconds() < 60


def test_hosts_whose_clocks_are_two_minutes_off_do_not_look_dead(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = CronScheduler(redis())
    job = scheduler.register(ticks.admit_everywhere, "ticks", interval=1)
    right = time.time
    for seconds_off in (-120, 120):
        with monkeypatch.context() as host:
            host.setattr(time, "time", lambda off=seconds_off: right() + off)
            job.enqueue(redis())
            note_tick()
        assert checks(sale.app, "/healthz/sale") == (200, {"clock": "ok", "worker": "ok"})
    with monkeypatch.context() as host:
        host.setattr(time, "time", lambda: right() + 120)
        assert checks(sale.app, "/healthz/sale") == (200, {"clock": "ok", "worker": "ok"})


def test_a_database_that_may_only_be_read_is_named(
    private: tuple[Sale, EmbeddedPostgres, EmbeddedRedis],
) -> None:
    sale, postgres, _ = private
    with read_only(postgres):
        status, found = checks(sale.app)
        assert (status, found) == (503, {"postgresql": UNREACHABLE, "redis": "ok"})
    wait_until(lambda: checks(sale.app)[0] == 200, what="it may be written again")


def test_a_redis_that_takes_no_writes_is_named(sale: Sale) -> None:
    redis().config_set("maxmemory", 1)
    try:
        assert checks(sale.app) == (503, {"postgresql": "ok", "redis": UNREACHABLE})
    finally:
        redis().config_set("maxmemory", 0)
    assert checks(sale.app)[0] == 200


def test_whoever_migrates_does_not_make_a_web_unready(sale: Sale) -> None:
    with connection() as link, link.transaction():
        link.execute("UPDATE alembic_version SET version_num = version_num")
        assert checks(sale.app)[0] == 200


def test_migrations_that_are_not_at_head_are_named(sale: Sale) -> None:
    with connection() as link:
        row = link.execute("SELECT version_num FROM alembic_version").fetchone()
        assert row is not None
        link.execute("UPDATE alembic_version SET version_num = '0000'")
    try:
        status, found = checks(sale.app)
    finally:
        with connection() as link:
            link.execute("UPDATE alembic_version SET version_num = %s", row)
    assert status == 503
    assert found["postgresql"] == "migrations at 0000, not at head"


@pytest.fixture(scope="module")
def private(
    settings: Settings, new_cluster: NewCluster
) -> Iterator[tuple[Sale, EmbeddedPostgres, EmbeddedRedis]]:
    """A service on a PostgreSQL and a Redis of its own, which a test may stop."""
    with ExitStack() as held:
        directory = held.enter_context(temporary_directory())
        new_cluster.put_into(directory / "p")
        postgres = held.enter_context(EmbeddedPostgres(directory / "p"))
        own_redis = held.enter_context(EmbeddedRedis(directory / "r"))
        urls = {"database_url": postgres.url, "redis_url": own_redis.url}
        app = create_app(settings.model_copy(update=urls))
        with app.app_context():
            flask_migrate.upgrade()
            yield Sale(app), postgres, own_redis
        part(Database, app).pool.close()


@contextmanager
def read_only(postgres: EmbeddedPostgres) -> Iterator[None]:
    """A server that takes no writes any more, on old connections and on new ones."""
    with psycopg.connect(postgres.url, autocommit=True) as link:
        link.execute("SET default_transaction_read_only = off")
        link.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        link.execute("SELECT pg_reload_conf()")
        wait_until(lambda: is_read_only(postgres), what="the server takes no writes")
        try:
            yield
        finally:
            link.execute("ALTER SYSTEM RESET default_transaction_read_only")
            link.execute("SELECT pg_reload_conf()")
            wait_until(lambda: not is_read_only(postgres), what="the server takes writes again")


def is_read_only(postgres: EmbeddedPostgres) -> bool:
    with psycopg.connect(postgres.url, autocommit=True) as link:
        row = link.execute("SHOW transaction_read_only").fetchone()
    return row == ("on",)


def unavailable(answer: Any) -> None:
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable"), answer.text
    assert answer.mimetype == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1


def test_without_redis_calls_are_503_and_nothing_is_half_done(
    private: tuple[Sale, EmbeddedPostgres, EmbeddedRedis],
) -> None:
    sale, _, own_redis = private
    empty_everything(sale.app)
    concert = sale.concert(price=10)
    fan = sale.admitted_fan(concert, balance=100)
    fan.hold(concert, 1)
    own_redis.stop()
    try:
        for refused in (
            fan.join(),
            fan.place(),
            fan.seats(concert),
            fan.hold(concert, 2),
            fan.hold(concert, 2, headers={"Idempotency-Key": "one"}),
            fan.pay(concert, 1),
        ):
            unavailable(refused)
        # What needs no line goes on.
        assert fan.charge(1).json["balance"] == 101
        assert sale.call("GET", "/v1/concerts").status_code == 200
        mine = fan.call_as_user("GET", "/v1/reservations").json["reservations"]
        assert [(one["seats"][0]["seat_no"], one["status"]) for one in mine] == [(1, "held")]
    finally:
        own_redis.start()
    wait_until(lambda: fan.place().status_code == 200, what="the line is back")
    assert fan.pay(concert, 1).status_code == 200
    assert fan.balance() == 91


def test_without_postgresql_calls_are_503_and_nothing_is_half_done(
    private: tuple[Sale, EmbeddedPostgres, EmbeddedRedis],
) -> None:
    sale, postgres, _ = private
    empty_everything(sale.app)
    concert = sale.concert(price=10)
    fan = sale.admitted_fan(concert, balance=100)
    fan.hold(concert, 1)
    ends = fan.place().json["admitted_until"]
    postgres.stop()
    try:
        unavailable(fan.hold(concert, 2))
        unavailable(fan.pay(concert, 1, headers={"Idempotency-Key": "one"}))
        unavailable(fan.charge(1))
        # Asking for the place needs Redis alone, and a failed hold has not lengthened the visit.
        assert fan.place().json["admitted_until"] == ends
    finally:
        postgres.start()
    wait_until(lambda: fan.charge(1).status_code == 200, seconds=20, what="PostgreSQL is back")
    paid = fan.pay(concert, 1, headers={"Idempotency-Key": "one"})
    assert (paid.status_code, paid.json["balance"]) == (200, 91)
