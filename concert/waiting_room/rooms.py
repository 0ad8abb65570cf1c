"""Rooms: their settings in PostgreSQL, and the mirror of them in Redis."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from concert.ground.database import connection
from concert.ground.errors import BadRequest, NotFound, Unavailable
from concert.ground.redis_client import redis, unavailable_on_failure
from concert.waiting_room.keys import room_keys
from concert.waiting_room.models import LONGEST_SLUG
from concert.waiting_room.scripts import MIRROR

log = structlog.get_logger()

# After Redis has lost a room, nobody is let in for this long: everybody who was in
# line asks again within it (MOST_POLL_SECONDS), and is put back in order.
RECOVERY_SECONDS = 40

COLUMNS = "slug, capacity, admit_per_minute, entry_seconds, visit_seconds, opens_at, paused, version, epoch"
READ = f"SELECT {COLUMNS} FROM rooms WHERE slug = %s"
LIST = f"SELECT {COLUMNS} FROM rooms ORDER BY slug"
CREATE = f"INSERT INTO rooms (slug) VALUES (%s) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
CHANGE = f"""
UPDATE rooms SET
    capacity = %(capacity)s, admit_per_minute = %(admit_per_minute)s, entry_seconds = %(entry_seconds)s,
    visit_seconds = %(visit_seconds)s, opens_at = %(opens_at)s, paused = %(paused)s, version = version + 1
WHERE slug = %(slug)s RETURNING {COLUMNS}"""
LOCK = f"{READ} FOR UPDATE"
BUILD_UP = "UPDATE rooms SET epoch = epoch + 1 WHERE slug = %s"

LIMITS = {
    "capacity": (1, 1_000_000),
    "admit_per_minute": (1, 1_000_000),
    "entry_seconds": (1, 86_400),
    "visit_seconds": (1, 86_400),
}


@dataclass(frozen=True, slots=True)
class Room:
    """A room's settings: people, people a minute, seconds, and when it opens (None: it is open)."""

    slug: str
    capacity: int
    admit_per_minute: int
    entry_seconds: int
    visit_seconds: int
    opens_at: datetime | None
    paused: bool
    version: int
    epoch: int


@dataclass(frozen=True, slots=True)
class RoomState:
    """How many are in a room now, and how many have been, since Redis knows it."""

    waiting: int
    inside: int
    joined: int
    admitted: int
    expired: int
    completed: int
    left: int


def room_of(slug: str) -> Room:
    """A room's settings.

    Raises:
        NotFound: there is no such room.
    """
    with connection() as link:
        row = link.execute(READ, (slug,)).fetchone()
    if row is None:
        raise NotFound("There is no such room.")
    return Room(*row)


def list_rooms() -> list[Room]:
    """All rooms, by name."""
    with connection() as link:
        return [Room(*row) for row in link.execute(LIST).fetchall()]


def create_room(slug: str, changes: Mapping[str, Any]) -> tuple[Room, bool]:
    """Make a room, or change the one that is there; says whether it was made.

    Raises:
        BadRequest: the name or a setting is out of range.
    """
    if len(slug) > LONGEST_SLUG or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug):
        raise BadRequest(f"A room's name has 1 to {LONGEST_SLUG} of a-z, 0-9 and - between them.")
    _check(changes)
    with connection() as link:
        made = link.execute(CREATE, (slug,)).fetchone() is not None
    return change_room(slug, changes), made


def change_room(slug: str, changes: Mapping[str, Any]) -> Room:
    """Change some of a room's settings; every instance acts on them at once.

    Raises:
        BadRequest: a setting is unknown or out of range.
        NotFound: there is no such room.
    """
    _check(changes)
    with connection() as link, link.transaction():
        row = link.execute(LOCK, (slug,)).fetchone()
        if row is None:
            raise NotFound("There is no such room.")
        changed = link.execute(CHANGE, {**asdict(Room(*row)), **changes}).fetchone()
        assert changed is not None
    room = Room(*changed)
    try:
        mirror_room(room)
    except Unavailable:
        # The next tick mirrors every room again, as soon as Redis is back.
        log.warning("room_not_mirrored", room=slug)
    return room


def mirror_room(room: Room) -> None:
    """Write a room's settings to Redis, and note where Redis did not know the room.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    with unavailable_on_failure():
        known = redis().exists(room_keys(room.slug)[5])
    if not known:
        build_up(room.slug)
        return
    _mirror(room, recovery_seconds=0)


def build_up(slug: str) -> None:
    """Make Redis know a room that it does not know; after a loss, nobody is let in for a while.

    Raises:
        NotFound: there is no such room.
    """
    # The row stays locked until Redis knows the room, so that of many instances that miss it
    # at once the first builds it up, and those after it do not take that for a loss.
    with connection() as link, link.transaction():
        row = link.execute(LOCK, (slug,)).fetchone()
        if row is None:
            raise NotFound("There is no such room.")
        with unavailable_on_failure():
            if redis().exists(room_keys(slug)[5]):
                return
        link.execute(BUILD_UP, (slug,))
        room = Room(*row)
        lost = room.epoch > 0
        if lost:
            log.warning("room_rebuilt", room=slug, recovery_seconds=RECOVERY_SECONDS)
        _mirror(room, recovery_seconds=RECOVERY_SECONDS if lost else 0)


def room_state(slug: str) -> RoomState:
    """How many are in a room now.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    keys = room_keys(slug)
    counters = ("joined", "admitted", "expired", "completed", "left")
    with unavailable_on_failure():
        pipeline = redis().pipeline(transaction=False)
        pipeline.zcard(keys[0])
        pipeline.zcount(keys[1], f"({datetime.now(UTC).timestamp() * 1000:.0f}", "+inf")
        pipeline.hmget(keys[6], *counters)
        waiting, inside, counts = pipeline.execute()
    return RoomState(waiting, inside, *(int(count or 0) for count in counts))


def _mirror(room: Room, *, recovery_seconds: int) -> None:
    opens_at = int(room.opens_at.timestamp() * 1000) if room.opens_at else 0
    settings = (
        room.capacity,
        room.admit_per_minute,
        room.entry_seconds * 1000,
        room.visit_seconds * 1000,
    )
    MIRROR.run(
        room_keys(room.slug),
        (*settings, opens_at, int(room.paused), room.version, recovery_seconds * 1000),
    )


def _check(changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        if name in LIMITS:
            lowest, highest = LIMITS[name]
            if not isinstance(value, int) or not lowest <= value <= highest:
                raise BadRequest(f"{name} is a whole number, {lowest} to {highest}.")
        elif name == "opens_at":
            if value is not None and (value.tzinfo is None or not 2000 <= value.year <= 2200):
                raise BadRequest("opens_at needs an offset and a year between 2000 and 2200.")
        elif name != "paused":
            raise BadRequest(f"A room has no setting {name!r}.")
