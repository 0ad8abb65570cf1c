"""Fixtures for every test: real servers, one database and one Redis for each xdist worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import pytest

from concert.factory import ConcertApp, create_app
from concert.ground.database import connection
from concert.ground.settings import Settings, load_settings
from concert.payments.queries import PAY_RESERVATION, PAY_TOGETHER
from concert.reservations.queries import HOLD_SEATS, HOLD_TOGETHER, LOOK_TOGETHER
from concert.wallet.service import CHARGE_TOGETHER
from tests.order import in_lanes
from tests.races.crew import Crew
from tests.sale import ORGANISER_KEY, Sale, empty_everything
from tests.servers import (
    ON_A_CLUSTER,
    NewCluster,
    SharedPostgres,
    own_cluster,
    own_database,
    own_redis,
)

POSTGRES = pytest.StashKey[SharedPostgres]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[POSTGRES] = SharedPostgres()


def pytest_unconfigure(config: pytest.Config) -> None:
    if POSTGRES in config.stash:
        config.stash[POSTGRES].stop()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put slow tests where they are begun early, where several workers share the tests."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        items[:] = in_lanes(items, workerinput["workercount"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Runs in the xdist controller before each worker starts: hand it what all workers share."""
    node.workerinput["postgres_url"] = node.config.stash[POSTGRES].url
    node.workerinput["directory"] = str(node.config.stash[POSTGRES].directory)


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
def new_cluster(request: pytest.FixtureRequest) -> NewCluster:
    """For tests that need a PostgreSQL of their own: its files, as they are when it is new."""
    workerinput = getattr(request.config, "workerinput", None)
    shared = workerinput["directory"] if workerinput else request.config.stash[POSTGRES].directory
    return NewCluster(Path(shared) / "new")


@pytest.fixture(scope="session")
def redis_url(worker_name: str) -> Iterator[str]:
    """A Redis of this worker's own, empty at the start; a cluster of three, where that is asked for."""
    with own_cluster() if ON_A_CLUSTER else own_redis(worker_name) as url:
        yield url


@pytest.fixture(scope="session")
def jobs_redis_url(worker_name: str) -> Iterator[str]:
    """The Redis of the jobs, where it is another one; else nothing."""
    if not ON_A_CLUSTER:
        yield ""
        return
    with own_redis(worker_name) as url:
        yield url


@pytest.fixture(scope="session")
def settings(database_url: str, redis_url: str, jobs_redis_url: str) -> Settings:
    """The settings of this worker's app."""
    return load_settings(
        database_url=database_url,
        redis_url=redis_url,
        jobs_redis_url=jobs_redis_url,
        secret_keys=("the tests' own key, long enough to sign",),
        organiser_key=ORGANISER_KEY,
        new_users_per_minute=1_000_000,
        key_guesses_per_minute=1_000_000,
        charges_per_minute=1_000_000,
        holds_per_minute=1_000_000,
        stream_openings_per_minute=1_000_000,
        database_pool_size=40,
        log_format="json",
        log_level="error",
    )


@pytest.fixture(scope="session")
def app(settings: Settings) -> ConcertApp:
    """The app on this worker's servers, its database at the newest migration."""
    app = create_app(settings)
    app.config["TESTING"] = False
    with app.app_context():
        flask_migrate.upgrade()
        # The functions as the repository has them, so that a rule that is broken there is broken here;
        # that the migrations install these very texts is for tests/ground/test_migrations.py to see.
        with connection() as link:
            link.execute(HOLD_SEATS)
            link.execute(PAY_RESERVATION)
            link.execute(HOLD_TOGETHER)
            link.execute(PAY_TOGETHER)
            link.execute(CHARGE_TOGETHER)
            link.execute(LOOK_TOGETHER)
    return app


@pytest.fixture(scope="session")
def crew(settings: Settings, app: ConcertApp) -> Iterator[Crew]:
    """Four processes on this worker's servers; ``app`` has brought the database up to date."""
    crew = Crew(settings.model_copy(update={"database_pool_size": 16}), processes=4)
    yield crew
    crew.stop()


@pytest.fixture
def sale(app: ConcertApp) -> Iterator[Sale]:
    """An empty service, and the means to act in it as fans and as its organiser."""
    empty_everything(app)
    with app.app_context():
        yield Sale(app)
