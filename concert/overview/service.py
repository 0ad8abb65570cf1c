"""What anybody may know of a waiting room: the line, and the seats behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from concert.ground.parts import part
from concert.overview.lately import LatelyRead
from concert.waiting_room.rooms import room_of, room_state
from concert.waiting_room.seats import SeatsBehind


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


def overview_of(slug: str) -> RoomOverview:
    """A room as it was within the last second.

    Raises:
        NotFound: there is no such room.
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    return part(LatelyRead).read(("room", slug), lambda: _read(slug))


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
