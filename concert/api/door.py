"""What every JSON call shares: its blueprint, its tokens, its body, its answer."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Literal, TypeVar
from uuid import UUID

import orjson
from flask import Response, current_app, g, request
from flask_openapi3 import APIBlueprint, Tag
from werkzeug.exceptions import UnsupportedMediaType

from concert.accounts.service import user_of_token
from concert.api.problems import PROBLEMS
from concert.ground.errors import BadRequest, TokenInvalid, TokenMissing
from concert.ground.idempotency import Attempt
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.waiting_room import service as waiting_room
from concert.waiting_room.tokens import QueueToken, queue_token_of

Kind = Literal["user", "queue", "user_or_queue", "organiser"]
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


def new_door(name: str, description: str) -> APIBlueprint:
    """A blueprint under ``/v1`` for one feature."""
    door = APIBlueprint(
        name, __name__, url_prefix="/v1", abp_tags=[Tag(name=name, description=description)]
    )
    door.before_request(_authenticate)
    door.before_request(_read_body)
    return door


def takes(kind: Kind) -> Callable[[View], View]:
    """Say which token a call takes; it is checked before anything else of the request."""

    def mark(view: View) -> View:
        view.__token_kind__ = kind  # type: ignore[attr-defined]
        return view

    return mark


def security(kind: Kind) -> list[dict[str, list[str]]]:
    """The same for the OpenAPI document."""
    return [{"user": []}, {"queue": []}] if kind == "user_or_queue" else [{kind: []}]


def answers(success: dict[int, Any], *statuses: int) -> dict[Any, Any]:
    """A call's answers for the OpenAPI document: the good ones, and problems by status."""
    document: dict[Any, Any] = dict(success)
    for status in (*statuses, 503):
        codes = ", ".join(f"`{code}`" for code, (of, _) in PROBLEMS.items() if of == status)
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


def user_id() -> UUID:
    """Whose user token the request carries (or queue token, where the call takes both)."""
    found: UUID = g.user_id
    return found


def queue_token() -> QueueToken:
    """The queue token that the request carries."""
    found: QueueToken = g.queue_token
    return found


def attempt(operation: str, asked: dict[str, Any]) -> Attempt | None:
    """What the request's ``Idempotency-Key`` stands for, or None where it carries none."""
    key = request.headers.get("Idempotency-Key")
    return None if key is None else Attempt.of(user_id(), key, operation, asked)


def _authenticate() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    kind: Kind | None = getattr(view, "__token_kind__", None)
    if kind is None or request.method == "OPTIONS":
        return
    token = _bearer_token()
    if kind == "organiser":
        _check_organiser(token)
    elif kind == "user":
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


def _check_organiser(token: str) -> None:
    settings = part(Settings)
    # WSGI hands a header's bytes over as Latin-1; a key in another script is UTF-8.
    if not settings.organiser_key or not hmac.compare_digest(
        token.encode("latin-1", "replace"), settings.organiser_key.encode()
    ):
        raise TokenInvalid("This is not the organiser's key.")


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
