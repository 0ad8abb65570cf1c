"""The real service as processes, on servers of its own that a test may freeze."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import flask_migrate
import httpx
import pytest

from concert.factory import create_app
from concert.ground.database import Database
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.local.servers import EmbeddedPostgres, EmbeddedRedis
from tests.deploy.stack import free_port
from tests.e2e.house import House, HttpSale
from tests.servers import temporary_directory

SMALL_THREADS = 16


@dataclass
class Service:
    """A running sale, and the servers that it stands on."""

    sale: HttpSale
    address: str
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[Service]:
    """Web, worker and clock."""
    with running(settings) as service:
        yield service


@pytest.fixture(scope="module")
def small_service(settings: Settings) -> Iterator[Service]:
    """The same with one web process of few threads."""
    with running(settings, web_workers=1, web_threads=SMALL_THREADS) as service:
        yield service


@contextmanager
def running(settings: Settings, **more: Any) -> Iterator[Service]:
    """The service on a PostgreSQL and a Redis of its own."""
    with (
        temporary_directory() as directory,
        EmbeddedPostgres(directory / "p", fast=True) as postgres,
        EmbeddedRedis(directory / "r", fast=True) as redis,
    ):
        own = settings.model_copy(
            update={
                "database_url": postgres.url,
                "redis_url": redis.url,
                "port": free_port(),
                "database_pool_size": 12,
                "secret_keys": ("the key of the faults: long enough to sign with",),
                **more,
            }
        )
        app = create_app(own)
        with app.app_context():
            flask_migrate.upgrade()
        house = House(own)
        try:
            house.start()
            with httpx.Client(base_url=house.address, timeout=30) as client:
                yield Service(HttpSale(app, client=client), house.address, postgres, redis)
        finally:
            house.stop()
            part(Database, app).pool.close()
