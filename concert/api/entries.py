"""JSON calls of the door: entering, undoing, who is in, and what a scanner needs without the network."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response

from concert.api.door import actor, answer, answers, for_staff, new_door
from concert.api.entry_schemas import (
    AttendanceAnswer,
    DoorListAnswer,
    EnteredAnswer,
    EntryPath,
    FoundTicketsAnswer,
    NewEntry,
    PerformancePath,
    Words,
)
from concert.api.schemas import Why
from concert.catalogue.labels import called_in_json
from concert.overview.entrances import attendance_lately
from concert.staff.access import needs
from concert.tickets import entries

door = new_door("entries", "The door: who is in.")


@door.post(
    "/entries",
    summary="A ticket is shown",
    security=for_staff("door"),
    responses=answers({200: EnteredAnswer}, 400, 401, 403, 409, 413, 415, 429),
)
@needs("door")
def post_entry(body: NewEntry) -> Response:
    """Enters it, or says why not. Idempotent by `device` and `scan_id`."""
    return answer(entered_document(entries.enter(entries.Scan(**body.model_dump()))))


@door.delete(
    "/entries/<entry_id>",
    summary="Undo an entry",
    security=for_staff("door"),
    responses=answers({204: None}, 400, 401, 403, 404, 429),
)
@needs("door")
def delete_entry(path: EntryPath, query: Why) -> Response:
    """Its ticket may enter again. `reason` is needed, and written down."""
    entries.undo_entry(path.entry_id, actor=actor(), reason=query.reason)
    return Response(status=204)


@door.get(
    "/performances/<performance_id>/entries",
    summary="Who is in",
    security=for_staff("door"),
    responses=answers({200: AttendanceAnswer}, 400, 401, 403, 404, 429),
)
@needs("door")
def get_attendance(path: PerformancePath) -> Response:
    """By gate and minute, and what does not fit; at most a second old."""
    return answer(attendance_document(attendance_lately(path.performance_id)))


@door.get(
    "/performances/<performance_id>/door-list",
    summary="What a scanner needs without the network",
    security=for_staff("door"),
    responses=answers({200: DoorListAnswer}, 400, 401, 403, 404, 429),
)
@needs("door")
def get_door_list(path: PerformancePath) -> Response:
    """The keys that verify a ticket, and what differs from a new one: void, handed on, a newer code, in already."""
    return answer(door_list_document(entries.door_list(path.performance_id)))


@door.get(
    "/performances/<performance_id>/tickets",
    summary="Find a ticket",
    security=for_staff("door"),
    responses=answers({200: FoundTicketsAnswer}, 400, 401, 403, 404, 429),
)
@needs("door")
def get_found_tickets(path: PerformancePath, query: Words) -> Response:
    """By seat number, name, payment, ticket or code; 50 at the most."""
    found = entries.find_tickets(path.performance_id, query.search)
    document = {
        "tickets": [
            asdict(one) | {"label": _label(path.performance_id, one.seat_no)} for one in found
        ]
    }
    return answer(document)


def entered_document(told: entries.Answered) -> dict[str, Any]:
    """What a scanner is told."""
    names = ("ticket_id", "seat_no", "status")
    document = asdict(told)
    document["together"] = [dict(zip(names, one, strict=True)) for one in told.together]
    document["label"] = _label(told.performance_id, told.seat_no)
    return document


def _label(performance_id: int | None, seat_no: int | None) -> object:
    """What a seat is called where it has a plan."""
    if performance_id is None or seat_no is None:
        return None
    return called_in_json(performance_id, seat_no).get("label")


def attendance_document(found: entries.Attendance) -> dict[str, Any]:
    """Who is in, as JSON shows it."""
    names = ("gate", "minute", "count")
    document = asdict(found)
    document["by_minute"] = [dict(zip(names, one, strict=True)) for one in found.by_minute]
    return document


def door_list_document(found: entries.DoorList) -> dict[str, Any]:
    """A scanner's list as JSON shows it."""
    return {
        "performance_id": found.performance_id,
        "at": found.at,
        "expected": found.expected,
        "ended": {str(ticket): status for ticket, status in found.ended.items()},
        "serials": {str(ticket): serial for ticket, serial in found.serials.items()},
        "entered": found.entered,
        "keys": found.keys,
    }
