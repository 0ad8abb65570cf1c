"""Pages of the waiting room: lining up, standing in line, being let in, leaving."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, request, url_for
from flask_babel import gettext as _

from concert.catalogue.service import Concert, concert_of, is_behind
from concert.ground.errors import NotFound, TokenExpired, TokenInvalid
from concert.reservations.service import leave_line
from concert.waiting_room import service
from concert.waiting_room.doors import Doors, doors_of
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import room_of, room_state
from concert.waiting_room.seats import SeatsBehind
from concert.waiting_room.service import Place
from concert.waiting_room.tokens import QueueToken
from concert.web.door import (
    drop_queue_token,
    go_to,
    keep_for_a_day,
    keep_queue_token,
    new_pages,
    newer_queue_token,
    private,
    queue_token,
    render,
    tells_of,
    user_or_new,
)
from concert.web.formats import between, clock_in, number_in, roughly
from concert.web.language import language

pages = new_pages("waiting_room")


@pages.get("/rooms/<slug>")
def room(slug: str) -> Response:
    """Where I stand; takes me in when it is my turn."""
    room = room_of(slug)
    concert = concert_behind(slug)
    concert_id = concert.concert_id if concert else None
    place = my_place(slug)
    if place is not None and place.status == "admitted":
        return go_to(way_in(concert_id))
    shown = _nowhere(room, concert_id) if place is None else place_shown(place, concert_id)
    shown.update(room=room, concert=concert)
    return private(render("waiting_room/page.html", **shown))


@pages.post("/rooms/<slug>/join")
def join(slug: str) -> Response:
    """Line up, or go back to the place that I have."""
    room_of(slug)
    user_id = user_or_new()
    place = service.join(slug, user_id, earlier=queue_token(slug))
    keep_queue_token(place.token)
    if place.position:
        keep_for_a_day(_start_cookie(slug), str(place.position))
    concert = concert_behind(slug)
    if concert:
        keep_for_a_day(wanted_cookie(slug), str(concert.concert_id))
    return go_to(room_url(slug, concert))


@pages.post("/rooms/<slug>/leave")
def leave(slug: str) -> Response:
    """Give up my place, and the seats that I hold."""
    room_of(slug)
    token = queue_token(slug)
    if token is not None:
        try:
            leave_line(token)
        except (TokenExpired, TokenInvalid):
            pass  # It was over already.
    drop_queue_token(slug)
    return go_to(room_url(slug, concert_behind(slug), left=1))


@pages.post("/rooms/<slug>/here")
def here(slug: str) -> Response:
    """The page near the front says that somebody is in front of it."""
    token = queue_token(slug)
    if token is not None:
        try:
            service.confirm_presence(token)
        except (TokenExpired, TokenInvalid):
            pass  # It is over; the page learns that from its stream.
    return private(Response(status=204))


@pages.get("/rooms/<slug>/place")
def place(slug: str) -> Response:
    """My place as a fragment, for when the stream fails: whoever has a place costs PostgreSQL nothing."""
    concert_id = concert_id_behind(slug)
    place = my_place(slug)
    if place is None:
        return private(render("waiting_room/_no_place.html", **_nowhere(room_of(slug), concert_id)))
    return private(render("waiting_room/_place.html", **place_shown(place, concert_id)))


@pages.get("/rooms/<slug>/status")
def status(slug: str) -> Response:
    """How a room is, for anybody; a proxy may keep it for a second."""
    shown = _nowhere(room_of(slug), None)
    response = render("waiting_room/_status.html", **shown)
    response.headers["Cache-Control"] = "public, max-age=1"
    return response


def place_shown(place: Place, concert_id: int | None) -> dict[str, Any]:
    """What the template of a place needs."""
    slug = place.token.room
    doors = doors_of(place, datetime.now(UTC))
    return {
        "place": place,
        "slug": slug,
        "concert_id": concert_id,
        "told": told_of(place, start_of(slug), language(), words_of(place, doors)),
        "way_in": way_in(concert_id),
        "doors": doors,
        **shared_words(place),
    }


def shared_words(place: Place) -> dict[str, Any]:
    """What of a place is the same for all who wait there, for a template."""
    return {
        "seats_state": place.seats.state if place.seats else "open",
        "message": said(place.message),
    }


def told_of(place: Place, start: int, code: str, words: Mapping[str, str]) -> dict[str, str]:
    """What of a place is its owner's own, or changes all the time: the `told` of templates.

    ``start`` is where they began, 0 where nobody knows; ``words`` are those of :func:`words_of`.
    """
    position = place.position or 0
    start = max(start, position, 1)
    return {
        "position": str(position or ""),
        "place": number_in(code, position),
        "ahead": number_in(code, max(0, position - 1)),
        "behind": number_in(code, max(0, place.waiting - position)),
        "start": str(start),
        "passed": str(start - position),
        "poll": str(place.poll_after_seconds),
        **seats_told_of(place.seats, code),
        **words,
    }


def seats_told_of(seats: SeatsBehind | None, code: str) -> dict[str, str]:
    """How many seats there are of each kind, in numbers and for the bar that shows them."""
    free, held, sold = (seats.free, seats.held, seats.sold) if seats else (0, 0, 0)
    return {
        "free": number_in(code, free),
        "held": number_in(code, held),
        "sold": number_in(code, sold),
        "free_width": str(free),
        "held_width": str(held),
        "sold_width": str(sold),
        "free_from": str(held + sold),
        "all": str(free + held + sold or 1),
    }


def words_of(place: Place, doors: Doors) -> dict[str, str]:
    """How long somebody may have to wait, until when about, and how it looks for them, in words."""
    seconds = place.estimated_wait_seconds
    return {
        "wait": wait_words(place, doors),
        "at": clock_in(seconds) if seconds and doors.state == "open" else "",
        "chance": chance_words(place.chance),
    }


def chance_words(chance: str | None) -> str:
    """How it looks for a seat, in plain words; nothing where nobody can say, or there is none."""
    if chance == "likely":
        return str(_("You will likely find a seat."))
    if chance == "maybe":
        return str(_("There may be a seat for you."))
    return str(_("As things are, a seat for you is unlikely.")) if chance == "unlikely" else ""


def wait_words(place: Place, doors: Doors) -> str:
    """How long somebody may have to wait, in words."""
    if doors.state == "paused":
        return str(_("paused"))
    if place.estimated_wait_range is not None:
        return between(place.estimated_wait_range)
    if place.estimated_wait_seconds is not None:
        return roughly(place.estimated_wait_seconds)
    return str(_("after the doors open") if doors.state == "later" else _("being measured"))


def _nowhere(room: Room, concert_id: int | None) -> dict[str, Any]:
    """What the template of somebody without a place needs."""
    state = room_state(room.slug)
    return {
        "room_state": state,
        "seats": state.seats,
        "seats_state": state.seats.state if state.seats else "open",
        "message": said(room.message),
        "place": None,
        "slug": room.slug,
        "concert_id": concert_id,
        "doors": doors_of(room, datetime.now(UTC)),
    }


def my_place(slug: str) -> Place | None:
    """Where I stand in this line, whichever of my devices lined up; None where I do not.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    tells_of(slug)
    token = queue_token(slug)
    place = None if token is None else _place_or_none(token)
    if token is not None and (place is None or place.status == "expired"):
        # This place is over; another device of mine may have lined up again since.
        newer = newer_queue_token(slug)
        if newer is not None and newer.sequence > token.sequence:
            place = _place_or_none(newer) or place
    return place


