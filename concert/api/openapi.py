"""The OpenAPI 3.1 document and Swagger UI, both served from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import flask_openapi3_swagger
from flask import Blueprint, Request, Response, current_app, g, jsonify, render_template
from flask_openapi3 import Info, OpenAPI
from flask_openapi3.models import SecurityScheme

from concert.api.problems import answer_invalid

__all__ = ["INFO", "SECURITY_SCHEMES", "ApiRequest", "answer_invalid", "documents"]

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
    "organiser": _bearer("The organiser's key."),
}

SWAGGER_FILES = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"

documents = Blueprint(
    "documents", __name__, static_folder=str(SWAGGER_FILES), static_url_path="/docs/swagger-ui"
)


class ApiRequest(Request):
    """A request whose JSON was read by the door, strictly, before any view runs."""

    def get_json(self, *arguments: Any, **options: Any) -> Any:
        """What the door read; elsewhere, Flask's own reading."""
        return g.body if "body" in g else super().get_json(*arguments, **options)


@documents.get("/openapi.json")
def openapi_json() -> Response:
    """The document."""
    return jsonify(cast(OpenAPI, current_app).api_doc)


@documents.get("/docs")
def docs() -> str:
    """Swagger UI over the document."""
    return render_template("docs/page.html")
