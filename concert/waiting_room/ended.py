"""Places that are over, as PostgreSQL remembers them: what Redis loses, this does not.

Joining and asking never come here. A place that ends is written down in batches by the tick, and
by whoever leaves at once; PostgreSQL is asked only about a place that Redis does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from concert.ground.database import array, connection
from concert.ground.redis_client import redis, unavailable_on_failure
from concert.waiting_room.keys import room_keys
from concert.waiting_room.scripts import SAVED, SETTLE
from concert.waiting_room.tokens import QueueToken

# What a tick does of one kind at the most; the next one goes on.
AT_ONCE, MOST_BATCHES = 500, 10

# Write down which places are over; of one user in one room the newest counts.
SAVE = """
INSERT INTO ended_places AS e (room_slug, user_id, sequence, status, ended_at)
SELECT %(room)s, o.user_id, o.sequence, o.status, to_timestamp(o.ended_ms / 1000.0)
FROM unnest(%(users)s::uuid[], %(sequences)s::bigint[], %(statuses)s::varchar[], %(moments)s::bigint[])
    AS o (user_id, sequence, status, ended_ms)
ORDER BY o.user_id
ON CONFLICT (room_slug, user_id) DO UPDATE
SET sequence = excluded.sequence, status = excluded.status, ended_at = excluded.ended_at
WHERE e.sequence < excluded.sequence"""

# What can be proven of a user's place in a room. The hold is asked of the tables, so that all
# is one statement; holds are made by the room above this one, and only for who was let in.
PROVE = """
SELECT r.admitted_before_loss, r.losses, e.sequence, e.status,
    (SELECT max(c.sequence) FROM completed_places c
     WHERE c.room_slug = r.slug AND c.user_id = %(user)s),
    (SELECT max(h.held_until) FROM reservations h
     JOIN performances p ON p.id = h.performance_id JOIN concerts k ON k.id = p.concert_id
     WHERE h.user_id = %(user)s AND k.room_slug = r.slug
       AND h.status = 'held' AND h.held_until > statement_timestamp())
FROM rooms r LEFT JOIN ended_places e ON e.room_slug = r.slug AND e.user_id = %(user)s
WHERE r.slug = %(room)s"""

# Payments whose place Redis has not been told of, the oldest first.
UNTOLD = """
SELECT room_slug, user_id, sequence FROM completed_places
WHERE told_at IS NULL ORDER BY completed_at LIMIT %s"""
TOLD = """
UPDATE completed_places c SET told_at = statement_timestamp()
FROM unnest(%s::varchar[], %s::uuid[], %s::bigint[]) AS t (room_slug, user_id, sequence)
WHERE c.room_slug = t.room_slug AND c.user_id = t.user_id AND c.sequence = t.sequence AND c.told_at IS NULL"""

# The places of a room that ended lately, the newest end of each user.
LATELY = """
SELECT user_id, status, sequence FROM ended_places
WHERE room_slug = %(room)s AND ended_at > statement_timestamp() - %(seconds)s * interval '1 second'
UNION ALL
SELECT user_id, 'completed', sequence FROM completed_places
WHERE room_slug = %(room)s AND completed_at > statement_timestamp() - %(seconds)s * interval '1 second'"""

FORGET = (
    """
DELETE FROM ended_places WHERE ctid IN (
    SELECT ctid FROM ended_places
    WHERE room_slug = %s AND ended_at < statement_timestamp() - %s * interval '1 second' LIMIT %s)""",
    """
DELETE FROM completed_places WHERE ctid IN (
    SELECT ctid FROM completed_places
    WHERE room_slug = %s AND completed_at < statement_timestamp() - %s * interval '1 second' LIMIT %s)""",
)
FORGOTTEN_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Ended:
    """A place that is over: how, with which number, and when (ms since 1970)."""

    user_id: UUID
    status: str
    sequence: int
    ended_ms: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What PostgreSQL knows of a place that Redis does not know.

    ``ended`` is the user's newest place that is over, where it is not older than this one.
    ``was_inside``: it had been let in before the last loss. ``held_until``: until when the
    user holds seats behind the room. The losses are those next to its number, 0 for none.
    """

    ended: tuple[str, int] | None
    was_inside: bool
    held_until: datetime | None
    loss_before: int
    loss_after: int


