"""Traces by OpenTelemetry: a span a request or job, with its statements and its commands of Redis below it.

On where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says where to send them; OpenTelemetry's other variables
count, too. Its packages are an extra (``concert[otel]``), and are not imported otherwise. The spans
are begun around the whole app, since the express door goes past Flask.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from flask import Flask, g

from concert.ground.database import Connection, Database
from concert.ground.observability import RequestLines
from concert.ground.parts import keep, part
from concert.ground.redis_client import Client
from concert.ground.settings import Settings, SettingsError

SERVICE = "concert"


class Traces:
    """Where this app's spans go."""

    def __init__(self, provider: Any) -> None:
        self.provider = provider

    def span(self, name: str) -> AbstractContextManager[Any]:
        """A span around work that no request has brought."""
        found: AbstractContextManager[Any] = self.provider.get_tracer(
            __name__
        ).start_as_current_span(name)
        return found

    def flush(self) -> None:
        """Send what has not been sent."""
        self.provider.force_flush()


def span_of_job(app: Flask, name: str) -> AbstractContextManager[Any]:
    """A span around a job, where traces are on."""
    try:
        return part(Traces, app).span(name)
    except KeyError:
        return nullcontext()


def init_tracing(app: Flask, settings: Settings) -> None:
    """Trace the app's requests, where it is said where to send traces. The last to stand in front.

    Raises:
        SettingsError: the packages are missing.
    """
    if not settings.traces_endpoint:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
        from opentelemetry.instrumentation.redis import RedisInstrumentor
        from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import get_current_span
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and {error.name} is missing. "
            "Install the packages of traces: concert[otel]"
        ) from error
    resource = Resource.create({SERVICE_NAME: SERVICE}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    keep(app, Traces(provider))

    def equip(link: Connection) -> None:
        # Hot statements and the short way to Redis go past the clients that are traced.
        link.prepared = None
        PsycopgInstrumentor.instrument_connection(link, tracer_provider=provider)

    def name(method: str, route: str | None, status: int) -> None:
        span = get_current_span()
        # The rule, not the path: a path may carry a one-time code.
        span.update_name(f"{method} {route}" if route else method)
        span.set_attribute("http.route", route or "")
        span.set_attribute("concert.request_id", g.request_id)
        for attribute in ("http.target", "http.url", "url.path", "url.full", "url.query"):
            span.set_attribute(attribute, route or "")

    part(Database, app).equip = equip
    part(Client, app).fast = None
    RedisInstrumentor.instrument_client(part(Client, app), tracer_provider=provider)
    part(RequestLines, app).traced = name
    app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app, tracer_provider=provider)  # type: ignore[method-assign]
