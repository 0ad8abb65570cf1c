"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

from typing import Any

import orjson
import structlog
from flask import Response, g
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from concert.ground.errors import (
    BadRequest,
    DomainError,
    Fault,
    InsufficientBalance,
    LoneSeat,
    ReholdTooSoon,
    SeatsInUse,
    SeatTaken,
    error_of_status,
)
from concert.ground.observability import route
from concert.halls.draft import PlanRefused

log = structlog.get_logger()


def answer_error(error: Exception) -> Response:
    """The problem document for any error."""
    if isinstance(error, DomainError):
        return answer_domain_error(error)
    if isinstance(error, HTTPException):
        return answer_http_error(error)
    return answer_fault(error)


def problem(
    kind: type[DomainError], detail: str, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """A problem document; ``more`` are further members of it."""
    document = {
        "type": f"urn:concert:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": kind.code,
    }
    request_id = g.get("request_id")
    if request_id:
        document["request_id"] = request_id
    body = orjson.dumps({**document, **more})
    response = Response(body, status=kind.status, mimetype="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    if kind.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers.update(headers or {})
    return response


def answer_domain_error(error: DomainError) -> Response:
    """The document for an error of the domain, with what it knows."""
    headers: dict[str, str] = {}
    more: dict[str, Any] = {}
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if isinstance(error, SeatTaken | ReholdTooSoon | LoneSeat | SeatsInUse):
        more["seats"] = list(error.seat_nos)
    if isinstance(error, PlanRefused):
        more["errors"] = [{"where": "plan", "what": what} for what in error.problems]
    if isinstance(error, InsufficientBalance):
        more["missing"] = error.missing
    for name in ("version", "tickets", "sold", "held"):
        if hasattr(error, name):
            more[name] = getattr(error, name)
    return problem(type(error), error.message, headers, **more)


def answer_http_error(error: HTTPException) -> Response:
    """The document for an error that Flask found: no such path, method, or too large a body."""
    if error.response is not None:
        return error.response  # type: ignore[return-value]  # werkzeug's type is wider than what we abort with
    kind = error_of_status(error.code or Fault.status)
    headers: dict[str, str] = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return problem(kind, error.description or "", headers)


def answer_fault(error: Exception) -> Response:
    """The document for a fault of ours; the log has the rest, under the same request id."""
    log.error("fault", route=route(), exc_info=error)
    return problem(
        Fault,
        "Something went wrong on our side; nothing half-done was kept. Please tell us the id.",
    )


def answer_invalid(error: ValidationError) -> Response:
    """The document for a request that does not fit its schema; ``errors`` names every place."""
    found = [
        {
            "where": ".".join(str(part) for part in one["loc"]) or "body",
            "what": one["msg"].removeprefix("Value error, "),
        }
        for one in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    return problem(
        BadRequest, "; ".join(f"{one['where']}: {one['what']}" for one in found), errors=found
    )
