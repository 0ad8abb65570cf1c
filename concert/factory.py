"""Builds the Flask app: ground, then doors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Request, Response, request
from flask.json.provider import JSONProvider
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_openapi3 import OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

import concert.models  # noqa: F401  # registers every table
from concert import api, web
from concert.api.door import answer_invalid
from concert.api.metrics import metrics
from concert.api.openapi import INFO, SECURITY_SCHEMES, ApiRequest
from concert.catalogue.service import init_catalogue
from concert.covers.service import init_covers
from concert.ground.bodies import init_bodies
from concert.ground.budget import Budgeted
from concert.ground.database import init_database
from concert.ground.events import init_events
from concert.ground.fanout import init_fanout
from concert.ground.health import health
from concert.ground.limits import init_limits
from concert.ground.metrics import init_figures
from concert.ground.observability import configure_logs, init_request_log
from concert.ground.parts import keep
from concert.ground.redis_client import init_redis
from concert.ground.sale_health import sale_health
from concert.ground.settings import Settings, load_settings
from concert.ground.signing import init_signing
from concert.ground.streams import init_streams
from concert.ground.tracing import init_tracing
from concert.halls.service import init_halls
from concert.overview.figures import init_readings
from concert.overview.lately import init_overview
from concert.overview.parts import init_parts
from concert.overview.samples import init_samples
from concert.overview.watch import init_sale_watch
from concert.payments.service import init_payments
from concert.reservations.service import init_reservations
from concert.reservations.snapshots import init_snapshots
from concert.tickets.keys import init_ticket_keys
from concert.waiting_room.watch import init_place_watch
from concert.wallet.service import init_wallet

ROOT = Path(__file__).resolve().parent.parent
JSON_PATHS = ("/v1/", "/openapi.json", "/healthz", "/readyz", "/metrics")


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson: dates and UUIDs included, several times as fast."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """Serialize to text."""
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Read text or bytes."""
        return orjson.loads(s)


class PageSessions(SecureCookieSessionInterface):
    """The session of pages; the JSON door has tokens, and nothing to read from a cookie."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session in the request's cookie; None where JSON is asked for."""
        if request.path.startswith(JSON_PATHS):
            return None
        return super().open_session(app, request)


class ConcertApp(OpenAPI):
    """The app: Flask with an OpenAPI document, our request class and our JSON."""

    request_class = ApiRequest
    json_provider_class = OrjsonProvider
    session_interface = PageSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself: there are no async views, so nobody has to look eight times a request."""
        return func


def create_app(settings: Settings | None = None) -> ConcertApp:
    """Build the app.

    Raises:
        SettingsError: the environment is incomplete or wrong.
    """
    settings = settings or load_settings()
    configure_logs(settings)
    app = ConcertApp(
        "concert",
        info=INFO,
        security_schemes=SECURITY_SCHEMES,
        validation_error_status=400,
        validation_error_callback=answer_invalid,
        doc_ui=False,
        template_folder=str(ROOT / "templates"),
        static_folder=None,  # concert.web.assets serves the files
        root_path=str(ROOT),
    )
    keep(app, settings)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["MIGRATIONS_DIRECTORY"] = ROOT / "migrations"
    init_figures(app, settings)
    init_request_log(app, settings)
    init_signing(app, settings)
    init_database(app, settings)
    init_redis(app, settings)
    init_streams(app, settings)
    init_fanout(app, settings)
    init_events(app)
    init_limits(app, settings)
    init_halls(app)
    init_catalogue(app)
    init_covers(app)
    init_place_watch(app)
    init_wallet(app)
    init_reservations(app)
    init_payments(app)
    init_snapshots(app)
    init_ticket_keys(app, settings)
    init_overview(app)
    init_readings(app)
    init_samples(app)
    init_parts(app)
    init_sale_watch(app)
    app.register_blueprint(health)
    app.register_blueprint(sale_health)
    if settings.metrics:
        app.register_blueprint(metrics)
    api.register(app)
    web.register(app, settings)
    app.register_error_handler(Exception, answer_error)
    _stand_in_front(app, settings)
    init_tracing(app, settings)
    return app


def _stand_in_front(app: ConcertApp, settings: Settings) -> None:
    """What a request passes on its way to Flask, the last thing first."""
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=count
        )
    api.open_express_door(app)
    init_bodies(app, settings)
    app.wsgi_app = Budgeted(app.wsgi_app)  # type: ignore[method-assign]


def answer_error(error: Exception) -> Response:
    """Answer an error as the door does to which the address belongs."""
    is_json = request.path.startswith(JSON_PATHS) or request.path == "/v1"
    return api.answer_error(error) if is_json else web.answer_error(error)
