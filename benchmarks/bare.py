"""The reference for calls that are mostly web server: a Flask app with one route that does nothing."""

from __future__ import annotations

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def bare() -> Response:
    """The least that Flask can answer."""
    return Response(b"{}", mimetype="application/json")
