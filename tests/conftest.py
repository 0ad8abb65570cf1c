"""Fixtures for every test: real servers, one database and one Redis for each xdist worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import SharedPostgres, own_database, own_redis

POSTGRES = pytest.StashKey[SharedPostgres]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[POSTGRES] = SharedPostgres()


def pytest_unconfigure(config: pytest.Config) -> None:
    if POSTGRES in config.stash:
        config.stash[POSTGRES].stop()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Runs in the xdist controller before each worker starts: hand it the server's URL."""
    node.workerinput["postgres_url"] = node.config.stash[POSTGRES].url


@pytest.fixture(scope="session")
def worker_name(request: pytest.FixtureRequest) -> str:
    """The xdist worker's name, ``main`` without xdist."""
    workerinput = getattr(request.config, "workerinput", None)
    return str(workerinput["workerid"]) if workerinput else "main"


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest, worker_name: str) -> Iterator[str]:
    """A PostgreSQL database of this worker's own, empty at the start."""
    workerinput = getattr(request.config, "workerinput", None)
    server = workerinput["postgres_url"] if workerinput else request.config.stash[POSTGRES].url
    with own_database(server, worker_name) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(worker_name: str) -> Iterator[str]:
    """A Redis of this worker's own, empty at the start."""
    with own_redis(worker_name) as url:
        yield url
