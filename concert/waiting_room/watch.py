"""Watching places: one thread a process asks Redis about all of its viewers at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from enum import Enum
from typing import Final

import structlog
from flask import Flask

from concert.ground.budget import REQUEST_SECONDS, within
from concert.ground.errors import DomainError, Unavailable
from concert.ground.events import ROOMS
from concert.ground.fanout import Fact, Fanout
from concert.ground.mailbox import Mailbox, Post
from concert.ground.parts import keep, part
from concert.ground.streams import OpenStreams
from concert.waiting_room.service import Place, place_of, places_of
from concert.waiting_room.tokens import QueueToken

log = structlog.get_logger()

TICK_SECONDS = 0.5
# Who is this near the front is told of every change at once. Those behind are, too, as long as
# there are few of them; in a crowd they are asked about less often, each every few seconds.
NEAR_POSITION = 200
ASKED_AT_ONCE = 2000
FAR_SECONDS = 5.0
# During a rush somebody lines up in every moment; how many are behind is no news for everybody.
BEHIND_SECONDS = 3.0
MOST_UNREAD = 8
# A look that a fact has brought on is followed by this much of a pause.
PAUSE_SECONDS = 0.1
# How long one tick may spend on places that need a look of their own, and for how many ticks
# one that failed is left alone.
OWN_LOOKS_SECONDS = 1.0
FAILED_TICKS = 4
LIVE = ("waiting", "admitted")


class _End(Enum):
    OVER = "over"


# Told where a place has ended, and not where only the stream does.
OVER: Final = _End.OVER


class Viewer(Mailbox[Place | _End]):
    """Somebody who looks at a place while it is used in a ``with``, and what was shown last."""

    __slots__ = ("due", "last", "shown_at", "token")

    def __init__(self, watch: PlaceWatch, token: QueueToken, first: Place) -> None:
        super().__init__(watch, token.room, MOST_UNREAD)
        self.token = token
        self.last = first
        self.shown_at = time.monotonic()
        self.due = self.shown_at + watch.tick_seconds


class PlaceWatch(Post[Viewer]):
    """All viewers of one process. Its thread runs while there are any."""

    def __init__(self, app: Flask, tick_seconds: float = TICK_SECONDS) -> None:
        super().__init__("place-watch")
        self._app = app
        self.tick_seconds = tick_seconds

    def viewer(self, token: QueueToken, first: Place) -> Viewer:
        """A viewer, to use in a ``with``, of a place that was seen just now."""
        return Viewer(self, token, first)

    def _serve(self) -> None:
        # Facts about rooms let a look begin before its tick, so nobody waits for them.
        with part(Fanout, self._app).listener(ROOMS, timeout=0) as moved:
            for fact in moved.contents(self.tick_seconds):
                viewers = self._viewers()
                if not viewers:
                    return
                facts = [fact, *moved.take_all()] if fact else []
                self._look_at(_due(viewers, facts, self.tick_seconds))
                self._is_well()
                if facts:
                    # One look answers all that is told meanwhile, so looks stay few however much is told.
                    time.sleep(PAUSE_SECONDS)

    def _viewers(self) -> list[Viewer]:
        with self._lock:
            return [viewer for room in self._boxes.values() for viewer in room]

    def _look_at(self, due: list[Viewer]) -> None:
        if not due:
            return
        try:
            with self._app.app_context(), within(REQUEST_SECONDS):
                self._look(due)
        except Unavailable:
            log.warning("places_not_watched", viewers=len(due))

    def _look(self, due: list[Viewer]) -> None:
        places = places_of([viewer.token for viewer in due])
        lost = []
        for viewer, place in zip(due, places, strict=True):
            if place is None:
                lost.append(viewer)
            else:
                self._show(viewer, place)
        until = time.monotonic() + OWN_LOOKS_SECONDS
        failed = 0
        for viewer in lost:
            if time.monotonic() > until:
                # The others have waited long enough; the rest is still due.
                break
            failed += not self._look_again(viewer)
        if failed:
            log.warning("places_not_watched", viewers=failed)

    def _look_again(self, viewer: Viewer) -> bool:
        """Ask for one place that needs a look of its own: put back after a loss, or over."""
        try:
            self._show(viewer, place_of(viewer.token))
        except Unavailable:
            viewer.due = time.monotonic() + FAILED_TICKS * self.tick_seconds
            return False
        except DomainError:
            viewer.put(OVER)
            self.remove(viewer)
        except Exception as error:
            # Whatever is wrong with this one place, the others are looked at.
            viewer.due = time.monotonic() + FAILED_TICKS * self.tick_seconds
            log.error("place_not_watched", room=viewer.token.room, exc_info=error)
        return True

    def _show(self, viewer: Viewer, place: Place) -> None:
        far = place.position is not None and place.position > NEAR_POSITION
        crowd = self.count() / ASKED_AT_ONCE * self.tick_seconds
        pause = min(FAR_SECONDS, max(self.tick_seconds, crowd)) if far else self.tick_seconds
        now = time.monotonic()
        viewer.due = now + pause * 0.9
        if _same(viewer.last, place):
            behind_changed = (viewer.last.waiting, viewer.last.seats) != (
                place.waiting,
                place.seats,
            )
            if not behind_changed or now - viewer.shown_at < BEHIND_SECONDS:
                return
        viewer.shown_at = now
        viewer.last = place
        if not viewer.put(place):
            # Too slow to keep up, or gone: it begins anew with a fresh look.
            self.remove(viewer)


def init_place_watch(app: Flask) -> None:
    """Attach it to the app; it looks at nothing before somebody watches."""
    watch = keep(app, PlaceWatch(app))
    part(OpenStreams, app).end_with(watch.stop)


def watch_place(
    token: QueueToken, first: Place, heartbeat_seconds: float
) -> Iterator[Place | _End | None]:
    """The place as it was seen just now, then every change; None after ``heartbeat_seconds`` without one.

    Tells ``OVER`` where the place is neither waiting nor admitted any more. Ends without it
    where only the stream does: its reader was too slow, or the process is about to end.
    """
    yield first
    if first.status not in LIVE:
        yield OVER
        return
    with part(PlaceWatch).viewer(token, first) as viewer:
        for seen in viewer.contents(heartbeat_seconds):
            yield seen
            if seen is OVER:
                return
            if seen is not None and seen.status not in LIVE:
                yield OVER
                return


def _due(viewers: list[Viewer], facts: list[Fact], tick_seconds: float) -> list[Viewer]:
    """Whose look is due; behind a room that has moved, that of the next tick is due now."""
    now = time.monotonic()
    moved = {fact.data.get("room") for fact in facts}
    # Where facts may have been missed, any room may have moved.
    all_moved = any(fact.kind != "moved" for fact in facts)
    soon = now + tick_seconds
    return [
        viewer
        for viewer in viewers
        if viewer.due <= (soon if all_moved or viewer.topic in moved else now)
    ]


def _same(before: Place, now: Place) -> bool:
    """Whether nothing has changed for the person who stands there."""
    return (
        before.status,
        before.position,
        before.admitted_until,
        before.paused,
        before.resumes_at,
        before.opens_at,
        before.seats and before.seats.state,
        before.chance,
        before.message,
    ) == (
        now.status,
        now.position,
        now.admitted_until,
        now.paused,
        now.resumes_at,
        now.opens_at,
        now.seats and now.seats.state,
        now.chance,
        now.message,
    )
