"""The real service as processes, on servers of its own that a test may freeze."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
from tests.servers import NewCluster, temporary_directory

SMALL_THREADS = 16


@dataclass
class Service:
    """A running sale, and the servers that it stands on."""

    sale: HttpSale
    address: str
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis


@pytest.fixture(scope="package")
def small_service(settings: Settings, new_cluster: NewCluster) -> Iterator[Service]:
    """Web with one process of few threads, worker and clock; each test leaves it well."""
    with running(settings, new_cluster, web_workers=1, web_threads=SMALL_THREADS) as service:
        yield service


@contextmanager
def running(settings: Settings, new_cluster: NewCluster, **more: Any) -> Iterator[Service]:
    """The service on a PostgreSQL and a Redis of its own."""
    with ExitStack() as held:
        directory = held.enter_context(temporary_directory())
        new_cluster.put_into(directory / "p")
        postgres = held.enter_context(EmbeddedPostgres(directory / "p", fast=True))
        redis = held.enter_context(EmbeddedRedis(directory / "r", fast=True))
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
