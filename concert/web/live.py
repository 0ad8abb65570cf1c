"""Live streams for pages: a place in line, and the seats of a performance.

The server chooses what a stream tells, from its address and the visitor's place; while
it streams it asks Redis alone, never PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Generator
from uuid import UUID

from flask import Response

from concert.catalogue.service import (
    Performance,
    concert_of,
    find_performance,
    place_of_performance,
)
from concert.ground.events import performance_channel
from concert.ground.fanout import facts
from concert.ground.parts import part
from concert.ground.streams import Event, OpenStreams, limit_streams, stream_response
from concert.waiting_room import service
from concert.waiting_room.service import Place
from concert.waiting_room.tokens import QueueToken
from concert.waiting_room.watch import OVER, watch_place
from concert.web.door import new_pages, require_queue_token
from concert.web.seats import seats_fragment
from concert.web.waiting_room import concert_id_behind, place_fragment, way_in

pages = new_pages("live")


@pages.get("/live/rooms/<slug>")
def room(slug: str) -> Response:
    """My place: fragments for the page, and ``beat``, ``turn`` and, at its end, ``over`` for its script."""
    token = require_queue_token(slug)
    limit_streams(token)
    first = service.place_of(token)
    return stream_response(_place_told(token, first, concert_id_behind(slug)), token)


@pages.get("/live/performances/<int:performance_id>")
def performance(performance_id: int) -> Response:
    """A performance's seats: fragments for the map, and ``resync`` and ``beat`` for its script."""
    concert_id, slug = place_of_performance(performance_id)
    token = require_queue_token(slug)
    limit_streams(token)
    service.enter(token, slug)
    performance = find_performance(concert_of(concert_id), performance_id=performance_id)
    return stream_response(_seats_told(performance, token.user_id), token)


def _place_told(
    token: QueueToken, first: Place, concert_id: int | None
) -> Generator[Event, None, None]:
    for seen in watch_place(token, first, part(OpenStreams).heartbeat_seconds):
        if seen is None:
            yield ("beat", "-")
        elif seen is OVER:
            yield ("over", "-")
        else:
            yield ("", place_fragment(seen, concert_id))
            if seen.status == "admitted":
                yield ("turn", way_in(concert_id))


def _seats_told(performance: Performance, user_id: UUID) -> Generator[Event, None, None]:
    channel = performance_channel(performance.performance_id)
    with facts(channel, part(OpenStreams).heartbeat_seconds) as heard:
        # The subscription stands, so a look at the map that begins now misses nothing that follows.
        yield ("resync", "-")
        for fact in heard:
            if fact is None:
                yield ("beat", "-")
            elif fact.kind == "seats":
                yield ("", seats_fragment(fact, performance, user_id))
            else:
                yield ("resync", "-")
