"""The mirror of rooms in Redis: written when settings change, and built up again after a loss."""

from __future__ import annotations

from dataclasses import replace

import orjson
import structlog

from concert.ground.database import connection
from concert.ground.errors import NotFound
from concert.ground.redis_client import redis, unavailable_on_failure
from concert.waiting_room.keys import room_keys
from concert.waiting_room.records import COLUMNS, LOCK, Room
from concert.waiting_room.scripts import MIRROR, NUMBER
from concert.waiting_room.seats import count_seats_of, hand_in

log = structlog.get_logger()

# Numbers that may have been given since PostgreSQL was last told of one, a second before.
GIVEN_UNTOLD = 1_000_000
# Losses that are remembered for a room; a queue token has seldom lived through more than one.
MOST_LOSSES = 100

# Take a newer version than the one that Redis has; nothing where ours is as new, and was only read too early.
OVERTAKE = f"""
UPDATE rooms SET version = %(known)s + 1 WHERE slug = %(slug)s AND version < %(known)s RETURNING {COLUMNS}"""
BUILD_UP = "UPDATE rooms SET epoch = epoch + 1 WHERE slug = %s"
# Note a loss, and who had been let in before it. Again, it changes nothing.
NOTE_LOSS = """
UPDATE rooms SET
    losses = (losses || %(loss)s::bigint)[greatest(1, cardinality(losses) + 2 - %(most)s):],
    admitted_before_loss = admitted_sequence, last_sequence = greatest(last_sequence, %(loss)s)
WHERE slug = %(slug)s AND NOT losses @> ARRAY[%(loss)s::bigint]"""


def mirror_room(room: Room) -> Room:
    """Write a room's settings to Redis, and note where Redis did not know the room.

    Returns the room as it is then: where Redis had a newer version than PostgreSQL, as after
    PostgreSQL was set back to a backup, PostgreSQL's settings have become the newest.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    with unavailable_on_failure():
        known = redis().exists(room_keys(room.slug).settings)
    if not known:
        return build_up(room.slug)
    version = _mirror(room, loss=0)
    while version > room.version:
        with connection() as link:
            row = link.execute(OVERTAKE, {"slug": room.slug, "known": version}).fetchone()
        if row is None:
            break
        room = Room(*row)
        log.warning("room_version_overtaken", room=room.slug, version=room.version)
        version = _mirror(room, loss=0)
    return room


def build_up(slug: str) -> Room:
    """Make Redis know a room that it does not know; after a loss, nobody is let in for a while.

    Returns the room as it is then.

    Raises:
        NotFound: there is no such room.
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    # The row stays locked until Redis knows the room, so that of many instances that miss it
    # at once the first builds it up, and those after it do not take that for a loss.
    with connection() as link, link.transaction():
        row = link.execute(LOCK, (slug,)).fetchone()
        if row is None:
            raise NotFound("There is no such room.")
        room, loss = Room(*row), 0
        with unavailable_on_failure():
            if redis().exists(room_keys(slug).settings):
                return room
        link.execute(BUILD_UP, (slug,))
        if room.epoch > 0:
            loss = max(int(NUMBER.run(room_keys(slug), ())), room.last_sequence + GIVEN_UNTOLD)
            link.execute(NOTE_LOSS, {"slug": slug, "loss": loss, "most": MOST_LOSSES})
            log.warning("room_rebuilt", room=slug, recovery_seconds=room.recovery_seconds)
            room = replace(room, losses=[*room.losses, loss])
        # First the seats: whoever finds the room is let in by them.
        count = count_seats_of(slug, link)
        if count is not None:
            hand_in(slug, count)
        _mirror(room, loss=loss)
        return room


def note_loss(slug: str, loss: int) -> bool:
    """Write down that places with numbers up to ``loss`` may be missing in Redis; says whether that is new.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    with connection() as link:
        asked = {"slug": slug, "loss": loss, "most": MOST_LOSSES}
        return link.execute(NOTE_LOSS, asked).rowcount > 0


def _mirror(room: Room, *, loss: int) -> int:
    opens_at = int(room.opens_at.timestamp() * 1000) if room.opens_at else 0
    settings = (
        room.capacity,
        room.admit_per_minute,
        room.entry_seconds * 1000,
        room.visit_seconds * 1000,
    )
    version: int = MIRROR.run(
        room_keys(room.slug),
        (
            *settings,
            opens_at,
            int(room.paused),
            room.version,
            room.recovery_seconds * 1000,
            loss,
            orjson.dumps(room.message) if room.message else b"",
        ),
    )
    return version
