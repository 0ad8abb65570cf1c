"""Health, and what happens while a part is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import flask_migrate
import pytest
from rq import cron_scheduler_registry

from concert.factory import ConcertApp, create_app
from concert.ground.database import Database, connection
from concert.ground.health import TICKED_AT, note_tick
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.local.servers import EmbeddedPostgres, EmbeddedRedis
from tests.sale import Sale, empty_everything
from tests.servers import temporary_directory
from tests.waiting import wait_until

DEAD_REDIS = "redis://127.0.0.1:9/0"
DEAD_POSTGRES = "postgresql://nobody@127.0.0.1:9/none"


def checks(app: ConcertApp) -> tuple[int, dict[str, Any]]:
    answer = app.test_client().get("/readyz")
    return answer.status_code, answer.json["checks"]


def clock_seen(seconds_ago: float) -> None:
    registry = cron_scheduler_registry.get_registry_key()
    redis().zadd(registry, {"the clock": time.time() - seconds_ago})


def test_a_process_is_alive_though_everything_else_is_away(settings: Settings) -> None:
    app = create_app(
        settings.model_copy(update={"redis_url": DEAD_REDIS, "database_url": DEAD_POSTGRES})
    )
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "alive"})
    status, found = checks(app)
    assert status == 503
    assert found["postgresql"] == found["redis"] == "cannot be reached"
    part(Database, app).pool.close()


def test_the_service_is_ready_when_every_part_is_there(sale: Sale) -> None:
    clock_seen(1)
    note_tick()
    answer = sale.app.test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json["status"] == "ready"
    assert set(answer.json["checks"].values()) == {"ok"}


def test_a_clock_and_a_worker_that_were_never_seen_are_named(sale: Sale) -> None:
    status, found = checks(sale.app)
    assert status == 503
    assert found == {
        "postgresql": "ok",
        "redis": "ok",
        "clock": "never seen",
        "worker": "never seen",
    }


def test_a_clock_and_a_worker_that_have_fallen_silent_are_named(sale: Sale) -> None:
    clock_seen(11)
    redis().set(TICKED_AT, time.time() - 11)
    status, found = checks(sale.app)
    assert status == 503
    assert found["clock"].startswith("not seen for 1")
    assert found["worker"].startswith("not seen for 1")


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
def private(settings: Settings) -> Iterator[tuple[Sale, EmbeddedPostgres, EmbeddedRedis]]:
    """A service on a PostgreSQL and a Redis of its own, which a test may stop."""
    with ExitStack() as held:
        directory = held.enter_context(temporary_directory())
        postgres = held.enter_context(EmbeddedPostgres(directory / "p"))
        own_redis = held.enter_context(EmbeddedRedis(directory / "r"))
        urls = {"database_url": postgres.url, "redis_url": own_redis.url}
        app = create_app(settings.model_copy(update=urls))
        with app.app_context():
            flask_migrate.upgrade()
            yield Sale(app), postgres, own_redis
        part(Database, app).pool.close()


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
