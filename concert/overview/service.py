"""What anybody may know of a waiting room: the line, and the seats behind it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from flask import Flask

from concert.ground.database import connection
from concert.ground.parts import keep, part
from concert.waiting_room.rooms import room_of, room_state

SeatsState = Literal["open", "all_held", "sold_out", "ended"]

# Whoever asks within this time is told the same: a crowd must not count the seats of a hall.
REMEMBERED_SECONDS = 1.0

# The seats of every performance behind a room whose sale is open or to come, and whether
# there is any such performance, and any at all.
SEATS_BEHIND = """
SELECT count(s.*) FILTER (WHERE s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= statement_timestamp())),
    count(s.*) FILTER (WHERE s.sold_at IS NULL AND s.held_until > statement_timestamp()),
    count(s.*) FILTER (WHERE s.sold_at IS NOT NULL),
    count(DISTINCT p.id) > 0,
    EXISTS (SELECT 1 FROM performances q JOIN concerts d ON d.id = q.concert_id WHERE d.room_slug = %(room)s)
FROM concerts c JOIN performances p ON p.concert_id = c.id AND p.sales_close_at > statement_timestamp()
JOIN seats s ON s.performance_id = p.id WHERE c.room_slug = %(room)s"""


@dataclass(frozen=True, slots=True)
class SeatsBehind:
    """How many seats behind a room are free, held and sold; ``state`` says it in a word.

    ``open``: something is free; ``all_held``: nothing is, and something may come back;
    ``sold_out``: all is sold; ``ended``: no sale is open or to come.
    """

    free: int
    held: int
    sold: int
    state: SeatsState


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
    seats: SeatsBehind


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


def seats_behind(slug: str) -> SeatsBehind:
    """How many seats behind a room are free, held and sold now.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    with connection() as link:
        row = link.execute(SEATS_BEHIND, {"room": slug}).fetchone()
    assert row is not None
    free, held, sold, on_sale, any_sale = row
    if not on_sale:
        # In front of nothing yet there is nothing that could have ended.
        return SeatsBehind(free, held, sold, "ended" if any_sale else "open")
    return SeatsBehind(free, held, sold, "open" if free else "all_held" if held else "sold_out")


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
        seats=seats_behind(slug),
    )
