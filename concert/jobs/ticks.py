"""Jobs of every second or so; the next tick does what one has missed."""

from __future__ import annotations

import structlog

from concert.catalogue.service import lately_closed
from concert.ground import events
from concert.ground.sale_health import note_tick
from concert.reservations.service import tidy_expired
from concert.waiting_room import rooms, service

log = structlog.get_logger()

# Longer than the clock's interval, so that a late or lost tick leaves no gap.
LATELY_SECONDS = 30


def admit_everywhere() -> None:
    """Let people into every open room, and tell the live pages."""
    for room in rooms.list_rooms():
        rooms.mirror_room(room)
        admission = service.admit(room.slug)
        if admission.admitted or admission.ended:
            log.info(
                "admitted",
                room=room.slug,
                admitted=admission.admitted,
                ended=admission.ended,
                waiting=admission.waiting,
                inside=admission.inside,
            )
            events.publish_room(room.slug, admission.admitted)
    note_tick()


def release_expired_holds() -> None:
    """Write down which holds have lapsed, and tell the live pages."""
    freed = tidy_expired()
    if freed:
        log.info("holds_released", seats=freed)


def complete_paid_places() -> None:
    """Complete the places that a payment has ended, where a crash has cut that off."""
    service.complete_lately_paid(LATELY_SECONDS)


def close_ended() -> None:
    """Tell the live pages which sales have ended."""
    for performance_id in lately_closed(LATELY_SECONDS):
        events.publish_closed(performance_id)
