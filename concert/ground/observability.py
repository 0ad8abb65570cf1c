"""Structured logs: one line a request, one line a job, with an id that both carry."""

from __future__ import annotations

import logging
import random
import re
import sys
import time
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from flask import Flask, Response, g, has_request_context, request

from concert.ground.parts import keep
from concert.ground.settings import Settings

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

log = structlog.get_logger("request")


class RequestLines:
    """Writes one line a request. In JSON it is put together here, which costs a fifth of structlog's way."""

    def __init__(self, as_json: bool, enabled: bool) -> None:
        self._out = sys.stderr.buffer if as_json else None
        self._enabled = enabled

    def answered(self, method: str, route: str | None, status: int) -> None:
        """Log what was answered to the present request; its ``g`` knows its id, and when it began."""
        if not self._enabled:
            return
        spent = round((time.perf_counter() - g.began) * 1000, 1)
        line = {"method": method, "route": route, "status": status, "ms": spent}
        if self._out is None:
            log.info("request", **line)
            return
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        shared = {"event": "request", "request_id": g.request_id, "level": "info", "timestamp": now}
        # One write for one line: lines of several threads stay apart.
        self._out.write(orjson.dumps({**line, **shared}, option=orjson.OPT_APPEND_NEWLINE))
        self._out.flush()


def configure_logs(settings: Settings) -> None:
    """Send all logs of this process to standard error, as JSON or, on a terminal, for people."""
    as_json = _as_json(settings)
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


def init_request_log(app: Flask, settings: Settings) -> None:
    """Give every request an id and log one line when it is answered."""
    lines = keep(app, RequestLines(_as_json(settings), LEVELS[settings.log_level] <= logging.INFO))

    @app.before_request
    def begin() -> None:
        begin_request(request.headers.get("X-Request-ID", ""))

    @app.after_request
    def answer(response: Response) -> Response:
        # Where the request could not even be begun, nothing was noted of it.
        request_id = g.setdefault("request_id", new_id())
        g.setdefault("began", time.perf_counter())
        response.headers["X-Request-ID"] = request_id
        lines.answered(request.method, route(), response.status_code)
        return response


def route() -> str | None:
    """The rule that the present request has met, None where it met none. What is logged of an
    address is this, not the path: a path may carry a one-time code."""
    return request.url_rule.rule if request.url_rule else None


def begin_request(given_id: str) -> None:
    """Note the request's id, the given one where it is fit, and that it begins now."""
    g.request_id = given_id if ACCEPTED_ID.fullmatch(given_id) else new_id()
    g.began = time.perf_counter()


def new_id() -> str:
    """An id to find a request by. It is no secret, and asking the system for randomness would
    let another thread have the interpreter for nothing."""
    return f"{random.getrandbits(128):032x}"


def _as_json(settings: Settings) -> bool:
    wanted = settings.log_format
    return wanted == "json" or (wanted == "auto" and not sys.stderr.isatty())


def _with_request_id(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Put the request's id into a line; a job's is bound by the worker."""
    if has_request_context() and "request_id" in g:
        event["request_id"] = g.request_id
    return event


def _json(event: dict[str, Any], **_: Any) -> bytes:
    return orjson.dumps(event, default=str)
