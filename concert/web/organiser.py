"""Pages for organisers: what there is, who works here, keys, and the audit log."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any, cast

import orjson
import segno
from flask import Response, flash, request, stream_with_context, url_for
from flask_babel import gettext as _

from concert.catalogue.service import list_concerts
from concert.ground import audit
from concert.ground.errors import BadRequest, NameTaken, Unavailable
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.overview.service import RoomOverview, overview_of
from concert.staff import keys as key_service
from concert.staff import service
from concert.staff.access import ROLES, Role, needs
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import list_rooms
from concert.web.door import go_to, render
from concert.web.staff_door import actor, new_staff_pages

pages = new_staff_pages("organiser_pages")

LINES = 50
CONCERTS = 50


@pages.get("/organiser")
@needs("organiser")
def show() -> Response:
    """What there is: concerts, and rooms with their state."""
    concerts, more = list_concerts(limit=CONCERTS)
    rooms: list[tuple[Room, RoomOverview | None]] = []
    for room in list_rooms():
        try:
            rooms.append((room, overview_of(room.slug)))
        except Unavailable:
            # The line cannot be asked; its settings can be shown all the same.
            rooms.append((room, None))
    return render("organiser/page.html", concerts=concerts, more=more, rooms=rooms)


@pages.get("/organiser/staff")
@needs("organiser")
def people() -> Response:
    """Who works here, and where they are signed in."""
    return _people()


@pages.post("/organiser/staff")
@needs("organiser")
def add_person() -> Response:
    """Let somebody work here; shows the link with which they sign in."""
    role = cast(Role, request.form.get("role", ""))
    try:
        made = service.add_person(
            request.form.get("name", ""), role, actor=actor(), reason=_reason()
        )
    except NameTaken:
        return _people(_("Somebody here has this name already."), 409)
    except BadRequest:
        return _people(_("A name has 1 to %(most)s letters, and one role.", most=80), 400)
    return _link_page(made)


@pages.post("/organiser/staff/<int:staff_id>/link")
@needs("organiser")
def new_link(staff_id: int) -> Response:
    """A new link for somebody; the one before works no more."""
    return _link_page(service.make_link(staff_id, actor=actor()))


@pages.post("/organiser/staff/<int:staff_id>/remove")
@needs("organiser")
def remove_person(staff_id: int) -> Response:
    """Let somebody work here no more."""
    person = service.remove_person(staff_id, actor=actor(), reason=_reason())
    flash(_("%(name)s works here no more and is signed out everywhere.", name=person.name), "good")
    return go_to(url_for("organiser_pages.people"))


@pages.post("/organiser/sessions/<int:session_id>/end")
@needs("organiser")
def end_session(session_id: int) -> Response:
    """Sign anybody's device out."""
    service.end_session(session_id, actor=actor())
    flash(_("That device is signed out."), "good")
    return go_to(url_for("organiser_pages.people"))


@pages.get("/organiser/keys")
@needs("organiser")
def keys() -> Response:
    """The API keys that are good."""
    return _keys()


@pages.post("/organiser/keys")
@needs("organiser")
def add_key() -> Response:
    """Make a key; shows it, once."""
    scope = cast(Role, request.form.get("scope", ""))
    try:
        made = key_service.add_key(
            request.form.get("name", ""), scope, actor=actor(), reason=_reason()
        )
    except NameTaken:
        return _keys(_("There is a key of this name already. Give it a new one below."), 409)
    except BadRequest:
        return _keys(_("A name has 1 to %(most)s letters, and one role.", most=80), 400)
    return render("organiser/key.html", made=made)


@pages.post("/organiser/keys/<int:key_id>/rotate")
@needs("organiser")
def rotate_key(key_id: int) -> Response:
    """Make the next key of this name; the one before is good for a day more."""
    try:
        made = key_service.rotate_key(key_id, actor=actor(), reason=_reason())
    except NameTaken:
        # The page that shows the new key was loaded again, or two people had the same thought.
        flash(_("This key has a successor already."), "bad")
        return go_to(url_for("organiser_pages.keys"))
    return render("organiser/key.html", made=made, overlap=key_service.USUAL_OVERLAP_HOURS)


@pages.post("/organiser/keys/<int:key_id>/revoke")
@needs("organiser")
def revoke_key(key_id: int) -> Response:
    """End a key at once."""
    key = key_service.revoke_key(key_id, actor=actor(), reason=_reason())
    flash(_("The key %(name)s is good no more.", name=key.name), "good")
    return go_to(url_for("organiser_pages.keys"))


