"""Live streams for pages: a place in line, and the seats of a performance.

The server chooses what a stream tells, from its address and the visitor's place; while
it streams it asks Redis alone, never PostgreSQL. Nothing of the request is kept for it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, current_app, request
from markupsafe import escape

from concert.catalogue.service import (
    Performance,
    concert_of,
    find_performance,
    place_of_performance,
)
from concert.ground.events import performance_channel
from concert.ground.fanout import Fact, Fanout
from concert.ground.parts import keep, part
from concert.ground.streams import encoded, event_stream, limit_streams, stream_response
from concert.waiting_room import service
from concert.waiting_room.doors import Doors, doors_of
from concert.waiting_room.service import Place
from concert.waiting_room.watch import OVER, OWN, is_over, shared_facts, watched
from concert.web.door import new_pages, require_queue_token
from concert.web.formats import moment_in, rough, spread
from concert.web.hall import seats_as_facts
from concert.web.language import TONGUES, language, speaking
from concert.web.seats import seats_told
from concert.web.waiting_room import (
    concert_id_behind,
    shared_words,
    start_of,
    told_of,
    way_in,
    words_of,
)

pages = new_pages("live")

RESYNC, CORRECTED = encoded(("resync", "-")), encoded(("corrected", "-"))
# How many wholes and words are kept at a time.
MOST_KEPT = 500
# Stands in a whole where what is each one's own belongs. No page has such a character.
MARK = "\x00"
TOLD = (
    "position",
    "place",
    "ahead",
    "behind",
    "start",
    "passed",
    "poll",
    "wait",
    "at",
    "chance",
    "free",
    "held",
    "sold",
    "free_width",
    "held_width",
    "sold_width",
    "free_from",
    "all",
)
MARKS = {name: f"{MARK}{name}{MARK}" for name in TOLD}


@pages.get("/live/rooms/<slug>")
def room(slug: str) -> Response:
    """My place: ``moved`` or all of it for the page, and ``beat``, ``turn`` and, at its end, ``over`` for its script."""
    token = require_queue_token(slug)
    limit_streams(token)
    first = service.place_of(token)
    viewer = watched(token, first)
    if viewer is None:
        return event_stream([_ended(first.status)])
    concert_id = concert_id_behind(slug)
    start = max(start_of(slug), first.position or 0)
    tell = PlaceTold(part(Wholes), language(), concert_id, start, way_in(concert_id))
    opening, _is_last = tell(first)
    return stream_response(token, viewer, opening, tell)


@pages.get("/live/performances/<int:performance_id>")
def performance(performance_id: int) -> Response:
    """A performance's seats: fragments for the map, and ``resync`` and ``beat`` for its script.

    With ``?as=facts`` changes come as ``seats``, in JSON, for a map that its script draws.
    """
    concert_id, slug = place_of_performance(performance_id)
    token = require_queue_token(slug)
    limit_streams(token)
    service.enter(token, slug)
    performance = find_performance(concert_of(concert_id), performance_id=performance_id)
    listener = part(Fanout).listener(performance_channel(performance_id))
    if request.args.get("as") == "facts":
        return stream_response(token, listener, RESYNC, FactsTold(str(token.user_id)))
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # what the proxy stands for
    tell = SeatsTold(app, language(), performance, str(token.user_id))
    # The subscription stands before this is told, so a look at the map that begins then misses nothing.
    return stream_response(token, listener, RESYNC, tell)


def init_live(app: Flask) -> None:
    """Keep what many streams say alike."""
    keep(app, Wholes(app))


class SeatsTold:
    """What one viewer's stream says of a performance's seats."""

    __slots__ = ("_app", "_code", "_performance", "_user_id")

    def __init__(self, app: Flask, code: str, performance: Performance, user_id: str) -> None:
        self._app = app
        self._code = code
        self._performance = performance
        self._user_id = user_id

    def __call__(self, fact: Fact) -> tuple[bytes, bool]:
        """What to say of a fact; it is never the last."""
        if fact.kind == "corrected":
            # Free seats cost something else, or there are more or fewer of them: the map is drawn anew.
            told = {name: fact.data[name] for name in ("price", "capacity")}
            self._performance = replace(self._performance, **told)
            return CORRECTED, False
        if fact.kind != "seats":
            return RESYNC, False
        return seats_told(self._app, self._code, self._performance, self._user_id, fact), False


class FactsTold:
    """The same as facts, for a map that its script draws."""

    __slots__ = ("_user_id",)

    def __init__(self, user_id: str) -> None:
        self._user_id = user_id

    def __call__(self, fact: Fact) -> tuple[bytes, bool]:
        """What to say of a fact; it is never the last."""
        if fact.kind == "corrected":
            return CORRECTED, False
        return (seats_as_facts(self._user_id, fact) if fact.kind == "seats" else RESYNC), False


class PlaceTold:
    """What one viewer's stream says of a place: all of it, or only what is the viewer's own."""

    __slots__ = ("_code", "_concert_id", "_facts", "_start", "_way_in", "_wholes")

    def __init__(
        self, wholes: Wholes, code: str, concert_id: int | None, start: int, way_in: str
    ) -> None:
        self._wholes = wholes
        self._code = code
        self._concert_id = concert_id
        self._start = start
        self._way_in = way_in
        self._facts: Any = None

    def __call__(self, seen: Any) -> tuple[bytes, bool]:
        """What to say of a place, and whether it is the last. A place that is over has a form on the
        page that sends it back in line; forms are the web part's."""
        if seen is OVER or is_over(seen):
            return _ended("-" if seen is OVER else seen.status), True
        doors = doors_of(seen, datetime.now(UTC))
        if seen.status == "admitted":
            self._facts = None
            whole = self._wholes.admitted(self._code, seen, self._way_in)
            return encoded(("", whole), ("turn", self._way_in)), False
        words = self._wholes.words(self._code, seen, doors)
        told = told_of(seen, self._start, self._code, words)
        facts = (shared_facts(seen), doors)
        if facts == self._facts:
            return encoded(("moved", told)), False
        self._facts = facts
        return self._wholes.waiting(self._code, self._concert_id, seen, doors, facts, told), False


