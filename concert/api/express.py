"""The express door: the six calls that a whole crowd makes, without the ceremony of a request.

It stands in front of Flask, matches a call by a table, checks the token, reads the body, and
calls the very view that Flask would call. A request with anything odd about it, before a
service was called, goes to Flask untouched, which says what is wrong with it. What goes wrong
after that is answered by Flask's error handlers, and the view is never called a second time.
So leaving a call out of the table changes nothing but its speed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any, get_type_hints

import orjson
from flask import g
from flask_openapi3 import OpenAPI
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException

from concert.accounts.service import user_of_token
from concert.api import catalogue, payments, reservations, waiting_room, wallet
from concert.api.door import Written
from concert.ground.errors import DomainError
from concert.ground.observability import RequestLines, begin_request
from concert.ground.parts import part
from concert.waiting_room.tokens import queue_token_of

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

# The views, and where their numbers stand in an address. Every other call is Flask's.
CALLS: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("POST", "/v1/enqueues", waiting_room.post_enqueue),
    ("GET", "/v1/enqueues", waiting_room.get_enqueue),
    ("PATCH", "/v1/charges", wallet.patch_charges),
    ("GET", "/v1/concerts/<concert_id>/seats", catalogue.get_seats),
    (
        "POST",
        "/v1/concerts/<concert_id>/seats/<seat_no>/reservations",
        reservations.post_seat_reservation,
    ),
    ("POST", "/v1/concerts/<concert_id>/seats/<seat_no>/payments", payments.post_payment),
)
STATUS_LINES = {one.value: f"{one.value} {one.phrase}" for one in HTTPStatus}
ONE_QUERY = re.compile(r"(date|performance_id)=([0-9-]{1,20})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Call:
    """A call: its view, what its arguments have to be, and the token that it takes."""

    method: str
    rule: str
    view: Callable[..., Written]
    models: dict[str, type[BaseModel]]
    takes_user: bool


class NotExpress(Exception):
    """Something about the request is odd: Flask knows what to say."""


class ExpressDoor:
    """A WSGI app in front of Flask's own."""

    def __init__(self, app: OpenAPI, behind: WsgiApp) -> None:
        self._app = app
        self.behind = behind
        self._lines = part(RequestLines, app)
        self._most = int(app.config["MAX_CONTENT_LENGTH"])
        self._exact: dict[tuple[str, str], Call] = {}
        self._by_pattern: list[tuple[re.Pattern[str], Call]] = []
        for method, rule, view in CALLS:
            call = _call(method, rule, view)
            if "<" in rule:
                pattern = re.sub(r"<(\w+)>", r"(?P<\1>[0-9]{1,19})", rule)
                self._by_pattern.append((re.compile(pattern, re.ASCII), call))
            else:
                self._exact[method, rule] = call

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        call, numbers = self._matched(environ)
        if call is None:
            return self.behind(environ, start_response)
        with self._app.app_context():
            try:
                arguments = self._read(environ, call, numbers)
            except (NotExpress, DomainError, ValidationError, HTTPException):
                arguments = None
            if arguments is not None:
                begin_request(environ.get("HTTP_X_REQUEST_ID", ""))
                try:
                    answer = call.view(**arguments)
                except Exception as error:  # noqa: BLE001  # whatever it is, the view was called
                    return self._refused(error, environ, start_response)
                return self._answered(call, answer, start_response)
        return self.behind(environ, start_response)

    def _matched(self, environ: dict[str, Any]) -> tuple[Call | None, dict[str, str]]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        call = self._exact.get((method, path))
        if call is not None:
            return call, {}
        if path.startswith("/v1/concerts/"):
            for pattern, numbered in self._by_pattern:
                if numbered.method == method and (found := pattern.fullmatch(path)):
                    return numbered, found.groupdict()
        return None, {}

    def _read(self, environ: dict[str, Any], call: Call, numbers: dict[str, str]) -> dict[str, Any]:
        """The view's arguments; as Flask would have read them.

        Raises:
            NotExpress, DomainError, ValidationError, HTTPException: Flask has to look at it.
        """
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme != "Bearer":
            raise NotExpress
        # The object itself: each look through the proxy takes longer than all that is noted there.
        here = g._get_current_object()
        if call.takes_user:
            here.user_id = user_of_token(token)
        else:
            here.queue_token = place = queue_token_of(token)
            here.user_id = place.user_id
        here.idempotency_key = environ.get("HTTP_IDEMPOTENCY_KEY")
        arguments: dict[str, Any] = {}
        query = environ.get("QUERY_STRING", "")
        for name, model in call.models.items():
            if name == "path":
                arguments[name] = model.model_validate(numbers)
            elif name == "body":
                arguments[name] = model.model_validate(self._body(environ))
            elif name == "header":
                key = here.idempotency_key
                arguments[name] = model.model_validate(
                    {} if key is None else {"Idempotency-Key": key}
                )
            else:
                found = ONE_QUERY.fullmatch(query) if query else None
                if query and not found:
                    raise NotExpress
                arguments[name] = model.model_validate({found[1]: found[2]} if found else {})
        if query and "query" not in call.models:
            raise NotExpress
        return arguments

    def _body(self, environ: dict[str, Any]) -> Any:
        length = environ.get("CONTENT_LENGTH") or "0"
        if "HTTP_TRANSFER_ENCODING" in environ or not length.isdecimal():
            raise NotExpress
        count = int(length)
        if not count:
            return {}
        if count > self._most or environ.get("CONTENT_TYPE") != "application/json":
            raise NotExpress
        read = environ["wsgi.input"].read(count)
        # Whoever looks at the request after us finds the body as it came.
        environ["wsgi.input"] = BytesIO(read)
        if len(read) != count:
            raise NotExpress
        try:
            return orjson.loads(read)
        except orjson.JSONDecodeError as error:
            raise NotExpress from error

    def _answered(self, call: Call, answer: Written, start_response: Any) -> Iterable[bytes]:
        body, status, headers = answer
        headers["Content-Length"] = str(len(body))
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Request-ID"] = g.request_id
        self._lines.answered(call.method, call.rule, status)
        start_response(STATUS_LINES[status], list(headers.items()))
        return [body]

    def _refused(
        self, error: Exception, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """What Flask would answer to an error that the view has raised."""
        app = self._app
        with app.request_context(environ):
            try:
                response = app.finalize_request(app.handle_user_exception(error))
            except Exception as fault:  # noqa: BLE001  # as Flask itself does
                response = app.handle_exception(fault)
            return response(environ, start_response)


def _call(method: str, rule: str, view: Callable[..., Any]) -> Call:
    """The view itself, from behind what checks its arguments in Flask."""
    inner: Any = getattr(view, "__wrapped__", view)
    hints = get_type_hints(inner)
    models: dict[str, type[BaseModel]] = {
        name: hint for name, hint in hints.items() if name in ("path", "query", "header", "body")
    }
    return Call(method, rule, inner, models, inner.__token_kind__ == "user")
