"""Figures for the operator, as Prometheus reads them. Never through the public proxy."""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, request

from concert.ground.errors import TokenInvalid, TokenMissing
from concert.ground.metrics import Figures
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.overview.figures import note_process, readings

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics")
def get_metrics() -> Response:
    """Every figure of this part's processes, and those of the whole service as read just now."""
    _check_token(part(Settings).metrics_token)
    note_process()
    body, content_type = part(Figures).told(request.headers.get("Accept", ""), readings())
    return Response(body, content_type=content_type, headers={"Cache-Control": "no-store"})


def _check_token(wanted: str) -> None:
    if not wanted:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not given:
        raise TokenMissing(
            "Send the token for figures: Authorization: Bearer <CONCERT_METRICS_TOKEN>."
        )
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise TokenInvalid("This is not the token for figures.")
