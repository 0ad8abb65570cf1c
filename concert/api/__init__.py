"""The JSON door, under ``/v1``: translates between HTTP and the services, and holds no rules."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import OpenAPI

from concert.api import (
    accounts,
    catalogue,
    cockpit,
    entries,
    halls,
    images,
    openapi,
    organiser,
    payments,
    planning,
    refunds,
    reservations,
    rooms,
    staff,
    tickets,
    waiting_room,
    wallet,
)
from concert.api.express import ExpressDoor
from concert.api.problems import answer_error
from concert.ground.parts import keep

__all__ = ["answer_error", "open_express_door", "register"]

FEATURES = (
    accounts,
    waiting_room,
    catalogue,
    reservations,
    wallet,
    payments,
    refunds,
    tickets,
    entries,
    organiser,
    staff,
    rooms,
    cockpit,
    halls,
    images,
    planning,
)


def register(app: OpenAPI) -> None:
    """Hang the door into the app."""
    paths: dict[str, Any] = {}
    for feature in FEATURES:
        for path, item in feature.door.paths.items():
            before = paths.get(path, item)
            operations = {method: getattr(item, method) for method in item.model_fields_set}
            paths[path] = before.model_copy(update=operations)
        app.register_api(feature.door)
    # Where two features have one path, the library keeps the operations of the last one only.
    app.paths.update(paths)
    app.register_blueprint(openapi.documents)
    keep(app, openapi.ApiDocument())
    keep(app, halls.WrittenPlans())


def open_express_door(app: OpenAPI) -> None:
    """Put the express door in front of what there is so far."""
    app.wsgi_app = keep(app, ExpressDoor(app, app.wsgi_app))  # type: ignore[method-assign]
