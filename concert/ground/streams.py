"""Server-sent events: what every stream shares."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from flask import Flask, Response, stream_with_context
from flask_sse import Message

from concert.ground.errors import Unavailable
from concert.ground.parts import keep, part
from concert.ground.settings import Settings

# A viewer who has gone is noticed at the next write only, and proxies cut silent connections.
HEARTBEAT_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Event = tuple[str, Any] | None


class OpenStreams:
    """How many streams this process serves, and may serve."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    def begin(self) -> bool:
        """Take a place for one more; False where there is none."""
        return self._free.acquire(blocking=False)

    def end(self) -> None:
        """Give the place of one back."""
        self._free.release()


def init_streams(app: Flask, settings: Settings) -> None:
    """Count the streams of this app."""
    keep(app, OpenStreams(settings.max_streams))


def stream_response(events: Iterable[Event]) -> Response:
    """A stream of events; a mapping is sent as JSON, text as it is, and None as a heartbeat.

    An event with an empty name is sent without one: htmx puts such data on the page.

    Raises:
        Unavailable: this process serves as many streams as it may.
    """
    streams = part(OpenStreams)
    if not streams.begin():
        raise Unavailable("A live stream", retry_after=5)
    ended = False

    def end() -> None:
        nonlocal ended
        if not ended:
            ended = True
            streams.end()

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
