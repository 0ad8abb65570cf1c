"""A seat function that a control may spoil."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from concert.factory import ConcertApp
from concert.ground.database import connection
from concert.payments.queries import PAY_RESERVATION, PAY_TOGETHER
from concert.reservations.queries import HOLD_SEATS, HOLD_TOGETHER, LOOK_TOGETHER
from concert.wallet.service import CHARGE_TOGETHER
from tests.races.sabotage import Sabotage


@pytest.fixture
def sabotage(app: ConcertApp) -> Iterator[Sabotage]:
    """Take guards away for one test."""
    with app.app_context():
        yield Sabotage()
        with connection() as link:
            link.execute(HOLD_SEATS)
            link.execute(PAY_RESERVATION)
            link.execute(HOLD_TOGETHER)
            link.execute(PAY_TOGETHER)
            link.execute(CHARGE_TOGETHER)
            link.execute(LOOK_TOGETHER)
