"""JSON calls for organisers."""

from __future__ import annotations

from typing import Any

from flask import Response

from concert.api.catalogue import listed_document
from concert.api.door import actor, answer, answers, for_staff, new_door
from concert.api.schemas import (
    ConcertAnswer,
    ConcertPath,
    NewConcert,
    NewDates,
    RoomAnswer,
    RoomChanges,
    RoomPath,
)
from concert.api.schemas import NewDate as NewDateAsked
from concert.catalogue.service import NewDate, Texts, add_dates, concert_listed, create_concert
from concert.ground.errors import BadRequest
from concert.staff.access import needs
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import change_room, create_room

door = new_door("organiser", "Making concerts and setting rooms; for organisers.")


@door.post(
    "/concerts",
    summary="Create a concert with its dates",
    security=for_staff(),
    responses=answers({201: ConcertAnswer}, 400, 401, 403, 404, 413, 415, 429),
)
@needs("organiser")
def post_concert(body: NewConcert) -> Response:
    """Every date gets its seats, numbered from 1."""
    concert = create_concert(
        body.title,
        body.venue,
        body.room,
        _new_dates(body.dates),
        texts=Texts(**body.texts()),
        draft=body.draft,
        actor=actor(),
        reason=body.reason,
    )
    return answer(listed_document(concert_listed(concert.concert_id, drafts=True)), 201)


@door.post(
    "/concerts/<concert_id>/dates",
    summary="Add dates to a concert",
    security=for_staff(),
    responses=answers({201: ConcertAnswer}, 400, 401, 403, 404, 413, 415, 429),
)
@needs("organiser")
def post_dates(path: ConcertPath, body: NewDates) -> Response:
    """Returns the concert with all its dates."""
    add_dates(path.concert_id, _new_dates(body.dates), actor=actor(), reason=body.reason)
    return answer(listed_document(concert_listed(path.concert_id, drafts=True)), 201)


@door.patch(
    "/rooms/<slug>",
    summary="Change some of a room's settings",
    security=for_staff(),
    responses=answers({200: RoomAnswer}, 400, 401, 403, 404, 413, 415, 429),
)
@needs("organiser")
def patch_room(path: RoomPath, body: RoomChanges) -> Response:
    """Every instance acts on them at once."""
    changed = change_room(path.slug, _changes(body), actor=actor(), reason=body.reason)
    return answer(room_document(changed))


@door.put(
    "/rooms/<slug>",
    summary="Make a room, or change it",
    security=for_staff(),
    responses=answers({200: RoomAnswer, 201: RoomAnswer}, 400, 401, 403, 413, 415, 429),
)
@needs("organiser")
def put_room(path: RoomPath, body: RoomChanges) -> Response:
    """What is left out is as usual in a new room, and as it was in one that is there."""
    room, made = create_room(path.slug, _changes(body), actor=actor(), reason=body.reason)
    return answer(room_document(room), 201 if made else 200)


def room_document(room: Room) -> dict[str, Any]:
    """A room's settings as JSON shows them."""
    return {
        "slug": room.slug,
        "capacity": room.capacity,
        "admit_per_minute": room.admit_per_minute,
        "entry_seconds": room.entry_seconds,
        "visit_seconds": room.visit_seconds,
        "opens_at": room.opens_at,
        "paused": room.paused,
        "message": room.message,
    }


def _new_dates(dates: list[NewDateAsked]) -> list[NewDate]:
    return [
        NewDate(
            one.starts_at,
            one.price,
            one.capacity,
            one.sales_open_at,
            one.sales_close_at,
            one.hall,
            one.prices,
            one.lone_seats,
            one.seat_limit,
            draft=one.draft,
        )
        for one in dates
    ]


def _changes(body: RoomChanges) -> dict[str, Any]:
    """The settings that the request names; only ``opens_at`` and ``message`` may be null."""
    changes = body.model_dump(exclude_unset=True, exclude={"reason"})
    for name, value in changes.items():
        if value is None and name not in ("opens_at", "message"):
            raise BadRequest(f"{name} must not be null.")
    return changes
