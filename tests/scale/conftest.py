"""The service behind what it needs on several machines, with an app and a crew of its own there."""

from __future__ import annotations

from collections.abc import Iterator

import flask_migrate
import pytest

from concert.factory import ConcertApp, create_app
from concert.ground.bouncer import directly, give_options_to_role
from concert.ground.database import Database, connection
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.local.bouncer import EmbeddedBouncer, pgbouncer
from concert.payments.queries import PAY_RESERVATION
from concert.reservations.queries import HOLD_SEATS
from tests.races.crew import Crew
from tests.races.sabotage import Sabotage
from tests.sale import Sale, empty_everything
from tests.servers import own_database, own_redis, temporary_directory


@pytest.fixture(scope="module")
def bouncer(database_url: str) -> Iterator[EmbeddedBouncer]:
    """PgBouncer in transaction mode in front of a database of its own."""
    if pgbouncer() is None:
        pytest.skip("PgBouncer is not installed (apt-get install pgbouncer)")
    with (
        own_database(database_url, "bounced") as behind,
        temporary_directory() as directory,
        EmbeddedBouncer(directory / "b", behind, connections=12) as bouncer,
    ):
        yield bouncer


@pytest.fixture(scope="module")
def bounced_settings(
    settings: Settings, bouncer: EmbeddedBouncer, worker_name: str
) -> Iterator[Settings]:
    """The settings of a service behind the bouncer."""
    with own_redis(worker_name) as redis_url:
        yield settings.model_copy(
            update={
                "database_url": bouncer.url,
                "migration_database_url": bouncer.url_behind,
                "redis_url": redis_url,
                "session_options": "role",
                "prepared_statements": False,
            }
        )


@pytest.fixture(scope="module")
def app(bounced_settings: Settings) -> Iterator[ConcertApp]:
    """An app behind the bouncer, migrated past it."""
    with create_app(directly(bounced_settings)).app_context():
        flask_migrate.upgrade()
        give_options_to_role(bounced_settings)
        part(Database).pool.close()
    app = create_app(bounced_settings)
    with app.app_context(), connection() as link:
        link.execute(HOLD_SEATS)
        link.execute(PAY_RESERVATION)
    yield app
    part(Database, app).pool.close()


@pytest.fixture(scope="module")
def crew(bounced_settings: Settings, app: ConcertApp) -> Iterator[Crew]:
    """Three processes behind the bouncer, with more connections than it has of PostgreSQL."""
    crew = Crew(bounced_settings.model_copy(update={"database_pool_size": 16}), processes=3)
    yield crew
    crew.stop()


@pytest.fixture
def sale(app: ConcertApp) -> Iterator[Sale]:
    """An empty service behind the bouncer."""
    empty_everything(app)
    with app.app_context():
        yield Sale(app)


@pytest.fixture
def sabotage(app: ConcertApp) -> Iterator[Sabotage]:
    """Take guards away for one test."""
    with app.app_context():
        yield Sabotage()
        with connection() as link:
            link.execute(HOLD_SEATS)
            link.execute(PAY_RESERVATION)
