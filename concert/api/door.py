"""What every JSON call shares: its blueprint, its tokens, its body, its answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, NamedTuple, TypeVar
from uuid import UUID

import orjson
from flask import Response, current_app, g, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from concert.accounts.service import user_of_token
from concert.api import problems
from concert.catalogue.service import concert_of
from concert.ground.audit import Actor
from concert.ground.errors import (
    AmbiguousDate,
    BadRequest,
    DomainError,
    NotFound,
    TokenInvalid,
    TokenMissing,
    every_error,
)
from concert.ground.idempotency import Attempt
from concert.ground.limits import guarded, network_of
from concert.ground.signing import pseudonym
from concert.staff.access import COOKIE, Caller, Role, check_csrf, let_in, need_of
from concert.staff.keys import caller_of_key
from concert.staff.service import caller_of_session
from concert.waiting_room import service as waiting_room
from concert.waiting_room.tokens import QueueToken, queue_token_of

Kind = Literal["user", "queue", "user_or_queue"]
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}
View = TypeVar("View", bound=Callable[..., Any])
# What may be found wrong before a service has seen whose turn it is.
ABOUT_WHAT_WAS_ASKED = (BadRequest, AmbiguousDate, NotFound, HTTPException)


def new_door(name: str, description: str) -> APIBlueprint:
    """A blueprint under ``/v1`` for one feature."""
    door = APIBlueprint(
        name, __name__, url_prefix="/v1", abp_tags=[Tag(name=name, description=description)]
    )
    door.before_request(_authenticate)
    door.before_request(_read_body)
    for kind in ABOUT_WHAT_WAS_ASKED:
        door.register_error_handler(kind, _answer_in_order)
    return door


def takes(kind: Kind, *, admitted: bool = False) -> Callable[[View], View]:
    """Say which token a call takes; it is checked before anything else of the request.

    ``admitted`` says that the call is behind the waiting room. Its service checks the turn;
    where what was asked is wrong before it comes to that, the turn is checked first all the same.
    """

    def mark(view: View) -> View:
        view.__token_kind__ = kind  # type: ignore[attr-defined]
        view.__admitted__ = admitted  # type: ignore[attr-defined]
        return view

    return mark


def large(most: int) -> Callable[[View], View]:
    """Say that a call takes bodies of up to so many bytes, and not only of the usual size."""

    def mark(view: View) -> View:
        view.__largest_body__ = most  # type: ignore[attr-defined]
        return view

    return mark


def for_staff(role: Role = "organiser", *, keys: bool = True) -> list[dict[str, list[str]]]:
    """What a call that ``needs`` this role takes, for the OpenAPI document."""
    return [{role if keys else "root": []}, {"session": [], "page": []}]


def actor() -> Actor:
    """Who is calling, as the audit log has it; for calls that say who they need."""
    caller: Caller = g.caller
    return caller.acting(g.get("request_id"), pseudonym(network_of(request.remote_addr or "")))


def security(kind: Kind) -> list[dict[str, list[str]]]:
    """The same for the OpenAPI document."""
    return [{"user": []}, {"queue": []}] if kind == "user_or_queue" else [{kind: []}]


def answers(success: dict[int, Any], *statuses: int) -> dict[Any, Any]:
    """A call's answers for the OpenAPI document: the good ones, and problems by status."""
    document: dict[Any, Any] = dict(success)
    for status in (*statuses, 503):
        codes = ", ".join(f"`{code}`" for code, of in every_error().items() if of.status == status)
        document[status] = {
            "description": f"Problem: {codes}",
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
        if status in HEADERS:
            document[status]["headers"] = HEADERS[status]
    return document


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer; nobody may keep a copy of it."""
    response = Response(orjson.dumps(body), status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


class Written(NamedTuple):
    """A JSON answer that is written already, in Flask's own order, which makes a response of it.

    The calls of a crowd answer so: the express door sends it without that.
    """

    body: bytes
    status: int
    headers: dict[str, str]


def written(body: Any, **headers: str) -> Written:
    """The same answer as :func:`answer` gives, for the calls of a crowd; bytes are JSON already."""
    told = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    for name, value in headers.items():
        told[name.replace("_", "-")] = value
    return Written(body if isinstance(body, bytes) else orjson.dumps(body), 200, told)


def user_id() -> UUID:
    """Whose user token the request carries (or queue token, where the call takes both)."""
    found: UUID = g.user_id
    return found


def queue_token() -> QueueToken:
    """The queue token that the request carries."""
    found: QueueToken = g.queue_token
    return found


def attempt(operation: str, **asked: Any) -> Attempt | None:
    """What the request's ``Idempotency-Key`` stands for, or None where it carries none.

    ``asked`` is what the caller has said, not what we make of it: a date that was left out may
    mean another performance by the time that the request is repeated.
    """
    key: str | None = g.idempotency_key
    return None if key is None else Attempt.of(user_id(), key, operation, asked)


def answer_invalid(error: ValidationError) -> Response:
    """The answer to a request that does not fit its schema; whose turn it is comes before that."""
    check_turn()
    return problems.answer_invalid(error)


def check_turn() -> None:
    """Where this call is behind the waiting room, check that it is the caller's turn.

    Only for requests that are refused anyway: the services check it by themselves. Where there
    is no such concert, its room is unknown, and the token's own counts.

    Raises:
        NotAdmitted, TokenExpired, TokenInvalid: it is not.
        Unavailable: Redis cannot be reached.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    if not getattr(view, "__admitted__", False) or "queue_token" not in g:
        return
    token = queue_token()
    room = token.room
    with suppress(NotFound, ValueError):
        room = concert_of(int((request.view_args or {})["concert_id"])).room
    with suppress(NotFound):
        waiting_room.enter(token, room)


def _answer_in_order(error: Exception) -> Response:
    """An error about what was asked; but first who is asking, and whether it is their turn."""
    try:
        check_turn()
    except DomainError as refusal:
        return problems.answer_error(refusal)
    return problems.answer_error(error)


def _authenticate() -> None:
    g.idempotency_key = request.headers.get("Idempotency-Key")
    view = current_app.view_functions.get(request.endpoint or "")
    if request.method == "OPTIONS":
        return
    need = need_of(view)
    if need is not None:
        g.caller = let_in(_caller(), need)
        return
    kind: Kind | None = getattr(view, "__token_kind__", None)
    if kind is None:
        return
    token = _bearer_token()
    if kind == "user":
        g.user_id = user_of_token(token)
    elif kind == "queue":
        g.queue_token = queue_token_of(token)
        g.user_id = g.queue_token.user_id
    else:
        g.user_id = _user_of_either(token)


def _bearer_token() -> str:
    header = request.headers.get("Authorization", "")
    scheme, _, token = header.partition(" ")
    # What HTTP allows around a value, and no other kind of space: a token has one spelling.
    token = token.strip(" \t")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing("Send the token as: Authorization: Bearer <token>")
    return token


def _caller() -> Caller | None:
    """Which of the staff is calling: with a key, or with the cookie of a session and a page's token."""
    session = request.cookies.get(COOKIE, "")
    if session and "Authorization" not in request.headers:
        caller = caller_of_session(session)
        check_csrf(request.method, session, request.headers.get("X-CSRF-Token", ""))
        return caller
    key = _bearer_token()
    return guarded(network_of(request.remote_addr or ""), lambda: caller_of_key(key))


def _user_of_either(token: str) -> UUID:
    try:
        return user_of_token(token)
    except TokenInvalid:
        place = queue_token_of(token)
    waiting_room.enter(place, place.room)
    return place.user_id


def _read_body() -> None:
    """Read the body once, strictly; ``ApiRequest.get_json`` gives what was read here."""
    if request.method not in ("POST", "PUT", "PATCH"):
        return
    view = current_app.view_functions.get(request.endpoint or "")
    most: int | None = getattr(view, "__largest_body__", None)
    if most is not None:
        request.max_content_length = most
    data = request.get_data(cache=True)
    if not data:
        g.body = {}
        return
    if not request.is_json:
        raise UnsupportedMediaType("Send the body as application/json.")
    try:
        g.body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
    if not isinstance(g.body, dict):
        raise BadRequest("The body must be a JSON object.")
