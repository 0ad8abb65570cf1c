"""The deployed service, started once for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from concert.local.launch import has_ended
from tests.deploy.stack import Stack
from tests.servers import own_database, own_redis, temporary_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a short name."""
    with temporary_directory() as made:
        yield made


@pytest.fixture(scope="module")
def stack(database_url: str, worker_name: str) -> Iterator[Stack]:
    """Proxy, two webs, live, worker and clock on servers of their own."""
    with (
        own_database(database_url, "deploy") as database,
        own_redis(worker_name) as redis,
        temporary_directory() as directory,
    ):
        started = Stack(directory, database, redis)
        try:
            started.run("migrate", ["concert", "migrate"], started.environment("migrate"))
            migrated = started.processes.pop("migrate")
            assert migrated.exit_code() == 0, migrated.text
            migrated.end()
            for name in ("web-1", "web-2", "live", "worker", "clock"):
                started.start(name)
            started.start_proxy()
            started.wait_until_ready()
            yield started
        finally:
            ran = started.sessions()
            started.stop()
        assert not {pid for pid in ran if not has_ended(pid)}
