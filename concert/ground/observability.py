"""Structured logs: one line a request, one line a job and one an event, with an id that all carry.

Every request of either door is counted here as well, in the moment that its line is written.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import orjson
import structlog
from flask import Flask, Response, g, has_app_context, request

from concert.ground.errors import DomainError
from concert.ground.metrics import COUNTED_EVENTS, EVENTS, REFUSALS, WON, Figures
from concert.ground.parts import keep, part
from concert.ground.settings import Settings

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

USER_BYTES = 6

Given = ParamSpec("Given")
Found = TypeVar("Found")

log = structlog.get_logger("request")


class Lines:
    """Writes lines. In JSON they are put together here, which costs a fifth of structlog's way."""

    def __init__(self, as_json: bool, enabled: bool) -> None:
        self._out = sys.stderr.buffer if as_json else None
        self.enabled = enabled

    def write(self, event: str, line: dict[str, Any], request_id: str | None) -> None:
        """Write a line about an event."""
        if self._out is None:
            log.info(event, **line)
            return
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        shared = {"event": event, "request_id": request_id, "level": "info", "timestamp": now}
        # One write for one line: lines of several threads stay apart. Where nobody takes it, what
        # was done is done all the same.
        with suppress(OSError, ValueError):
            self._out.write(orjson.dumps({**line, **shared}, option=orjson.OPT_APPEND_NEWLINE))
            self._out.flush()


class RequestLines(Lines):
    """Writes one line a request, and counts it."""

    def __init__(self, as_json: bool, enabled: bool, figures: Figures) -> None:
        super().__init__(as_json, enabled)
        self._figures = figures if figures.enabled else None
        # Told the same, where traces are on.
        self.traced: Callable[[str, str | None, int], None] | None = None

    def answered(self, method: str, route: str | None, status: int) -> None:
        """Note what was answered to the present request; its ``g`` knows its id, and when it began."""
        if not self.enabled and self._figures is None and self.traced is None:
            return
        spent = time.perf_counter() - g.began
        if self._figures is not None:
            self._figures.request(method, route, status, spent)
        if self.traced is not None:
            self.traced(method, route, status)
        if self.enabled:
            ms = round(spent * 1000, 1)
            line = {"method": method, "route": route, "status": status, "ms": ms}
            self.write("request", line, g.request_id)


class EventLines(Lines):
    """Writes what fans have done, one line each, and counts it."""

    def __init__(self, as_json: bool, enabled: bool, figures: Figures, keys: Sequence[str]) -> None:
        super().__init__(as_json, enabled)
        self._figures = figures
        self._secret = _secret_of(keys[0] if keys else "")

    def note(self, event: str, user_id: UUID, known: dict[str, Any]) -> None:
        """Note an event; the user is named by a hash."""
        # A job has no request, and is counted in Redis.
        request_id = g.get("request_id")
        if event in COUNTED_EVENTS and request_id is not None:
            self._figures.count(EVENTS, event)
            if "amount" in known:
                self._figures.count(WON, event, by=known["amount"])
        if self.enabled:
            if request_id is None:
                request_id = structlog.contextvars.get_contextvars().get("request_id")
            self.write(event, {"user": _hashed(user_id, self._secret), **known}, request_id)


def note_event(event: str, user_id: UUID, **known: Any) -> None:
    """Note what a fan has done, for whoever looks for it later: one line, and a count.

    To be called after the commit. ``known`` says where and what: the room, the performance, seats,
    the reservation, the payment, an ``amount`` in won. No names, no tokens.
    """
    part(EventLines).note(event, user_id, known)


def counts_refusals(operation: str) -> Callable[[Callable[Given, Found]], Callable[Given, Found]]:
    """Count how often a service function comes to nothing, by the code of its error."""

    def mark(work: Callable[Given, Found]) -> Callable[Given, Found]:
        @wraps(work)
        def counted(*arguments: Given.args, **named: Given.kwargs) -> Found:
            try:
                return work(*arguments, **named)
            except DomainError as error:
                part(Figures).count(REFUSALS, operation, error.code)
                raise

        return counted

    return mark


def user_in_logs(user_id: UUID, key: str) -> str:
    """A user as lines name them: a hash that needs our key, the same in every line."""
    return _hashed(user_id, _secret_of(key))


def _secret_of(key: str) -> bytes:
    return hashlib.sha256(b"a user in logs\0" + key.encode()).digest()


def _hashed(user_id: UUID, secret: bytes) -> str:
    return hashlib.blake2b(user_id.bytes, key=secret, digest_size=USER_BYTES).hexdigest()


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
    """Give every request an id, and log and count it when it is answered."""
    wanted = LEVELS[settings.log_level] <= logging.INFO
    figures = part(Figures, app)
    lines = keep(app, RequestLines(_as_json(settings), wanted, figures))
    keep(app, EventLines(_as_json(settings), wanted, figures, settings.secret_keys))

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
    if has_app_context() and "request_id" in g:
        event["request_id"] = g.request_id
    return event


def _json(event: dict[str, Any], **_: Any) -> bytes:
    return orjson.dumps(event, default=str)