class Wholes:
    """The fragment of a place, rendered once for all who wait in a room and read a language."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._waiting: dict[Any, list[str]] = {}
        self._words: dict[Any, dict[str, str]] = {}

    def waiting(
        self,
        code: str,
        concert_id: int | None,
        place: Place,
        doors: Doors,
        facts: Any,
        told: dict[str, str],
    ) -> bytes:
        """The event for one who waits."""
        now = datetime.now(UTC)
        # Countdowns begin at the moment of rendering, so a whole is good for a second.
        which = (place.token.room, code, concert_id, facts, int(now.timestamp()))
        pieces = self._waiting.get(which)
        if pieces is None:
            shown = {"place": _Anyone(place), "told": MARKS, "slug": place.token.room}
            text = self._rendered(code, concert_id=concert_id, doors=doors, now=now, **shown)
            pieces = encoded(("", text)).decode().split(MARK)
            self._waiting = _room_in(self._waiting)
            self._waiting[which] = pieces
        filled = list(pieces)
        # Every other piece is the name of what belongs there.
        filled[1::2] = [str(escape(told[name])) for name in pieces[1::2]]
        return "".join(filled).encode()

    def admitted(self, code: str, place: Place, way_in: str) -> str:
        """The fragment for one whose turn it is."""
        told = dict.fromkeys(MARKS, "") | {"poll": str(place.poll_after_seconds)}
        return self._rendered(code, place=place, told=told, way_in=way_in, now=datetime.now(UTC))

    def words(self, code: str, place: Place, doors: Doors) -> dict[str, str]:
        """How long one may have to wait, and how it looks for them, in words."""
        seconds, between = place.estimated_wait_seconds, place.estimated_wait_range
        which = (
            code,
            doors.state,
            None if seconds is None else (rough(seconds), moment_in(seconds)),
            between and spread(between),
            place.chance,
        )
        words = self._words.get(which)
        if words is None:
            with speaking(self._app, code):
                words = words_of(place, doors)
            self._words = _room_in(self._words)
            self._words[which] = words
        return words

    def _rendered(self, code: str, **shown: Any) -> str:
        with speaking(self._app, code):
            template = self._app.jinja_env.get_template("waiting_room/_place.html")
            shown.update(shared_words(shown["place"]))
            return template.render(language=code, tongue=TONGUES[code], **shown)


class _Anyone:
    """Somebody who waits, for what is rendered for all of them: what is one's own must not get into that."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def __getattr__(self, name: str) -> Any:
        if name in OWN:
            raise RuntimeError(
                f"{name} is one viewer's own, and this is rendered for all: use `told`"
            )
        if name == "seats" and self._place.seats is not None:
            return _StateOnly(self._place.seats.state)
        return getattr(self._place, name)


class _StateOnly:
    """The seats behind a room, for what is rendered for all: how many there are changes all the time."""

    def __init__(self, state: str) -> None:
        self.state = state

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"how many are {name} changes all the time: use `told`")


def _ended(status: str) -> bytes:
    """The last word, with what has become of the place where that is known."""
    return encoded(("over", status))


def _room_in(kept: dict[Any, Any]) -> dict[Any, Any]:
    return kept if len(kept) < MOST_KEPT else {}
