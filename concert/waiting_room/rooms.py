"""Rooms: their settings, which PostgreSQL keeps, and how many people are in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from concert.ground.audit import SYSTEM, Actor, record
from concert.ground.database import Connection, connection
from concert.ground.errors import BadRequest, ChangedMeanwhile, DomainError, NotFound, Unavailable
from concert.ground.redis_client import redis, unavailable_on_failure
from concert.waiting_room.keys import room_keys
from concert.waiting_room.mirror import build_up, mirror_room
from concert.waiting_room.models import LONGEST_SLUG
from concert.waiting_room.pace import per_second
from concert.waiting_room.records import COLUMNS, LIST, LOCK, READ, Room
from concert.waiting_room.seats import SeatsBehind, seats_known

log = structlog.get_logger()

CREATE = f"INSERT INTO rooms (slug) VALUES (%s) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
CHANGE = f"""
UPDATE rooms SET
    capacity = %(capacity)s, admit_per_minute = %(admit_per_minute)s, entry_seconds = %(entry_seconds)s,
    visit_seconds = %(visit_seconds)s, opens_at = %(opens_at)s, paused = %(paused)s,
    message = %(message)s::jsonb, version = version + 1
WHERE slug = %(slug)s RETURNING {COLUMNS}"""

LIMITS = {
    "capacity": (1, 1_000_000),
    "admit_per_minute": (1, 1_000_000),
    "entry_seconds": (1, 86_400),
    "visit_seconds": (1, 86_400),
}


LANGUAGES = {"ko", "en"}
LONGEST_MESSAGE = 500


class NotYetInEffect(Unavailable):
    """A change of a room is written down, and waits for Redis."""

    def __init__(self) -> None:
        super().__init__("The waiting room")
        DomainError.__init__(
            self,
            "The change is saved. It takes effect by itself as soon as the waiting room can be reached again.",
        )


@dataclass(frozen=True, slots=True)
class RoomState:
    """How many are in a room now, and how many have been, since Redis knows it.

    And the greatest number of a place that was let in, people let in a minute as measured, and
    when people are let in again after a loss; each None where there is none. ``seats`` is None
    where the room is in front of no date.
    """

    waiting: int
    inside: int
    joined: int
    admitted: int
    expired: int
    completed: int
    left: int
    newest_admitted: int | None
    admissions_per_minute: float | None
    resumes_at: datetime | None
    seats: SeatsBehind | None


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


def create_room(
    slug: str, changes: Mapping[str, Any], *, actor: Actor = SYSTEM, reason: str | None = None
) -> tuple[Room, bool]:
    """Make a room, or change the one that is there; says whether it was made.

    Raises:
        BadRequest: the name or a setting is out of range.
        NotYetInEffect: it is written down, and Redis cannot be reached.
    """
    if len(slug) > LONGEST_SLUG or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug):
        raise BadRequest(f"A room's name has 1 to {LONGEST_SLUG} of a-z, 0-9 and - between them.")
    _check(changes)
    with connection() as link, link.transaction():
        made = link.execute(CREATE, (slug,)).fetchone() is not None
        room = _changed(link, slug, changes, actor, reason, made=made)
    return _in_effect(room), made


def change_room(
    slug: str,
    changes: Mapping[str, Any],
    *,
    actor: Actor = SYSTEM,
    reason: str | None = None,
    version: int | None = None,
) -> Room:
    """Change some of a room's settings; every instance acts on them at once.

    Whoever has looked at the room before says which ``version`` of its settings they saw.

    Raises:
        BadRequest: a setting is unknown or out of range.
        NotFound: there is no such room.
        ChangedMeanwhile: somebody else has changed the room since that version.
        NotYetInEffect: the change is written down, and Redis cannot be reached.
    """
    _check(changes)
    with connection() as link, link.transaction():
        room = _changed(link, slug, changes, actor, reason, version=version)
    return _in_effect(room)


def room_state(slug: str) -> RoomState:
    """How many are in a room now, and the seats behind it.

    Raises:
        Unavailable: Redis cannot be reached; or PostgreSQL, where Redis does not know the room.
    """
    found = _read_state(slug)
    if found is None:
        build_up(slug)
        found = _read_state(slug)
    assert found is not None
    return found


def _read_state(slug: str) -> RoomState | None:
    """The same; None where Redis does not know the room."""
    keys = room_keys(slug)
    counters = ("joined", "admitted", "expired", "completed", "left")
    with unavailable_on_failure():
        pipeline = redis().pipeline(transaction=False)
        pipeline.zcard(keys.waiting)
        pipeline.zcount(keys.admitted, f"({datetime.now(UTC).timestamp() * 1000:.0f}", "+inf")
        pipeline.hmget(keys.state, *counters)
        pipeline.hmget(
            keys.state, "newest", "recovered_at", "pace", "pace_at", "pace_since", "seats"
        )
        pipeline.time()
        pipeline.exists(keys.settings)
        waiting, inside, counts, moments, time, is_known = pipeline.execute()
    if not is_known:
        return None
    newest, recovered_at, *paced, seats = moments
    now_ms = time[0] * 1000 + time[1] // 1000
    pace, pace_at, pace_since = (float(one or 0) for one in paced)
    known = seats_known(seats or b"")
    measured = per_second(pace, int(pace_at), int(pace_since), now_ms)
    resumes_ms = int(recovered_at or 0)
    joined, admitted, expired, completed, left = (int(count or 0) for count in counts)
    return RoomState(
        waiting=waiting,
        inside=inside,
        joined=joined,
        admitted=admitted,
        expired=expired,
        completed=completed,
        left=left,
        newest_admitted=int(newest) if newest else None,
        admissions_per_minute=None if measured is None else round(measured * 60, 1),
        resumes_at=datetime.fromtimestamp(resumes_ms / 1000, UTC) if resumes_ms > now_ms else None,
        seats=known.seats if known else None,
    )


def _changed(
    link: Connection,
    slug: str,
    changes: Mapping[str, Any],
    actor: Actor,
    reason: str | None,
    *,
    made: bool = False,
    version: int | None = None,
) -> Room:
    """Write the changes down, and the line of the audit log with them where they change anything."""
    row = link.execute(LOCK, (slug,)).fetchone()
    if row is None:
        raise NotFound("There is no such room.")
    room = Room(*row)
    if version is not None and room.version != version:
        raise ChangedMeanwhile("Somebody else has changed the room meanwhile.")
    wanted = {**asdict(room), **changes}
    wanted["message"] = orjson.dumps(wanted["message"]).decode() if wanted["message"] else None
    changed = link.execute(CHANGE, wanted).fetchone()
    assert changed is not None
    newer = Room(*changed)
    before, after = (None if made else _settings(room, changes)), _settings(newer, changes)
    if made or before != after:
        verb = "create_room" if made else "change_room"
        record(link, actor, verb, "room", slug, before=before, after=after, reason=reason)
    return newer


def _settings(room: Room, changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: getattr(room, name) for name in changes}


def _in_effect(room: Room) -> Room:
    try:
        return mirror_room(room)
    except Unavailable as error:
        # The next tick mirrors every room again, as soon as Redis is back.
        log.warning("room_not_mirrored", room=room.slug)
        raise NotYetInEffect() from error


def _check(changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        if name in LIMITS:
            lowest, highest = LIMITS[name]
            if not isinstance(value, int) or not lowest <= value <= highest:
                raise BadRequest(f"{name} is a whole number, {lowest} to {highest}.")
        elif name == "opens_at":
            if value is not None and (value.tzinfo is None or not 2000 <= value.year <= 2200):
                raise BadRequest("opens_at needs an offset and a year between 2000 and 2200.")
        elif name == "message":
            _check_message(value)
        elif name != "paused":
            raise BadRequest(f"A room has no setting {name!r}.")


def _check_message(message: Mapping[str, str] | None) -> None:
    if message is None:
        return
    if set(message) != LANGUAGES:
        raise BadRequest("A message is said in both languages, ko and en; null takes it away.")
    for text in message.values():
        if not 1 <= len(text.strip()) <= LONGEST_MESSAGE or not text.isprintable():
            raise BadRequest(
                f"A message has 1 to {LONGEST_MESSAGE} printable characters in each language."
            )
