"""The OpenAPI 3.1 document and Swagger UI, both served from here."""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import flask_openapi3_swagger
from flask import Blueprint, Request, Response, current_app, g, jsonify, render_template
from flask_openapi3 import Info, OpenAPI
from flask_openapi3.models import SecurityScheme

from concert.api.schemas import Problem
from concert.ground.parts import part

__all__ = ["INFO", "SECURITY_SCHEMES", "ApiRequest", "documents"]

INFO = Info(
    title="Concert",
    version="1",
    description=(
        "A fair waiting room and a concert sale. Make a user, line up, wait until you are admitted, "
        "choose a seat, hold it, charge the wallet, pay. Errors are RFC 9457 problem documents with a stable `code`."
    ),
)


def _bearer(description: str) -> SecurityScheme:
    return SecurityScheme(type="http", scheme="bearer", description=description)


SECURITY_SCHEMES: dict[str, Any] = {
    "user": _bearer("The `user_token` of `POST /v1/users`: who you are."),
    "queue": _bearer("The `queue_token` of `POST /v1/enqueues`: your place in line."),
    "organiser": _bearer(
        "The root key (`CONCERT_ORGANISER_KEY`), or an API key with the scope `organiser`."
    ),
    "box-office": _bearer("The same, or an API key with the scope `box-office`."),
    "door": _bearer("The same, or an API key with the scope `door`."),
    "root": _bearer("The root key; no API key."),
    "session": SecurityScheme.model_validate(
        {
            "type": "apiKey",
            "in": "cookie",
            "name": "concert_staff",
            "description": "The session of somebody with the role, signed in by a link of theirs.",
        }
    ),
    "page": SecurityScheme.model_validate(
        {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "Beside a session, for whatever changes something: "
            "`csrf-token` in the head of any page for staff.",
        }
    ),
}

DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SWAGGER_FILES = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"

documents = Blueprint(
    "documents", __name__, static_folder=str(SWAGGER_FILES), static_url_path="/docs/swagger-ui"
)


class ApiRequest(Request):
    """A request whose JSON was read by the door, strictly, before any view runs."""

    def get_json(self, *arguments: Any, **options: Any) -> Any:
        """What the door read; elsewhere, Flask's own reading."""
        return g.body if "body" in g else super().get_json(*arguments, **options)


class ApiDocument:
    """The OpenAPI document of an app, written when it is first asked for."""

    @cached_property
    def content(self) -> dict[str, Any]:
        """The document; the current app's, so ask within one."""
        return document()


@documents.get("/openapi.json")
def openapi_json() -> Response:
    """The document."""
    return jsonify(part(ApiDocument).content)


@documents.get("/docs")
def docs() -> Response:
    """Swagger UI over the document. It styles elements one by one and draws its icons from data."""
    response = Response(render_template("docs/page.html"))
    response.headers["Content-Security-Policy"] = DOCS_POLICY
    return response


def document() -> dict[str, Any]:
    """What flask-openapi3 writes, put right where it says more or less than the calls do."""
    made: dict[str, Any] = copy.deepcopy(cast(OpenAPI, current_app).api_doc)
    schemas = made["components"]["schemas"]
    # Its own description of a validation error, which is a problem document here.
    schemas.pop("ValidationErrorModel", None)
    schemas["Problem"] = Problem.model_json_schema()
    for path in made["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                _forbid_null(parameter["schema"])
            # The library promises a 400 of its own where none is named.
            if "application/json" in operation["responses"].get("400", {}).get("content", {}):
                del operation["responses"]["400"]
            if "requestBody" in operation:
                _require_body_where_needed(operation["requestBody"], schemas)
    return made


def _forbid_null(schema: dict[str, Any]) -> None:
    """A parameter is there or is left out; it has no way to be null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update(kinds[0])
    if schema.get("default", 0) is None:
        del schema["default"]


def _require_body_where_needed(body: dict[str, Any], schemas: dict[str, Any]) -> None:
    """An empty body is an empty object, which is enough where no field is required."""
    name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    body["required"] = bool(schemas[name].get("required") or schemas[name].get("anyOf"))