def proof_of(token: QueueToken) -> Proof:
    """What can be proven of a place.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    with connection() as link:
        row = link.execute(PROVE, {"room": token.room, "user": token.user_id}).fetchone()
    if row is None:  # a room that is no more
        return Proof(None, False, None, 0, 0)
    let_in, losses, ended, status, completed, held_until = row
    number = token.sequence
    over = max(("completed", completed or 0), (status, ended or 0), key=lambda one: one[1])
    return Proof(
        over if over[1] >= number else None,
        number <= let_in,
        held_until,
        max((loss for loss in losses if loss < number), default=0),
        min((loss for loss in losses if loss >= number), default=0),
    )


def save(room: str, places: Sequence[Ended]) -> None:
    """Write down that places are over.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    with connection() as link:
        link.execute(
            SAVE,
            {
                "room": room,
                "users": [place.user_id for place in places],
                "sequences": array(place.sequence for place in places),
                "statuses": [place.status for place in places],
                "moments": array(place.ended_ms for place in places),
            },
        )


def save_unsaved(room: str) -> int:
    """Write down the places that ended since the last time; returns how many.

    Redis keeps each until PostgreSQL has it, so that nothing is lost where either fails.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    keys, saved = room_keys(room), 0
    cursor: Any = 0
    for _ in range(MOST_BATCHES):
        with unavailable_on_failure():
            found: dict[bytes, bytes]
            cursor, found = redis().hscan(keys.unsaved, cursor, count=AT_ONCE)  # type: ignore[assignment]  # redis-py allows for text
        if found:
            save(room, [_ended(user, told) for user, told in found.items()])
            told = [part for pair in found.items() for part in pair]
            saved += SAVED.run(keys, told)
        if not cursor:
            break
    return saved


def settle_paid() -> int:
    """Complete every place whose payment Redis has not been told of; returns how many there were.

    The payment does so itself; this finishes what a crash or an absent Redis has cut off.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    settled = 0
    for _ in range(MOST_BATCHES):
        with connection() as link:
            rows = link.execute(UNTOLD, (AT_ONCE,)).fetchall()
        if rows:
            _settle((room, user, "completed", sequence) for room, user, sequence in rows)
            rooms, users, sequences = zip(*rows, strict=True)
            with connection() as link:
                link.execute(TOLD, (list(rooms), list(users), array(sequences)))
        settled += len(rows)
        if len(rows) < AT_ONCE:
            break
    return settled


def settle_lately_ended(room: str, seconds: int) -> int:
    """Tell Redis again which places of a room ended in the last ``seconds``; returns how many.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    with connection() as link:
        rows = link.execute(LATELY, {"room": room, "seconds": seconds}).fetchall()
    for start in range(0, len(rows), AT_ONCE):
        _settle((room, *row) for row in rows[start : start + AT_ONCE])
    return len(rows)


def forget(room: str, older_than_seconds: int) -> int:
    """Drop the places of a room that ended longer ago than that; returns how many.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    forgotten = 0
    for statement in FORGET:
        dropped = FORGOTTEN_AT_ONCE
        while dropped == FORGOTTEN_AT_ONCE:
            with connection() as link:
                asked = (room, older_than_seconds, FORGOTTEN_AT_ONCE)
                dropped = link.execute(statement, asked).rowcount
            forgotten += dropped
    return forgotten


def now_ms() -> int:
    """The moment, for a place that ends now."""
    return int(datetime.now(UTC).timestamp() * 1000)


def _settle(places: Iterable[tuple[str, UUID, str, int]]) -> None:
    SETTLE.load()
    with unavailable_on_failure():
        pipeline = redis().pipeline(transaction=False)
        for room, user_id, status, sequence in places:
            SETTLE.queue(pipeline, room_keys(room), (user_id.bytes, status, sequence))
        pipeline.execute()


def _ended(user: bytes, told: bytes) -> Ended:
    status, sequence, ended_ms, *_ = told.decode().split(":")
    return Ended(UUID(bytes=user), status, int(sequence), int(ended_ms))
