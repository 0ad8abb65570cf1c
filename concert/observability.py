"""Structured logs: one line a request, one line a job, with an id that both carry."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Any
from uuid import uuid4

import orjson
import structlog
from flask import Flask, Response, g, has_request_context, request

from concert.settings import Settings

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

log = structlog.get_logger("request")


def configure_logs(settings: Settings) -> None:
    """Send all logs of this process to standard error, as JSON or, on a terminal, for people."""
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    level = LEVELS[settings.log_level]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _with_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[Any]
    logger: Any
    if as_json:
        final = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
        logger = structlog.BytesLoggerFactory(sys.stderr.buffer)
    else:
        final = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        logger = structlog.PrintLoggerFactory(sys.stderr)
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=logger,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=max(level, logging.INFO), stream=sys.stderr, format="%(message)s", force=True
    )
    for noisy in (
        "rq.worker",
        "rq.cron",
        "rq.queue",
        "rq.job",
        "werkzeug",
        "psycopg.pool",
        "alembic.runtime",
    ):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))


def init_request_log(app: Flask) -> None:
    """Give every request an id and log one line when it is answered."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if ACCEPTED_ID.fullmatch(given) else uuid4().hex
        g.began = time.perf_counter()

    @app.after_request
    def answer(response: Response) -> Response:
        request_id = g.get("request_id") or uuid4().hex
        response.headers["X-Request-ID"] = request_id
        log.info(
            "request",
            method=request.method,
            # The rule, not the path: a path may carry a one-time code.
            route=request.url_rule.rule if request.url_rule else None,
            status=response.status_code,
            ms=round((time.perf_counter() - g.get("began", time.perf_counter())) * 1000, 1),
        )
        return response


def request_id() -> str | None:
    """The id of the request or job that is being served, to pass on to a job."""
    if has_request_context():
        return str(g.request_id) if "request_id" in g else None
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found


def _with_request_id(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Put the request's id into a line; a job's is bound by the worker."""
    if has_request_context() and "request_id" in g:
        event["request_id"] = g.request_id
    return event


def _json(event: dict[str, Any], **_: Any) -> bytes:
    return orjson.dumps(event, default=str)
