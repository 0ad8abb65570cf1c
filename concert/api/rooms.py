"""The JSON call about a waiting room that anybody may make."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from concert.api.door import answer, answers, new_door
from concert.api.schemas import PublicRoomAnswer, RoomPath
from concert.api.waiting_room import seats_document
from concert.overview.service import RoomOverview, overview_of

door = new_door("rooms", "Waiting rooms, for anybody to see.")

# A proxy may answer a whole crowd with it.
KEPT = "public, max-age=1"


@door.get(
    "/rooms/<slug>",
    summary="How a waiting room is",
    responses=answers({200: PublicRoomAnswer}, 400, 404),
)
def get_room(path: RoomPath) -> Response:
    """The same for everybody, at most two seconds old. Once `newest_admitted_sequence` has reached
    the `seq` in your queue token, your turn has come: ask for your place then."""
    response = answer(room_overview_document(overview_of(path.slug)))
    response.headers["Cache-Control"] = KEPT
    response.add_etag()
    response.make_conditional(request)
    return response


def room_overview_document(room: RoomOverview) -> dict[str, Any]:
    """A room as JSON shows it to anybody."""
    return {
        "room": room.room,
        "waiting": room.waiting,
        "inside": room.inside,
        "admissions_per_minute": room.admissions_per_minute,
        "newest_admitted_sequence": room.newest_admitted_sequence,
        "opens_at": room.opens_at,
        "paused": room.paused,
        "resumes_at": room.resumes_at,
        "seats": seats_document(room.seats),
        "message": room.message,
    }
