"""The crew, and a seat function that a control may spoil."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from concert.factory import ConcertApp
from concert.ground.database import connection
from concert.ground.settings import Settings
from concert.payments.queries import PAY_RESERVATION
from concert.reservations.queries import HOLD_SEATS
from tests.races.crew import Crew
from tests.races.sabotage import Sabotage


@pytest.fixture(scope="package")
def crew(settings: Settings, app: ConcertApp) -> Iterator[Crew]:
    """Processes on this worker's servers; ``app`` has brought the database to its newest migration."""
    crew = Crew(settings.model_copy(update={"database_pool_size": 16}), processes=3)
    yield crew
    crew.stop()


@pytest.fixture
def sabotage(app: ConcertApp) -> Iterator[Sabotage]:
    """Take guards away for one test."""
    with app.app_context():
        yield Sabotage()
        with connection() as link:
            link.execute(HOLD_SEATS)
            link.execute(PAY_RESERVATION)
