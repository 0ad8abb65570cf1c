"""What anybody may know of a waiting room: the line, and the seats behind it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

from flask import Flask

from concert.ground.parts import keep, part
from concert.waiting_room.rooms import room_of, room_state
from concert.waiting_room.seats import SeatsBehind

# Whoever asks within this time is told the same: a crowd must not read a room for each of its people.
REMEMBERED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RoomOverview:
    """A room as anybody may see it: people, people a minute, a number of a place, moments."""

    room: str
    waiting: int
    inside: int
    admissions_per_minute: float | None
    newest_admitted_sequence: int | None
    opens_at: datetime | None
    paused: bool
    resumes_at: datetime | None
    seats: SeatsBehind | None
    message: dict[str, str] | None


@dataclass(slots=True)
class RememberedOverviews:
    """What was read lately: until when it may be told, by room."""

    by_room: dict[str, tuple[float, RoomOverview]] = field(default_factory=dict)


def init_overview(app: Flask) -> None:
    """Remember the overviews of this app."""
    keep(app, RememberedOverviews())


def overview_of(slug: str) -> RoomOverview:
    """A room as it was within the last second.

    Raises:
        NotFound: there is no such room.
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    remembered = part(RememberedOverviews).by_room
    now = time.monotonic()
    found = remembered.get(slug)
    if found is None or found[0] < now:
        found = (now + REMEMBERED_SECONDS, _read(slug))
        remembered[slug] = found
    return found[1]


def _read(slug: str) -> RoomOverview:
    room = room_of(slug)
    state = room_state(slug)
    return RoomOverview(
        room=slug,
        waiting=state.waiting,
        inside=state.inside,
        admissions_per_minute=state.admissions_per_minute,
        newest_admitted_sequence=state.newest_admitted,
        opens_at=room.opens_at,
        paused=room.paused,
        resumes_at=state.resumes_at,
        seats=state.seats,
        message=room.message,
    )
