"""JSON calls about places in line."""

from __future__ import annotations

import math
from typing import Any

from flask import Response

from concert.api.door import (
    Written,
    answers,
    new_door,
    queue_token,
    security,
    takes,
    user_id,
    written,
)
from concert.api.schemas import JoinAnswer, NewPlace, PlaceAnswer
from concert.catalogue.service import concert_of
from concert.ground.streams import (
    COMMENT,
    encoded,
    event_stream,
    limit_streams,
    stream_response,
)
from concert.reservations.service import leave_line
from concert.waiting_room import service
from concert.waiting_room.seats import SeatsBehind
from concert.waiting_room.service import Place
from concert.waiting_room.watch import OVER, is_over, watched

door = new_door("waiting room", "Lining up, asking, leaving.")

MAIN_ROOM = "main"


@door.post(
    "/enqueues",
    summary="Join a line",
    security=security("user"),
    responses=answers({200: JoinAnswer}, 400, 401, 404, 409, 413, 415),
)
@takes("user")
def post_enqueue(body: NewPlace) -> Written:
    """One user has one place in a room; joining again returns the same place. Where all seats are
    sold, this is standing by for returned ones (`seats.state`); where the sale has ended, it is a 409."""
    room = concert_of(body.concert_id).room if body.concert_id is not None else MAIN_ROOM
    place = service.join(room, user_id())
    return _answer_place({"queue_token": place.token.encoded(), **place_document(place)}, place)


@door.get(
    "/enqueues",
    summary="Where my place stands",
    security=security("queue"),
    responses=answers({200: PlaceAnswer}, 401),
)
@takes("queue")
def get_enqueue() -> Written:
    """Ask again after `poll_after_seconds`, which is also in `Retry-After`, rounded up."""
    place = service.place_of(queue_token())
    return _answer_place(place_document(place), place)


@door.put(
    "/enqueues/presence",
    summary="Say that I am there",
    security=security("queue"),
    responses=answers({204: None}, 400, 401, 413, 415),
)
@takes("queue")
def put_presence() -> Response:
    """Near the front, for whoever has a person in front of the screen: the line then counts on somebody
    who comes when called. It changes nothing about the place, and waiting without it loses nothing."""
    service.confirm_presence(queue_token())
    return Response(status=204)


@door.delete(
    "/enqueues",
    summary="Leave the line",
    security=security("queue"),
    responses=answers({204: None}, 401),
)
@takes("queue")
def delete_enqueue() -> Response:
    """Give up the place, and the seats that are held; joining again means the end of the line."""
    leave_line(queue_token())
    return Response(status=204)


@door.get(
    "/enqueues/events",
    summary="Where my place stands, as a stream",
    security=security("queue"),
    responses=answers(
        {
            200: {
                "description": "Server-sent events named `place`, each with the JSON of `GET /v1/enqueues`",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
        401,
        429,
    ),
)
@takes("queue")
def get_enqueue_events() -> Response:
    """Begins with the place as it is, then tells every change; ends when the place is over."""
    token = queue_token()
    limit_streams(token)
    first = service.place_of(token)
    viewer = watched(token, first)
    opening = encoded(("place", place_document(first)))
    if viewer is None:
        return event_stream([opening])
    return stream_response(token, viewer, opening, _told, COMMENT)


def _told(seen: Any) -> tuple[bytes, bool]:
    if seen is OVER:
        return b"", True
    return encoded(("place", place_document(seen))), is_over(seen)


def place_document(place: Place) -> dict[str, Any]:
    """A place as JSON shows it."""
    return {
        "room": place.token.room,
        "status": place.status,
        "position": place.position,
        "waiting": place.waiting,
        "estimated_wait_seconds": place.estimated_wait_seconds,
        "poll_after_seconds": place.poll_after_seconds,
        "admitted_until": place.admitted_until,
        "opens_at": place.opens_at,
        "paused": place.paused,
        "resumes_at": place.resumes_at,
        "seats": seats_document(place.seats),
        "chance": place.chance,
        "estimated_wait_range": place.estimated_wait_range,
        "message": place.message,
    }


def seats_document(seats: SeatsBehind | None) -> dict[str, Any]:
    """The seats behind a room as JSON shows them; none where it is in front of no date."""
    if seats is None:
        return {"free": 0, "held": 0, "sold": 0, "state": "open"}
    return {"free": seats.free, "held": seats.held, "sold": seats.sold, "state": seats.state}


def _answer_place(document: dict[str, Any], place: Place) -> Written:
    return written(document, Retry_After=str(math.ceil(place.poll_after_seconds)))
