"""Pages for whoever works here: signing in by a link, my devices, signing out."""

from __future__ import annotations

from flask import Response, flash, g, request, url_for
from flask_babel import gettext as _

from concert.ground.errors import NotFound
from concert.ground.limits import guarded, network_of
from concert.staff import service
from concert.staff.access import needs
from concert.web.door import drop_staff_session, go_to, keep_staff_session, render
from concert.web.staff_door import actor, caller, new_staff_pages, origin

pages = new_staff_pages("staff_pages")

# Where somebody begins who has just signed in.
FIRST_PAGE = {
    "organiser": "organiser_pages.show",
    "box-office": "money_pages.payments",
    "door": "entrance.choose",
}

# What a browser says of itself, the more special word first: most of them claim to be others as well.
BROWSERS = (
    ("KAKAOTALK", "KakaoTalk"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Whale", "Whale"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux"),
)


@pages.get("/staff")
@needs(None)
def show() -> Response:
    """Who I am here, and the devices on which I am signed in."""
    me = caller()
    return render("staff/me.html", sessions=service.list_sessions(me.id))


@pages.get("/staff/enter/<code>")
def confirm(code: str) -> Response:
    """Ask before using the link up: messengers open links to preview them."""
    try:
        person = guarded(_address(), lambda: service.whose_link(code))
    except NotFound:
        return render("staff/over.html", 404)
    return render("staff/enter.html", code=code, person=person)


@pages.post("/staff/enter/<code>")
def enter(code: str) -> Response:
    """Sign in, on this device."""
    try:
        person, token = guarded(
            _address(),
            lambda: service.sign_in(
                code,
                device_of(request.headers.get("User-Agent", "")),
                request_id=g.get("request_id"),
                origin=origin(),
            ),
        )
    except NotFound:
        return render("staff/over.html", 404)
    keep_staff_session(token)
    return go_to(url_for(FIRST_PAGE.get(person.role, "staff_pages.show")))


@pages.post("/staff/leave")
@needs(None)
def leave() -> Response:
    """Sign out, on this device."""
    session_id = caller().session_id
    assert session_id is not None
    service.end_session(session_id, actor=actor())
    drop_staff_session()
    return render("staff/left.html", staff=None, page_token="")


@pages.post("/staff/sessions/<int:session_id>/end")
@needs(None)
def end_session(session_id: int) -> Response:
    """Sign another device of mine out."""
    service.end_session(session_id, actor=actor(), of=caller().id)
    flash(_("That device is signed out."), "good")
    return go_to(url_for("staff_pages.show"))


def device_of(user_agent: str) -> str:
    """A device by its browser and system, as people say it: ``Chrome, Android``; empty where neither is known."""
    found = (
        next((name for mark, name in marks if mark in user_agent), None)
        for marks in (BROWSERS, SYSTEMS)
    )
    return ", ".join(name for name in found if name)


def _address() -> str:
    return network_of(request.remote_addr or "")