def _place_or_none(token: QueueToken) -> Place | None:
    try:
        place = service.place_of(token)
    except (TokenExpired, TokenInvalid):
        return None
    return None if place.status == "left" else place


def concert_behind(slug: str) -> Concert | None:
    """The concert that the request names, if it is behind this room."""
    concert_id = concert_id_behind(slug)
    try:
        return None if concert_id is None else concert_of(concert_id)
    except NotFound:
        # It was hidden a moment ago; whoever stands here stands here all the same.
        return None


def concert_id_behind(slug: str) -> int | None:
    """Its number alone, which costs PostgreSQL nothing once the process knows the concert."""
    named = request.values.get("concert", type=int)
    try:
        return named if named is not None and is_behind(named, slug) else None
    except NotFound:
        return None


def room_url(slug: str, concert: Concert | None, **more: Any) -> str:
    """Where a room's page is; it remembers which concert it is for."""
    return url_for("waiting_room.room", slug=slug, concert=concert and concert.concert_id, **more)


def way_in(concert_id: int | None) -> str:
    """Where somebody goes whose turn it is."""
    if concert_id is None:
        return url_for("concerts.home")
    return url_for("seats.dates", concert_id=concert_id)


def said(message: Mapping[str, str] | None) -> tuple[str, str] | None:
    """What the organiser says: the words in the reader's language where there are any, and their language."""
    spoken = {code: text for code, text in (message or {}).items() if text}
    if not spoken:
        return None
    code = language() if language() in spoken else next(iter(spoken))
    return spoken[code], code


def wanted_cookie(slug: str) -> str:
    """The name of the cookie that remembers for which concert somebody stands in this line."""
    return f"wanted-{slug}"


def _start_cookie(slug: str) -> str:
    return f"start-{slug}"


def start_of(slug: str) -> int:
    """Where whoever is asking began to wait in this line; 0 where nobody knows."""
    value = request.cookies.get(_start_cookie(slug), "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 0
