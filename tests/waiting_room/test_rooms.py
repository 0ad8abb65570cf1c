"""Changing a room: what is answered with 200 has taken effect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from concert.factory import create_app
from concert.ground.database import Database, connection
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.jobs import ticks
from concert.waiting_room import rooms
from concert.waiting_room.keys import room_keys
from tests.sale import Sale

SET_BACK = "UPDATE rooms SET version = 1, paused = false, capacity = 200 WHERE slug = 'main'"


@pytest.fixture
def set_back(sale: Sale) -> Sale:
    """PostgreSQL comes from a backup that is older than what Redis has."""
    for capacity in range(5, 15):
        sale.room(capacity=capacity)
    with connection() as link:
        link.execute(SET_BACK)
    return sale


def mirrored(name: str) -> bytes:
    found: bytes = redis().hget(room_keys("main").settings, name)
    return found


def test_a_change_takes_effect_where_redis_has_a_newer_version_than_postgresql(
    set_back: Sale,
) -> None:
    fan = set_back.fan()
    set_back.room(paused=True)
    assert fan.join().json["paused"] is True
    assert mirrored("capacity") == b"200"
    set_back.room(paused=False)
    assert fan.place().json["paused"] is False


def test_the_tick_makes_the_settings_of_a_restored_backup_the_newest(set_back: Sale) -> None:
    assert mirrored("capacity") == b"14"
    ticks.admit_everywhere()
    assert mirrored("capacity") == b"200"
    version = rooms.room_of("main").version
    assert int(mirrored("version")) == version
    ticks.admit_everywhere()
    assert rooms.room_of("main").version == version


def test_a_stale_reading_of_a_room_is_not_taken_for_a_restored_backup(sale: Sale) -> None:
    stale = rooms.room_of("main")
    newer = rooms.change_room("main", {"capacity": 5})
    assert rooms.mirror_room(stale).version == stale.version
    assert rooms.room_of("main").version == newer.version
    assert mirrored("capacity") == b"5"


@pytest.fixture
def without_redis(sale: Sale, settings: Settings) -> Iterator[Sale]:
    """An instance that cannot reach Redis."""
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    with app.app_context():
        yield Sale(app)
    part(Database, app).pool.close()


def test_a_change_without_redis_is_503_and_says_that_it_is_saved_and_the_next_tick_makes_it_so(
    sale: Sale, without_redis: Sale
) -> None:
    with sale.app.app_context():
        sale.room(paused=False)
    answer = without_redis.organise("PATCH", "/v1/rooms/main", json={"paused": True})
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert "is saved" in answer.json["detail"]
    assert int(answer.headers["Retry-After"]) >= 1
    with sale.app.app_context():
        assert mirrored("paused") == b"0"
        ticks.admit_everywhere()
        assert mirrored("paused") == b"1"
        assert sale.fan().join().json["paused"] is True
