"""Who is inside or in line somewhere is greeted with it on every page that does not say so itself."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, g, render_template, request, url_for
from markupsafe import Markup

from concert.catalogue.service import Concert, concert_of
from concert.ground.errors import NotFound, Unavailable
from concert.waiting_room.service import Place, places_of
from concert.web.door import current_user, kept_queue_tokens, live_hold, shows_a_clock
from concert.web.waiting_room import wanted_cookie, way_in

# Somebody who pays needs no other clock.
SILENT = ("checkout",)
LONGEST_NUMBER = 18


@dataclass(frozen=True, slots=True)
class Greeting:
    """A place that is worth a word on other pages: whose turn it is, or who waits.

    ``title`` is that of the concert for which this device lined up, where it is known; ``way`` leads there.
    """

    place: Place
    title: str | None
    way: str


def init_greeting(app: Flask) -> None:
    """Give ``bar`` to templates."""
    app.context_processor(lambda: {"bar": bar})


def bar() -> Markup:
    """What every whole page says of whoever is asking: what they hold, or else where they stand."""
    hold = live_hold()
    met = None if hold else greeting()
    if hold is None and met is None:
        return Markup()
    return Markup(render_template("_components/bar.html", hold=hold, met=met))


def greeting() -> Greeting | None:
    """The turn of whoever is asking, or else the place that is nearest to the front.

    A whole page asks once, where nothing is held. It costs somebody who stands
    in a line one round trip to Redis, and nobody else anything. None where it cannot be known.
    """
    if g.get("web_status", 200) >= 500 or request.blueprint in SILENT or current_user() is None:
        return None
    tokens = kept_queue_tokens()
    if not tokens:
        return None
    try:
        found = places_of(tokens)
    except Unavailable:
        return None
    places = [place for place in found if place and place.status in ("waiting", "admitted")]
    return _greeting(min(places, key=_nearness)) if places else None


def _nearness(place: Place) -> tuple[bool, int]:
    return place.status != "admitted", place.position or 0


def _greeting(place: Place) -> Greeting:
    slug = place.token.room
    concert = _wanted(slug)
    concert_id, title = (concert.concert_id, concert.title) if concert else (None, None)
    if place.status == "admitted":
        shows_a_clock()
        return Greeting(place, title, way_in(concert_id))
    return Greeting(place, title, url_for("waiting_room.room", slug=slug, concert=concert_id))


def _wanted(slug: str) -> Concert | None:
    """The concert for which this device lined up here, as it remembers it."""
    number = request.cookies.get(wanted_cookie(slug), "")
    if not (number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER):
        return None
    try:
        concert = concert_of(int(number))
    except (NotFound, Unavailable):
        return None
    return concert if concert.room == slug else None
