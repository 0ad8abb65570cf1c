"""What is done to a room while its sale runs, beside setting it: taking the last change back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from concert.ground.audit import SYSTEM, Actor, Wanted, read_log
from concert.ground.errors import BadRequest
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import change_room, room_of

# What an undo sets back. A pause, an opening and a message have a lever each that does so.
UNDONE = ("capacity", "admit_per_minute")
LOOKED_THROUGH = 20


@dataclass(frozen=True, slots=True)
class LastChange:
    """How a room's capacity and rate were last changed: by whom, when, from what and to what."""

    entry_id: int
    at: datetime
    who: str | None
    before: dict[str, int]
    after: dict[str, int]


def last_change(room: Room) -> LastChange | None:
    """The last change of capacity or rate that still stands, of the room as it is; None where there is none."""
    entries, _ = read_log(
        Wanted(verb="change_room", subject_kind="room", subject_id=room.slug), limit=LOOKED_THROUGH
    )
    for entry in entries:
        before, after = _undone(entry.before), _undone(entry.after)
        changed = [name for name in after if before.get(name) != after[name]]
        if not changed:
            continue
        if any(getattr(room, name) != after[name] for name in changed):
            return None
        return LastChange(
            entry.id,
            entry.at,
            entry.actor_name,
            {name: before[name] for name in changed if name in before},
            {name: after[name] for name in changed},
        )
    return None


def undo_last_change(
    slug: str,
    *,
    actor: Actor = SYSTEM,
    reason: str | None = None,
    version: int | None = None,
) -> tuple[Room, LastChange]:
    """Set capacity and rate back to what they were before the last change; returns the room and that change.

    Raises:
        BadRequest: there is nothing to take back.
        ChangedMeanwhile: somebody else has changed the room since ``version``.
        NotFound: there is no such room.
        NotYetInEffect: it is written down, and Redis cannot be reached.
    """
    room = room_of(slug)
    change = last_change(room)
    if change is None or not change.before:
        raise BadRequest("There is no change of capacity or rate to take back.")
    # Judged by what was read here, so nobody's change in between is lost.
    seen = room.version if version is None else version
    return change_room(slug, change.before, actor=actor, reason=reason, version=seen), change


def _undone(values: dict[str, Any] | None) -> dict[str, int]:
    return {name: value for name, value in (values or {}).items() if name in UNDONE}
