"""Reports of a sale: what came of it, as plots, tables and files."""

from __future__ import annotations

from flask import Response, request, stream_with_context
from werkzeug.exceptions import NotFound as NoSuchPage

from concert.catalogue.service import list_concerts
from concert.overview.reports import (
    REPORTS,
    Scope,
    as_csv,
    dates,
    hours,
    prices,
    scope_of,
)
from concert.staff.access import needs
from concert.waiting_room.rooms import list_rooms
from concert.web.door import render
from concert.web.staff_door import new_staff_pages

pages = new_staff_pages("report_pages")

CONCERTS = 50
HOURS_IN_TABLE = 200


@pages.get("/organiser/reports")
@needs("organiser")
def show() -> Response:
    """Of a room or a concert: sales by hour, by price and by date."""
    rooms = list_rooms()
    room, concert = _asked()
    if room is None and concert is None:
        room = rooms[0].slug
    scope = scope_of(room=room, concert=concert)
    by_hour = hours(scope)
    concerts, _ = list_concerts(limit=CONCERTS)
    return render(
        "cockpit/reports.html",
        rooms=rooms,
        concerts=[one.concert for one in concerts],
        room=room,
        chosen=concert,
        hours=by_hour[-HOURS_IN_TABLE:],
        prices=prices(scope),
        dates=dates(scope),
        points=[[round(at.timestamp()), seats, amount] for at, _orders, seats, amount in by_hour],
        which={"concert": concert} if concert is not None else {"room": room},
        reports=list(REPORTS),
    )


@pages.get("/organiser/reports/<name>.csv")
@needs("organiser")
def save(name: str) -> Response:
    """One of the reports as a file."""
    if name not in REPORTS:
        raise NoSuchPage()
    room, concert = _asked()
    scope: Scope = scope_of(room=room or "main", concert=concert)
    lines = as_csv(name, scope, bom=request.args.get("bom") == "1")
    response = Response(stream_with_context(lines), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{scope.name}.csv"'
    return response


def _asked() -> tuple[str | None, int | None]:
    """The room or the concert that is asked for; ``of`` is how the form says either."""
    kind, _, which = request.args.get("of", "").partition(":")
    room = which if kind == "room" else request.args.get("room")
    concert = which if kind == "concert" else request.args.get("concert", "")
    known = concert.isascii() and concert.isdecimal() and len(concert) < 19
    return room or None, int(concert) if known else None
