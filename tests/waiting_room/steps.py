"""What an instance of the service does in a storm on a waiting room."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from concert.factory import ConcertApp
from concert.waiting_room import service
from tests.races.crew import Step


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