@pages.get("/organiser/log")
@needs("organiser")
def log() -> Response:
    """What was done, newest first."""
    wanted, typed = _wanted()
    entries, older = audit.read_log(wanted, before=_number("before"), limit=LINES)
    verbs, kinds = audit.words_of_log()
    return render(
        "organiser/log.html",
        entries=entries,
        older=older,
        typed=typed,
        verbs=verbs,
        subject_kinds=kinds,
        people=service.list_people(),
        keys=key_service.list_keys(),
        is_filtered=any(typed.values()),
    )


@pages.get("/organiser/log.csv")
@needs("organiser")
def log_as_csv() -> Response:
    """The same as a table, all of it."""
    return _export(_csv_of(_wanted()[0]), "text/csv", "csv")


@pages.get("/organiser/log.jsonl")
@needs("organiser")
def log_as_json_lines() -> Response:
    """The same, a JSON document a line."""
    return _export(_json_of(_wanted()[0]), "application/jsonl", "jsonl")


def _people(fault: str | None = None, status: int = 200) -> Response:
    everybody = service.list_people()
    sessions = service.list_sessions()
    return render(
        "organiser/staff.html",
        status,
        people=everybody,
        sessions_of={
            person.staff_id: [one for one in sessions if one.staff_id == person.staff_id]
            for person in everybody
        },
        roles=ROLES,
        fault=fault,
        typed=request.form.get("name", "") if fault else "",
        chosen=request.form.get("role", "") if fault else "door",
    )


def _keys(fault: str | None = None, status: int = 200) -> Response:
    return render(
        "organiser/keys.html",
        status,
        keys=key_service.list_keys(),
        roles=ROLES,
        fault=fault,
        typed=request.form.get("name", "") if fault else "",
        chosen=request.form.get("scope", "") if fault else "door",
    )


def _link_page(made: service.SignInLink) -> Response:
    address = url_for("staff_pages.confirm", code=made.code, _external=True)
    drawn = segno.make(address, error="m", micro=False).svg_inline(
        border=4, scale=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    return render("organiser/link.html", made=made, address=address, qr=drawn)


def _reason() -> str | None:
    return request.form.get("reason") or None


def _wanted() -> tuple[audit.Wanted, dict[str, str]]:
    """What the form above the log asks for, and what was typed there. What makes no sense is left out."""
    names = ("who", "verb", "kind", "subject", "since", "until")
    typed = {name: request.args.get(name, "").replace("\0", "").strip()[:80] for name in names}
    kind, _colon, number = typed["who"].partition(":")
    actor_kind = kind if kind in audit.KINDS else None
    wanted = audit.Wanted(
        actor_kind=actor_kind,
        actor_id=int(number) if actor_kind and _is_number(number) else None,
        verb=typed["verb"] or None,
        subject_kind=typed["kind"] or None,
        subject_id=typed["subject"] or None,
        since=_day(typed["since"]),
    )
    last = _day(typed["until"])
    return (replace(wanted, until=last + timedelta(days=1)) if last else wanted), typed


def _day(typed: str) -> datetime | None:
    """The beginning of a day, in the time zone of the venue."""
    try:
        day = datetime.strptime(typed, "%Y-%m-%d")
    except ValueError:
        return None
    if not 2000 <= day.year <= 2200:
        return None
    return datetime.combine(day, time(), part(Settings).zone)


def _number(name: str) -> int | None:
    typed = request.args.get(name, "")
    return int(typed) if _is_number(typed) else None


def _is_number(typed: str) -> bool:
    return typed.isascii() and typed.isdecimal() and len(typed) < 19


def _export(lines: Iterator[str], mimetype: str, suffix: str) -> Response:
    response = Response(stream_with_context(lines), mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="audit-log.{suffix}"'
    return response


def _csv_of(wanted: audit.Wanted) -> Iterator[str]:
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(audit.CSV_HEAD)
    yield written.getvalue()
    for entry in audit.read_whole_log(wanted):
        written.seek(0)
        written.truncate()
        table.writerow(audit.as_cells(entry))
        yield written.getvalue()


def _json_of(wanted: audit.Wanted) -> Iterator[str]:
    for entry in audit.read_whole_log(wanted):
        document: dict[str, Any] = audit.as_document(entry)
        yield orjson.dumps(document).decode() + "\n"
