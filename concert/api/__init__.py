"""The JSON door, under ``/v1``: translates between HTTP and the services, and holds no rules."""

from __future__ import annotations

from flask_openapi3 import OpenAPI

from concert.api import (
    accounts,
    catalogue,
    openapi,
    organiser,
    payments,
    problems,
    reservations,
    waiting_room,
    wallet,
)

FEATURES = (accounts, waiting_room, catalogue, reservations, wallet, payments, organiser)


def register(app: OpenAPI) -> None:
    """Hang the door into the app."""
    problems.init_problems(app)
    for feature in FEATURES:
        app.register_api(feature.door)
    app.register_blueprint(openapi.documents)
