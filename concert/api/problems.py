"""Errors as RFC 9457 problem documents: every code, its status and its title, in one place."""

from __future__ import annotations

from typing import Any

import orjson
import structlog
from flask import Response, g, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from concert.ground.errors import DomainError, InsufficientBalance, ReholdTooSoon, SeatTaken

log = structlog.get_logger()

PROBLEMS: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request is wrong"),
    "ambiguous_date": (400, "Several performances fit this date"),
    "sales_not_open": (400, "Sales are not open"),
    "balance_limit": (400, "The wallet would hold too much"),
    "token_missing": (401, "A token is needed"),
    "token_invalid": (401, "The token is not valid"),
    "token_expired": (401, "The token is over"),
    "insufficient_balance": (402, "The balance is too small"),
    "not_admitted": (403, "It is not your turn"),
    "not_yours": (403, "This is somebody else's"),
    "not_found": (404, "There is no such thing"),
    "method_not_allowed": (405, "This cannot be done here"),
    "seat_taken": (409, "Somebody else has the seat"),
    "not_together": (409, "So many seats are not free side by side"),
    "seat_limit": (409, "More seats than one person may have"),
    "rehold_too_soon": (409, "Others come first for a moment"),
    "too_many_lapsed": (409, "Too many holds have lapsed"),
    "hold_expired": (409, "The hold is over"),
    "already_paid": (409, "This is paid already"),
    "idempotency_conflict": (409, "The idempotency key was used for another request"),
    "too_large": (413, "The body is too large"),
    "not_json": (415, "The body is not JSON"),
    "rate_limited": (429, "Too many requests"),
    "internal": (500, "A fault of ours"),
    "unavailable": (503, "A part we need is down"),
}
CODE_OF_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "not_json",
    429: "rate_limited",
}


def answer_error(error: Exception) -> Response:
    """The problem document for any error."""
    if isinstance(error, DomainError):
        return answer_domain_error(error)
    if isinstance(error, HTTPException):
        return answer_http_error(error)
    return answer_fault(error)


def problem(code: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """A problem document; ``more`` are further members of it."""
    status, title = PROBLEMS[code]
    document = {
        "type": f"urn:concert:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    request_id = g.get("request_id")
    if request_id:
        document["request_id"] = request_id
    body = orjson.dumps({**document, **more})
    response = Response(body, status=status, mimetype="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    if status == 401:
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
    if isinstance(error, SeatTaken | ReholdTooSoon):
        more["seats"] = list(error.seat_nos)
    if isinstance(error, InsufficientBalance):
        more["missing"] = error.missing
    return problem(error.code, error.message, headers, **more)


def answer_http_error(error: HTTPException) -> Response:
    """The document for an error that Flask found: no such path, method, or too large a body."""
    if error.response is not None:
        return error.response  # type: ignore[return-value]  # werkzeug's type is wider than what we abort with
    code = CODE_OF_STATUS.get(error.code or 500, "internal")
    headers: dict[str, str] = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return problem(code, error.description or "", headers)


def answer_fault(error: Exception) -> Response:
    """The document for a fault of ours; the log has the rest, under the same request id."""
    log.error("fault", path=request.path, exc_info=error)
    return problem(
        "internal",
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
        "bad_request", "; ".join(f"{one['where']}: {one['what']}" for one in found), errors=found
    )
