"""A Redis that comes back without the last moments, as after a crash of its host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from concert.factory import create_app
from concert.ground.database import Database
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.jobs import ticks
from concert.local.servers import EmbeddedRedis
from concert.waiting_room import rooms
from tests.sale import Fan, Sale, empty_everything
from tests.servers import temporary_directory


class Crashing:
    """A sale on a Redis of its own, whose log loses its end."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._directory = directory
        self._server = EmbeddedRedis(directory)
        self._server.start()
        self.url = self._server.url
        self.app = create_app(settings.model_copy(update={"redis_url": self.url}))
        self.sale = Sale(self.app)

    def log_size(self) -> int:
        """How long the log is; what comes after it is what a crash loses."""
        # Whoever is answered has been written to the log, if not to the disk.
        redis().ping()
        return self._log().stat().st_size

    def crash(self, size: int) -> None:
        """Redis stops, and comes back with the log as it was at this size."""
        self._server.stop()
        with self._log().open("r+b") as log:
            log.truncate(size)
        self._server = EmbeddedRedis(self._directory)
        self._server.start()
        assert self._server.url == self.url

    def stop(self) -> None:
        """End the server, and let go of the database."""
        self._server.stop()
        part(Database, self.app).pool.close()

    def _log(self) -> Path:
        return max(self._directory.rglob("*.aof"), key=lambda path: path.stat().st_mtime)


@pytest.fixture
def crashing(settings: Settings, sale: Sale) -> Iterator[Crashing]:
    with temporary_directory() as directory:
        own = Crashing(settings, directory / "r")
        try:
            empty_everything(own.app)
            with own.app.app_context():
                yield own
        finally:
            own.stop()


def test_nobody_passes_those_whose_places_a_crash_of_redis_has_lost(crashing: Crashing) -> None:
    sale = crashing.sale
    sale.room(capacity=1, admit_per_minute=1_000_000)
    inside, ahead = joined(sale), joined(sale)
    ticks.admit_everywhere()
    size = crashing.log_size()
    lost = joined(sale)

    crashing.crash(size)

    behind = joined(sale)
    sale.room(capacity=10)
    ticks.admit_everywhere()
    assert joined(sale).place().json["status"] == "waiting"
    line = [ahead, lost, behind]
    assert [fan.place().json["status"] for fan in line] == ["waiting"] * 3
    assert all(fan.place().json["resumes_at"] for fan in line)
    assert [fan.place().json["position"] for fan in line] == [1, 2, 3]
    assert inside.place().json["status"] == "admitted"

    sale.let_time_pass(rooms.room_of("main").recovery_seconds + 1)
    sale.room(capacity=3)
    ticks.admit_everywhere()
    assert [fan.place().json["status"] for fan in line] == ["admitted", "admitted", "waiting"]


def joined(sale: Sale) -> Fan:
    """Somebody who has just lined up."""
    fan = sale.fan()
    assert fan.join().status_code == 200
    return fan
