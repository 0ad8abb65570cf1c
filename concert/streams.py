"""Server-sent events: what every stream shares."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from flask import Response, current_app, stream_with_context
from flask_sse import Message

from concert.errors import Unavailable
from concert.settings import Settings

# A viewer who has gone is noticed at the next write only, and proxies cut silent connections.
HEARTBEAT_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Event = tuple[str, Any] | None


def stream_response(events: Iterable[Event]) -> Response:
    """A stream of events; a mapping is sent as JSON, text as it is, and None as a heartbeat.

    An event with an empty name is sent without one: htmx puts such data on the page.

    Raises:
        Unavailable: this process serves as many streams as it may.
    """
    places = _free_streams()
    if not places.acquire(blocking=False):
        raise Unavailable("A live stream", retry_after=5)
    ended = False

    def end() -> None:
        nonlocal ended
        if not ended:
            ended = True
            places.release()

    response = Response(
        stream_with_context(_encoded(events)), mimetype="text/event-stream", headers=HEADERS
    )
    response.call_on_close(end)
    return response


def _encoded(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        if event is None:
            yield ": still here\n\n"
        else:
            name, data = event
            yield str(
                Message(data if isinstance(data, str) else orjson.dumps(data).decode(), type=name)
            )


def _free_streams() -> threading.BoundedSemaphore:
    settings: Settings = current_app.extensions["concert.settings"]
    semaphore: threading.BoundedSemaphore = current_app.extensions.setdefault(
        "concert.streams", threading.BoundedSemaphore(settings.max_streams)
    )
    return semaphore
