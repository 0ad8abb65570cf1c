"""How sales stood before now: a row for each room and ten seconds, for the charts of a sale.

The tick writes them. A room in which nothing moves gets a row every five minutes, so that a quiet
month is a few thousand rows; between two rows everything stood as in the earlier one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from flask import Flask

from concert.ground.database import connection
from concert.ground.errors import Unavailable
from concert.ground.parts import keep, part
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import RoomState, room_state

log = structlog.get_logger()

EVERY_SECONDS = 10
QUIET_SECONDS = 300
KEPT_DAYS = 30
FORGOTTEN_AT_ONCE = 5000
# A chart has no more points than this, however long a time it shows.
MOST_POINTS = 360

# Of two clocks that tick at once the first one writes. What is as it was five minutes ago or less is
# not written again.
WRITE = """
WITH now AS MATERIALIZED (
    SELECT date_bin(%(every)s * interval '1 second', statement_timestamp(), 'epoch') AS at
)
INSERT INTO sale_samples (room_slug, at, waiting, inside, admitted, free, held, sold)
SELECT s.slug, now.at, s.waiting, s.inside, s.admitted, s.free, s.held, s.sold
FROM now, unnest(%(slugs)s::varchar[], %(waiting)s::int[], %(inside)s::int[], %(admitted)s::bigint[],
        %(free)s::int[], %(held)s::int[], %(sold)s::int[])
    AS s (slug, waiting, inside, admitted, free, held, sold)
LEFT JOIN LATERAL (
    SELECT * FROM sale_samples l WHERE l.room_slug = s.slug ORDER BY l.at DESC LIMIT 1
) last ON true
WHERE last.at IS NULL OR last.at <= now.at - %(quiet)s * interval '1 second'
   OR (last.waiting, last.inside, last.admitted, last.free, last.held, last.sold)
      IS DISTINCT FROM (s.waiting, s.inside, s.admitted, s.free, s.held, s.sold)
ON CONFLICT DO NOTHING"""

# The last row of each piece of time, and the last one before the time began, which still held then.
READ = """
SELECT * FROM (
    SELECT DISTINCT ON (date_bin(%(bin)s * interval '1 second', at, 'epoch'))
        at, waiting, inside, admitted, free, held, sold
    FROM sale_samples WHERE room_slug = %(slug)s AND at > coalesce((
        SELECT max(at) FROM sale_samples WHERE room_slug = %(slug)s AND at <= %(since)s), %(since)s
    ) - interval '1 microsecond'
    ORDER BY date_bin(%(bin)s * interval '1 second', at, 'epoch'), at DESC
) found ORDER BY at"""

FIRST = "SELECT min(at) FROM sale_samples WHERE room_slug = %s AND at > %s"

FORGET = """
WITH old AS MATERIALIZED (
    SELECT room_slug, at FROM sale_samples
    WHERE at < statement_timestamp() - %(days)s * interval '1 day' ORDER BY at LIMIT %(most)s
)
DELETE FROM sale_samples s USING old WHERE s.room_slug = old.room_slug AND s.at = old.at"""


class Point(NamedTuple):
    """A room and the seats behind it at one moment.

    ``at``: ms since 1970; ``per_minute``: people let in a minute since the point before, None where
    that is not known.
    """

    at: int
    waiting: int
    inside: int
    per_minute: float | None
    free: int
    held: int
    sold: int


@dataclass(slots=True)
class LastNoted:
    """In which ten seconds this process has noted samples last."""

    slot: int = -1


def init_samples(app: Flask) -> None:
    """Remember when this app has noted samples."""
    keep(app, LastNoted())


def note_samples(rooms: Sequence[Room]) -> None:
    """Write down how every room stands, once in ten seconds.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached; the next call tries again.
    """
    last, slot = part(LastNoted), int(time.time() // EVERY_SECONDS)
    if slot == last.slot or not rooms:
        return
    states = []
    for room in rooms:
        try:
            states.append((room.slug, room_state(room.slug)))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # whatever is wrong with this one, the others go on
            log.warning("sample_not_noted", room=room.slug, error=repr(error))
    with connection() as link:
        link.execute(WRITE, _written(states))
    last.slot = slot


def samples_of(slug: str, since: datetime, until: datetime) -> list[Point]:
    """How a room stood, the earliest first, in steps that leave ``MOST_POINTS`` at the most.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    step = max(EVERY_SECONDS, (until - since).total_seconds() / MOST_POINTS)
    with connection() as link:
        rows = link.execute(READ, {"slug": slug, "since": since, "bin": step}).fetchall()
    return _points(rows, step)


def first_sample(slug: str, since: datetime) -> datetime | None:
    """When the first thing is known of a room after ``since``.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    with connection() as link:
        row = link.execute(FIRST, (slug, since)).fetchone()
    return row[0] if row else None


def forget_old_samples(most: int = FORGOTTEN_AT_ONCE) -> int:
    """Drop samples that are older than anybody looks; returns how many were dropped."""
    with connection() as link:
        return link.execute(FORGET, {"days": KEPT_DAYS, "most": most}).rowcount


def _written(states: Sequence[tuple[str, RoomState]]) -> dict[str, Any]:
    seats = [state.seats for _, state in states]
    return {
        "every": EVERY_SECONDS,
        "quiet": QUIET_SECONDS,
        "slugs": [slug for slug, _ in states],
        "waiting": [state.waiting for _, state in states],
        "inside": [state.inside for _, state in states],
        "admitted": [state.admitted for _, state in states],
        "free": [one.free if one else 0 for one in seats],
        "held": [one.held if one else 0 for one in seats],
        "sold": [one.sold if one else 0 for one in seats],
    }


def _points(rows: Sequence[Sequence[Any]], step: float) -> list[Point]:
    points: list[Point] = []
    before: tuple[datetime, int] | None = None
    for at, waiting, inside, admitted, free, held, sold in rows:
        pace = None
        if before is not None:
            # Rows that say nothing new are left out, so whoever was let in came within the last step.
            seconds = min((at - before[0]) / timedelta(seconds=1), step)
            # After a loss Redis counts from 0.
            pace = round(max(0, admitted - before[1]) * 60 / max(seconds, 1.0), 1)
        before = (at, admitted)
        points.append(Point(round(at.timestamp() * 1000), waiting, inside, pace, free, held, sold))
    return points
