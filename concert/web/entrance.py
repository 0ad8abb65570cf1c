"""Pages of the door: which date and gate, scanning, searching, and what a phone keeps for a time without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote
from uuid import UUID

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from concert.catalogue.service import (
    Concert,
    Performance,
    concert_of,
    find_performance,
    list_concerts,
    place_of_performance,
)
from concert.ground.errors import BadRequest
from concert.ground.parts import part
from concert.overview.entrances import attendance_lately
from concert.staff.access import needs
from concert.tickets import entries
from concert.tickets.models import LONGEST_WORD
from concert.web.assets import Assets
from concert.web.door import PAGE_POLICY, go_to, keep_for_a_day, new_form_key, render
from concert.web.staff_door import actor, caller, new_staff_pages

pages = new_staff_pages("entrance")

GATE_COOKIE = "concert_gate"
# Dates that a door may be opened for: they began at most so long ago, or are to come.
SHOWN_AFTER = timedelta(hours=12)
MOST_DATES = 40
MOST_CONCERTS = 100
# The code reader is WebAssembly, and the page has a worker of its own: here, and on no other page.
POLICY = (
    PAGE_POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
    + "; worker-src 'self'"
)
CAMERA = "camera=(self), geolocation=(), microphone=()"


@pages.get("/door")
@needs("door")
def choose() -> Response:
    """Which date, and at which gate: asked once."""
    now = datetime.now(UTC)
    listed, _following = list_concerts(limit=MOST_CONCERTS)
    dates = sorted(
        (
            (performance, one.concert)
            for one in listed
            for performance in one.concert.performances
            if performance.starts_at > now - SHOWN_AFTER
        ),
        key=lambda pair: pair[0].starts_at,
    )
    gate = _gate() or unquote(request.cookies.get(GATE_COOKIE, ""))[:LONGEST_WORD]
    return render("entrance/choose.html", dates=dates[:MOST_DATES], gate=gate)


@pages.get("/door/worker.js")
def worker() -> Response:
    """The script that keeps the page on the phone; it has to stand above what it keeps."""
    return Response(part(Assets).find("js/door/worker.js").body, mimetype="text/javascript")


@pages.get("/door/<int:performance_id>")
@needs("door")
def scan(performance_id: int) -> Response:
    """Scan; without a script, type a code."""
    if not _gate():
        return go_to(url_for("entrance.choose"))
    keep_for_a_day(GATE_COOKIE, quote(_gate()))
    return _scan_page(performance_id)


@pages.post("/door/<int:performance_id>")
@needs("door")
def enter(performance_id: int) -> Response:
    """Enter a ticket that was typed, or found by name or number."""
    ticket = request.form.get("ticket", "")
    told = entries.enter(
        entries.Scan(
            gate=_gate(),
            device=f"session-{caller().session_id}",
            scan_id=request.form.get("key", ""),
            at=datetime.now(UTC),
            code=None if ticket else request.form.get("code", "")[:500],
            ticket_id=_ticket_id(ticket) if ticket else None,
            performance_id=performance_id,
        )
    )
    return _scan_page(performance_id, told)


@pages.get("/door/<int:performance_id>/search")
@needs("door")
def search(performance_id: int) -> Response:
    """Find a ticket by seat, name, payment or a code of before."""
    words = request.args.get("search", "").strip()[:300]
    concert, performance = _what(performance_id)
    found = entries.find_tickets(performance_id, words) if words else []
    return _for_the_door(
        render(
            "entrance/search.html",
            concert=concert,
            performance=performance,
            gate=_gate(),
            words=words,
            found=found,
            new_key=new_form_key,
        )
    )


@pages.post("/door/<int:performance_id>/entries/<int:entry_id>/undo")
@needs("door")
def undo(performance_id: int, entry_id: int) -> Response:
    """Take an entry back, and say why."""
    entries.undo_entry(entry_id, actor=actor(), reason=request.form.get("reason"))
    flash(_("The entry is undone. The ticket may enter again."), "good")
    return go_to(url_for("entrance.scan", performance_id=performance_id, gate=_gate()))


def _scan_page(performance_id: int, told: entries.Answered | None = None) -> Response:
    concert, performance = _what(performance_id)
    return _for_the_door(
        render(
            "entrance/scan.html",
            concert=concert,
            performance=performance,
            gate=_gate(),
            attendance=attendance_lately(performance_id),
            told=told,
            key=new_form_key(),
        )
    )


def _for_the_door(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Permissions-Policy"] = CAMERA
    return response


def _gate() -> str:
    return request.values.get("gate", "").strip()[:LONGEST_WORD]


def _ticket_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise BadRequest("This is no ticket.") from error


def _what(performance_id: int) -> tuple[Concert, Performance]:
    concert = concert_of(place_of_performance(performance_id)[0])
    return concert, find_performance(concert, performance_id=performance_id)
