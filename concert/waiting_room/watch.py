"""Watching places: one thread a process asks Redis about all of its viewers at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog
from flask import Flask

from concert.ground.errors import DomainError, Unavailable
from concert.ground.parts import keep, part
from concert.ground.streams import HEARTBEAT_SECONDS
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


@dataclass(slots=True, eq=False)
class Viewer:
    """Somebody who looks at a place, and what is still to be shown to them (None ends it)."""

    token: QueueToken
    last: Place
    due: float
    shown_at: float = field(default_factory=time.monotonic)
    unread: queue.Queue[Place | None] = field(default_factory=lambda: queue.Queue(MOST_UNREAD))


class PlaceWatch:
    """All viewers of one process. Its thread runs while there are any."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._viewers: set[Viewer] = set()
        self._running = False

    def add(self, token: QueueToken, first: Place) -> Viewer:
        """Begin to watch a place that was seen just now."""
        viewer = Viewer(token, first, time.monotonic() + TICK_SECONDS)
        with self._lock:
            self._viewers.add(viewer)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="place-watch", daemon=True).start()
        return viewer

    def remove(self, viewer: Viewer) -> None:
        """Stop watching."""
        with self._lock:
            self._viewers.discard(viewer)

    def _run(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            with self._lock:
                if not self._viewers:
                    self._running = False
                    return
                now = time.monotonic()
                due = [viewer for viewer in self._viewers if viewer.due <= now]
            try:
                with self._app.app_context():
                    self._look(due)
            except Unavailable:
                log.warning("places_not_watched", viewers=len(due))
            except Exception:
                log.exception("place_watch_failed")

    def _look(self, due: list[Viewer]) -> None:
        if not due:
            return
        places = places_of([viewer.token for viewer in due])
        for viewer, place in zip(due, places, strict=True):
            self._show(viewer, place or _looked_up(viewer.token))

    def _show(self, viewer: Viewer, place: Place | None) -> None:
        far = place is not None and place.position is not None and place.position > NEAR_POSITION
        crowd = len(self._viewers) / ASKED_AT_ONCE * TICK_SECONDS
        pause = min(FAR_SECONDS, max(TICK_SECONDS, crowd)) if far else TICK_SECONDS
        now = time.monotonic()
        viewer.due = now + pause * 0.9
        if place is not None and _same(viewer.last, place):
            behind_changed = viewer.last.waiting != place.waiting
            if not behind_changed or now - viewer.shown_at < BEHIND_SECONDS:
                return
        viewer.shown_at = now
        try:
            viewer.unread.put_nowait(place)
        except queue.Full:
            # Too slow to keep up: it is dropped, and begins anew with a fresh look.
            self._drop(viewer)
            return
        if place is None:
            self.remove(viewer)
        else:
            viewer.last = place

    def _drop(self, viewer: Viewer) -> None:
        self.remove(viewer)
        viewer.unread.get_nowait()
        viewer.unread.put_nowait(None)


def init_place_watch(app: Flask) -> None:
    """Attach it to the app; it looks at nothing before somebody watches."""
    keep(app, PlaceWatch(app))


def watch_place(
    token: QueueToken, first: Place, heartbeat_seconds: float = HEARTBEAT_SECONDS
) -> Iterator[Place | None]:
    """The place as it was seen just now, then every change; None after ``heartbeat_seconds`` without one.

    Ends when the place is neither waiting nor admitted any more.
    """
    watch = part(PlaceWatch)

    def changes() -> Iterator[Place | None]:
        yield first
        if first.status not in ("waiting", "admitted"):
            return
        viewer = watch.add(token, first)
        try:
            while True:
                try:
                    place = viewer.unread.get(timeout=heartbeat_seconds)
                except queue.Empty:
                    yield None
                    continue
                if place is None:
                    return
                yield place
                if place.status not in ("waiting", "admitted"):
                    return
        finally:
            watch.remove(viewer)

    return changes()


def _looked_up(token: QueueToken) -> Place | None:
    """A place that needs a look of its own: put back after a loss, or over (None)."""
    try:
        return place_of(token)
    except Unavailable:
        raise
    except DomainError:
        return None


def _same(before: Place, now: Place) -> bool:
    """Whether nothing has changed for the person who stands there."""
    return (
        before.status,
        before.position,
        before.admitted_until,
        before.paused,
        before.opens_at,
    ) == (
        now.status,
        now.position,
        now.admitted_until,
        now.paused,
        now.opens_at,
    )
