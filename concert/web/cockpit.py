"""The cockpit: one page for one sale while it runs, and the levers beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from flask import Response, flash, jsonify, render_template, request, url_for
from flask_babel import gettext as _

from concert.catalogue.closing import end_sales
from concert.ground.errors import BadRequest, ChangedMeanwhile, NotFound
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.ground.streams import encoded, limit_streams, stream_response
from concert.overview.cockpit import SaleNow, history, sale_behind, sale_of_concert
from concert.overview.levers import effects_of_change, effects_of_ending
from concert.overview.parts import parts_now
from concert.overview.samples import Point
from concert.overview.watch import sale_viewer
from concert.staff.access import needs
from concert.waiting_room.levers import last_change, undo_last_change
from concert.waiting_room.rooms import NotYetInEffect, change_room, room_of
from concert.web.door import go_to, render
from concert.web.language import LANGUAGES
from concert.web.staff_door import actor, caller, new_staff_pages

pages = new_staff_pages("cockpit_pages")

MOVED = encoded(("moved", "-"))
# What a page shows of the past, in hours; 0 is all that is known.
RANGES = (1, 6, 24, 0)
USUAL_RANGE = 6
ROWS_OF_TABLE = 30


@pages.get("/organiser/sales/<slug>")
@needs("organiser")
def show(slug: str) -> Response:
    """Everything that is sold behind a room, as it stands now and how it came to that."""
    return _sale_page(sale_behind(slug), None)


@pages.get("/organiser/sales/concerts/<int:concert_id>")
@needs("organiser")
def show_concert(concert_id: int) -> Response:
    """One concert's sale; the line is its room's."""
    return _sale_page(sale_of_concert(concert_id), concert_id)


@pages.get("/organiser/sales/<slug>/now")
@needs("organiser")
def now(slug: str) -> Response:
    """What a page puts in place of what it shows: the numbers as fragments, and points for its charts."""
    concert_id = request.args.get("concert", type=int)
    sale = sale_of_concert(concert_id) if concert_id else sale_behind(slug)
    if sale.room.slug != slug:
        raise NotFound("This concert is not behind this room.")
    shown = {"sale": sale, "concert_id": concert_id, "now": sale.at}
    return jsonify(
        {
            "now": render_template("cockpit/_now.html", **shown),
            "dates": render_template("cockpit/_dates.html", **shown),
            "parts": render_template("cockpit/_parts.html", parts=parts_now()),
            "version": sale.room.version,
            "points": [
                list(one)
                for one in (*_since(slug, request.args.get("since", 0, type=int)), sale.point)
            ],
        }
    )


@pages.get("/live/organiser/sales/<slug>")
@needs("organiser")
def live(slug: str) -> Response:
    """``moved`` whenever something of the sale has; the page then asks for it."""
    viewer = ("staff", caller().id)
    limit_streams(viewer)
    room_of(slug)
    # The first one covers what has moved since the page was made.
    return stream_response(viewer, sale_viewer(slug), MOVED, lambda _slug: (MOVED, False))


@pages.get("/organiser/sales/<slug>/lever")
@needs("organiser")
def preview(slug: str) -> Response:
    """What pulling a lever would do, before it is pulled."""
    return _preview(slug, request.args)


@pages.post("/organiser/sales/<slug>/lever")
@needs("organiser")
def pull(slug: str) -> Response:
    """Pull a lever whose effect was shown; where the room has changed since, it is shown anew."""
    form = request.form
    lever = _lever(slug, form)
    reason = form.get("reason") or None
    version = form.get("version", type=int)
    try:
        if lever.ending:
            end_sales(lever.ending, actor=actor(), reason=reason)
        elif lever.undo:
            undo_last_change(slug, actor=actor(), reason=reason, version=version)
        else:
            change_room(slug, lever.changes, actor=actor(), reason=reason, version=version)
    except ChangedMeanwhile:
        return _preview(slug, form, was_changed=True)
    except NotYetInEffect:
        flash(_("It is saved, and takes effect as soon as the line can be reached again."), "warm")
    else:
        flash(_("Done. Everybody in line sees it now."), "good")
    return go_to(url_for("cockpit_pages.show", slug=slug))


@dataclass(frozen=True, slots=True)
class Lever:
    """What somebody wants to do: change settings, take the last change back, or end the sale of dates."""

    changes: dict[str, Any] = field(default_factory=dict)
    undo: bool = False
    ending: tuple[int, ...] = ()


def _lever(slug: str, typed: Mapping[str, str]) -> Lever:
    """What a form asks for.

    Raises:
        BadRequest: it makes no sense.
    """
    which = typed.get("lever", "")
    if which == "undo":
        change = last_change(room_of(slug))
        if change is None:
            raise BadRequest("There is nothing to take back.")
        return Lever(dict(change.before), undo=True)
    if which == "end":
        values = request.values.getlist("performance")
        return Lever(ending=tuple(int(one) for one in values if one.isdecimal() and len(one) < 19))
    if which in ("pause", "resume"):
        return Lever({"paused": which == "pause"})
    if which == "open":
        return Lever({"opens_at": None})
    if which == "later":
        return Lever({"opens_at": _moment(typed.get("opens_at", ""))})
    if which == "pace":
        wanted = ("capacity", "admit_per_minute")
        return Lever({name: _number(typed.get(name, "")) for name in wanted})
    if which == "silence":
        return Lever({"message": None})
    if which == "message":
        return Lever({"message": {code: typed.get(code, "").strip() for code in LANGUAGES}})
    raise BadRequest("There is no such lever.")


def _preview(slug: str, typed: Mapping[str, str], *, was_changed: bool = False) -> Response:
    lever = _lever(slug, typed)
    # The seats are those of the last second; the room is as it is now, since what is confirmed is judged by it.
    room = room_of(slug)
    sale = replace(sale_behind(slug), room=room)
    effects = (
        effects_of_ending(sale, lever.ending)
        if lever.ending or typed.get("lever") == "end"
        else effects_of_change(sale, lever.changes)
    )
    return render(
        "cockpit/lever.html",
        409 if was_changed else 200,
        sale=sale,
        room=room,
        lever=lever,
        which=typed.get("lever", ""),
        typed={name: typed.get(name, "") for name in ("opens_at", *LANGUAGES)},
        effects=effects,
        does_something=effects[0].kind != "no_change",
        was_changed=was_changed,
    )


def _sale_page(sale: SaleNow, concert_id: int | None) -> Response:
    hours = request.args.get("hours", USUAL_RANGE, type=int)
    hours = hours if hours in RANGES else USUAL_RANGE
    points = [*history(sale.room.slug, hours or None, sale.at), sale.point]
    return render(
        "cockpit/page.html",
        sale=sale,
        concert_id=concert_id,
        parts=parts_now(),
        points=[list(one) for one in points],
        rows=_rows(points),
        ranges=RANGES,
        hours=hours,
        change=last_change(sale.room),
        zone=part(Settings).timezone,
    )


def _since(slug: str, since_ms: int) -> list[Point]:
    """The samples after a moment, for a page that has those before."""
    if since_ms <= 0:
        return []
    now_ms = datetime.now(UTC).timestamp() * 1000
    # Whoever asks for more than a day begins anew.
    hours = min(24, int((now_ms - since_ms) / 3_600_000) + 1)
    return [one for one in history(slug, hours, datetime.now(UTC)) if one.at > since_ms]


def _rows(points: list[Point]) -> list[tuple[datetime, Point]]:
    """Some of the points for the table beside the charts, the newest first."""
    step = max(1, len(points) // ROWS_OF_TABLE)
    chosen = points[::-1][::step]
    return [(datetime.fromtimestamp(one.at / 1000, UTC), one) for one in chosen]


def _number(typed: str) -> int:
    if not (typed.isascii() and typed.isdecimal() and len(typed) < 10):
        raise BadRequest("This is a whole number.")
    return int(typed)


def _moment(typed: str) -> datetime:
    """A time as a field for one gives it, which is told in the time zone of the venue."""
    try:
        return datetime.fromisoformat(typed).replace(tzinfo=part(Settings).zone)
    except ValueError as error:
        raise BadRequest("This is a day and a time.") from error
