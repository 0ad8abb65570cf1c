"""Jobs of every second or so; the next tick does what one has missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from concert.catalogue.service import lately_closed
from concert.ground import events
from concert.ground.errors import Unavailable
from concert.ground.sale_health import note_tick
from concert.overview.samples import note_samples
from concert.reservations.service import tidy_expired
from concert.waiting_room import ended, rooms, service
from concert.waiting_room.records import Room
from concert.waiting_room.seats import Count, count_seats

log = structlog.get_logger()

# Longer than the clock's interval, so that a late or lost tick leaves no gap.
LATELY_SECONDS = 30


def admit_everywhere() -> None:
    """Complete what was paid, let people into every open room, and tell the live pages.

    What fails for one room is logged, and the others go on. The tick is noted as done only where
    it was for all of them: nobody else would notice a room into which nobody is let.
    """
    worked = _alone(ended.settle_paid)
    found = rooms.list_rooms()
    counts: dict[str, Count] = {}
    worked &= _alone(_count, found, counts)
    for room in found:
        worked &= _alone(_tend, room, counts.get(room.slug), room=room.slug)
    # A chart with a gap lets nobody wait.
    _alone(note_samples, found)
    if worked:
        note_tick()


def release_expired_holds() -> None:
    """Write down which holds have lapsed, and tell the live pages."""
    freed = tidy_expired()
    if freed:
        log.info("holds_released", seats=freed)


def close_ended() -> None:
    """Tell the live pages which sales have ended."""
    for performance_id in lately_closed(LATELY_SECONDS):
        events.publish_closed(performance_id)


def _count(found: list[Room], counts: dict[str, Count]) -> None:
    counts.update(count_seats([room.slug for room in found]))


def _tend(room: Room, count: Count | None) -> None:
    admission = service.tend(room, count)
    if admission.admitted or admission.ended:
        log.info(
            "line_moved",
            room=room.slug,
            admitted=admission.admitted,
            ended=admission.ended,
            waiting=admission.waiting,
            inside=admission.inside,
        )
    if admission.admitted or admission.ended or admission.seats_changed:
        events.publish_room(room.slug, admission.admitted)


def _alone(work: Callable[..., object], *given: Any, room: str | None = None) -> bool:
    """Do a part of a tick; where it fails, say so in the log and let the other parts be done."""
    named = {"part": work.__name__.strip("_"), "room": room}
    try:
        work(*given)
    except Unavailable as error:
        log.warning("tick_cut_off", **named, lacking=error.part)
        return False
    except Exception:
        log.exception("tick_failed", **named)
        return False
    return True
