"""What an instance of the service does in a storm on a waiting room."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from concert.factory import ConcertApp
from concert.jobs import ticks
from concert.waiting_room import service
from tests.races.crew import Step, ask


def joining(room: str, user_ids: Sequence[UUID]) -> Step:
    """Join with one user after the other; returns their sequence numbers."""
    return partial(_join, room=room, user_ids=list(user_ids))


def admitting(room: str, times: int) -> Step:
    """Do what the clock does, so many times; returns how many were let in."""
    return partial(_admit, room=room, times=times)


def _join(app: ConcertApp, room: str, user_ids: Sequence[UUID]) -> list[int]:
    return [service.join(room, user_id).token.sequence for user_id in user_ids]


def _admit(app: ConcertApp, room: str, times: int) -> int:
    return sum(service.admit(room).admitted for _ in range(times))


def ticking(times: int) -> Step:
    """Do all that the clock does every second, so many times."""
    return partial(_tick, times=times)


def visiting(concert: int, users: Sequence[tuple[UUID, str]], luck: int) -> Step:
    """Join with each user (id and token); whoever is let in holds a seat, and may give it back or leave."""
    return partial(_visit, concert=concert, users=list(users), luck=luck)


def _tick(app: ConcertApp, times: int) -> None:
    for _ in range(times):
        ticks.admit_everywhere()


def _visit(app: ConcertApp, concert: int, users: Sequence[tuple[UUID, str]], luck: int) -> int:
    chance, held = random.Random(luck), 0
    satisfied: set[str] = set()
    places = [(service.join("main", user_id).token.encoded(), user) for user_id, user in users]
    for queue, user in places * 3:
        if user in satisfied:
            continue  # Who has a seat would take one more from those who have none.
        seat = chance.randint(1, 20)
        answer = ask(app, "POST", f"/v1/concerts/{concert}/seats/{seat}/reservations", queue, {})
        if answer.status != 200:
            continue
        held += 1
        if chance.random() < 0.5:
            ask(app, "DELETE", f"/v1/reservations/{answer.json['reservation_id']}", user)
        else:
            satisfied.add(user)
        if chance.random() < 0.3:
            ask(app, "DELETE", "/v1/enqueues", queue)
    return held
