"""Watching places: one thread a process asks Redis about all of its viewers at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from enum import Enum
from operator import attrgetter
from typing import Any, Final

import structlog
from flask import Flask

from concert.ground.budget import REQUEST_SECONDS, within
from concert.ground.errors import DomainError, Unavailable
from concert.ground.events import ROOMS
from concert.ground.fanout import Fact, Fanout
from concert.ground.mailbox import Mailbox, Post
from concert.ground.parts import keep, part
from concert.ground.streams import OpenStreams
from concert.waiting_room.service import Place, look_at, place_of, places_of
from concert.waiting_room.tokens import QueueToken

log = structlog.get_logger()

TICK_SECONDS = 0.4
# Who is this near the front is asked about in every tick. In a crowd, those behind are asked
# about as often as their look takes: it never has more than half of the process.
NEAR_POSITION = 200
FAR_SECONDS = 5.0
# How many places Redis is asked about at a time: a millisecond in which it answers nobody else.
AT_ONCE = 500
# During a rush somebody lines up, and a seat is taken, in every moment; how many are behind and how
# many seats are left is no news for everybody.
BEHIND_SECONDS = 3.0
MOST_UNREAD = 8
# A look that a fact has brought on is followed by this much of a pause.
PAUSE_SECONDS = 0.1
# How long one tick may spend on places that need a look of their own, and for how many ticks
# one that failed is left alone.
OWN_LOOKS_SECONDS = 1.0
FAILED_TICKS = 5
# However long looks take, others get their turn.
LEAST_PAUSE_SECONDS = 0.01
# What of a place is its viewer's own; all else is the same for everybody who waits there.
OWN = (
    "token",
    "position",
    "waiting",
    "estimated_wait_seconds",
    "poll_after_seconds",
    "chance",
    "estimated_wait_range",
)
LIVE = ("waiting", "admitted")

_as_they_are = attrgetter(
    *(name for name in Place._fields if name not in (*OWN, "seats", "message"))
)


def shared_facts(place: Place) -> tuple[Any, ...]:
    """What is the same for everybody who waits there, and news for all at once when it changes.

    Of the seats that is the state alone: how many there are changes with every hold.
    """
    state = place.seats and place.seats.state
    said = place.message and tuple(sorted(place.message.items()))
    return (*_as_they_are(place), state, said)


class _End(Enum):
    OVER = "over"


# Told where a place has ended, and not where only the stream does.
OVER: Final = _End.OVER


class Viewer(Mailbox[Place | _End]):
    """Somebody who looks at a place while it is used in a ``with``, and what was shown last."""

    __slots__ = ("due", "facts", "last", "shown_at", "token")

    def __init__(self, watch: PlaceWatch, token: QueueToken, first: Place) -> None:
        super().__init__(watch, token.room, MOST_UNREAD)
        self.token = token
        self.last = first
        self.facts = shared_facts(first)
        self.shown_at = time.monotonic()
        self.due = self.shown_at + watch.tick_seconds


class PlaceWatch(Post[Viewer]):
    """All viewers of one process. Its thread runs while there are any."""

    def __init__(self, app: Flask, tick_seconds: float = TICK_SECONDS) -> None:
        super().__init__("place-watch")
        self._app = app
        self.tick_seconds = tick_seconds
        self._far_seconds = 0.0

    def viewer(self, token: QueueToken, first: Place) -> Viewer:
        """A viewer, to use in a ``with``, of a place that was seen just now."""
        return Viewer(self, token, first)

    def _serve(self) -> None:
        # Facts about rooms let a look begin before its tick, so nobody waits for them.
        with part(Fanout, self._app).listener(ROOMS, timeout=0) as moved:
            pause = self.tick_seconds
            while True:
                for fact in moved.contents(pause):
                    break
                else:
                    return
                viewers = self._viewers()
                if not viewers:
                    return
                facts = [fact, *moved.take_all()] if fact else []
                began = time.monotonic()
                self._look_at(_due(viewers, facts, self.tick_seconds))
                self._is_well()
                if facts:
                    # One look answers all that is told meanwhile, so looks stay few however much is told.
                    time.sleep(PAUSE_SECONDS)
                pause = max(LEAST_PAUSE_SECONDS, began + self.tick_seconds - time.monotonic())

    def _viewers(self) -> list[Viewer]:
        with self._lock:
            return [viewer for room in self._boxes.values() for viewer in room]

    def _look_at(self, due: list[Viewer]) -> None:
        began = time.monotonic()
        # Near the front first.
        due.sort(key=_position)
        lost: list[Viewer] = []
        with self._app.app_context():
            try:
                for several in _batches(due):
                    lost += self._look(several)
                for start in range(0, len(lost), AT_ONCE):
                    self._look_at_each(lost[start : start + AT_ONCE])
            except Unavailable:
                log.warning("places_not_watched", viewers=len(due))
        if due and _is_far(due[-1]):
            self._far_seconds = min(FAR_SECONDS, time.monotonic() - began)

    def _look(self, several: list[tuple[str, list[Viewer]]]) -> list[Viewer]:
        """Look at those who wait; returns the others."""
        with within(REQUEST_SECONDS):
            looks = look_at([(room, [one.token for one in viewers]) for room, viewers in several])
        others: list[Viewer] = []
        for look, (_, viewers) in zip(looks, several, strict=True):
            if look.front is None:
                others += viewers
                continue
            front = look.place(viewers[0].token, 0)
            facts = shared_facts(front)
            for viewer, ahead in zip(viewers, look.ahead, strict=True):
                if ahead < 0:
                    others.append(viewer)
                elif self._is_news(viewer, ahead + 1, front, facts):
                    self._tell(viewer, look.place(viewer.token, ahead), facts)
        return others

    def _look_at_each(self, viewers: list[Viewer]) -> None:
        with within(REQUEST_SECONDS):
            places = places_of([viewer.token for viewer in viewers])
        lost = []
        for viewer, place in zip(viewers, places, strict=True):
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
            with within(REQUEST_SECONDS):
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
        facts = shared_facts(place)
        if self._is_news(viewer, place.position, place, facts):
            self._tell(viewer, place, facts)

    def _is_news(
        self, viewer: Viewer, position: int | None, room: Place, facts: tuple[Any, ...]
    ) -> bool:
        """Whether something has changed for the person who stands there; the look at them is done.

        ``room`` is any place of the room as it is now.
        """
        now = time.monotonic()
        far = position is not None and position > NEAR_POSITION
        pause = max(self.tick_seconds, self._far_seconds) if far else self.tick_seconds
        viewer.due = now + pause * 0.9
        last = viewer.last
        if last.position != position or viewer.facts != facts:
            return True
        counts_moved = (last.waiting, last.seats) != (room.waiting, room.seats)
        return counts_moved and now - viewer.shown_at >= BEHIND_SECONDS

    def _tell(self, viewer: Viewer, place: Place, facts: tuple[Any, ...]) -> None:
        viewer.shown_at = time.monotonic()
        viewer.last = place
        viewer.facts = facts
        if not viewer.put(place):
            # Too slow to keep up, or gone: it begins anew with a fresh look.
            self.remove(viewer)


def init_place_watch(app: Flask) -> None:
    """Attach it to the app; it looks at nothing before somebody watches."""
    watch = keep(app, PlaceWatch(app))
    part(OpenStreams, app).end_with(watch.stop)


def watched(token: QueueToken, first: Place) -> Viewer | None:
    """A box of every change to a place that was seen just now; None where it has ended already.

    It gets ``OVER`` where the place is neither waiting nor admitted any more. It is closed without
    that where only the stream ends: its reader was too slow, or the process is about to end.
    """
    return part(PlaceWatch).viewer(token, first) if first.status in LIVE else None


def is_over(seen: Place | _End) -> bool:
    """Whether this is the last that is told of a place."""
    return seen is OVER or seen.status not in LIVE


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


def _position(viewer: Viewer) -> int:
    return viewer.last.position or 0


def _is_far(viewer: Viewer) -> bool:
    return _position(viewer) > NEAR_POSITION


def _batches(viewers: list[Viewer]) -> Iterator[list[tuple[str, list[Viewer]]]]:
    """``AT_ONCE`` viewers at a time, by their rooms, in their order."""
    for start in range(0, len(viewers), AT_ONCE):
        by_room: dict[str, list[Viewer]] = {}
        for viewer in viewers[start : start + AT_ONCE]:
            by_room.setdefault(viewer.topic, []).append(viewer)
        yield list(by_room.items())
