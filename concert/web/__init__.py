"""The HTML door: pages for fans and for staff. It translates between forms and the services, and holds no rules."""

from __future__ import annotations

from flask import Flask

from concert.ground.settings import Settings
from concert.web import (
    assets,
    catalogue,
    checkout,
    cockpit,
    covers,
    door,
    entrance,
    formats,
    greeting,
    language,
    live,
    me,
    money_back,
    organiser,
    planning,
    reports,
    returns,
    seats,
    shared,
    staff,
    staff_door,
    tickets,
    waiting_room,
    wallet,
)
from concert.web.errors import answer_error

# Each has a blueprint called ``pages``, made by ``door.new_pages``.
FEATURES = (
    catalogue,
    covers,
    waiting_room,
    seats,
    checkout,
    live,
    wallet,
    tickets,
    me,
    staff,
    organiser,
    cockpit,
    reports,
    money_back,
    returns,
    entrance,
    planning,
)

__all__ = ["answer_error", "register"]


def register(app: Flask, settings: Settings) -> None:
    """Hang the door into the app."""
    language.init_language(app, settings)
    assets.init_assets(app)
    formats.init_formats(app)
    door.init_door(app, settings)
    staff_door.init_staff_door(app)
    live.init_live(app)
    greeting.init_greeting(app)
    shared.init_shared(app)
    covers.init_looks(app)
    for feature in FEATURES:
        app.register_blueprint(feature.pages)
