"""Server-sent events: what every stream shares."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterator
from contextlib import closing, suppress
from typing import Any

import orjson
from flask import Flask, Response, request, stream_with_context
from flask_sse import Message

from concert.ground.errors import RateLimited, Unavailable
from concert.ground.limits import limit, network_of
from concert.ground.parts import keep, part
from concert.ground.settings import Settings

# A viewer who has gone is noticed at the next write only, proxies cut silent connections, and a
# page takes a stream for broken that is silent for more than two of these.
HEARTBEAT_SECONDS = 8.0
# When to try again where there are too many: a stream that was lost is noticed by then.
BUSY_SECONDS = 20
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})

Event = tuple[str, Any] | None


class OpenStreams:
    """Which streams this process serves, and how many it may: in all, for one viewer, for one address.

    ``heartbeat_seconds`` is how often a silent one gives a sign.
    """

    def __init__(self, settings: Settings) -> None:
        self.heartbeat_seconds = HEARTBEAT_SECONDS
        self._settings = settings
        self._lock = threading.Lock()
        self._open: Counter[Hashable] = Counter()
        self._count = 0
        self._enders: list[Callable[[], None]] = []
        self._stopped = False

    @property
    def count(self) -> int:
        """How many there are now."""
        return self._count

    def check(self, viewer: Hashable, address: str) -> None:
        """See that there is a place for one more.

        Raises:
            RateLimited: the viewer, or the address, has as many streams as it may.
            Unavailable: this process serves as many as it may.
        """
        settings = self._settings
        if self._open[viewer] >= settings.streams_per_token:
            raise RateLimited(BUSY_SECONDS, "This place has as many live streams as it may.")
        if self._open[address] >= settings.streams_per_address:
            raise RateLimited(BUSY_SECONDS, "Too many live streams from here.")
        if self._stopped or self._count >= settings.max_streams:
            raise Unavailable("A live stream", retry_after=5)

    def begin(self, viewer: Hashable, address: str) -> None:
        """Take a place for one more.

        Raises:
            RateLimited, Unavailable: as :meth:`check`.
        """
        with self._lock:
            self.check(viewer, address)
            self._count += 1
            self._open[viewer] += 1
            self._open[address] += 1

    def end(self, viewer: Hashable, address: str) -> None:
        """Give the place of one back."""
        with self._lock:
            self._count -= 1
            for whose in (viewer, address):
                self._open[whose] -= 1
                if not self._open[whose]:
                    del self._open[whose]

    def end_with(self, stop: Callable[[], None]) -> None:
        """Name somebody who tells streams something, and who is to let them end."""
        self._enders.append(stop)

    def stop(self) -> None:
        """Let every stream end, and serve no more: the process is about to end."""
        self._stopped = True
        for stop in self._enders:
            stop()


def init_streams(app: Flask, settings: Settings) -> None:
    """Count the streams of this app."""
    keep(app, OpenStreams(settings))


def limit_streams(viewer: Hashable) -> None:
    """Count that somebody opens a stream from the request's address, before anything is looked up for it.

    ``viewer`` is whose token it is. Whoever is refused may ask without a stream meanwhile.

    Raises:
        RateLimited: they have too many, or open them too often.
        Unavailable: this process serves as many streams as it may.
    """
    address = network_of(request.remote_addr or "")
    limit("streams", viewer)
    limit("streams of an address", address)
    part(OpenStreams).check(viewer, address)


def end_streams_at_shutdown(app: Flask) -> None:
    """Let the streams of this process end when it is told to end, so that nothing waits for them.

    Servers set their own handlers, some before and some after the app is made; Python writes
    every signal to one descriptor besides, which is read here. Does nothing outside of the
    main thread, which alone may ask for signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        with reader, writer:
            while numbers := reader.recv(64):
                if before >= 0:
                    # A server that reads them itself goes on doing so.
                    with suppress(OSError):
                        os.write(before, numbers)
                if ENDING.intersection(numbers):
                    part(OpenStreams, app).stop()

    threading.Thread(target=watch, name="shutdown-watch", daemon=True).start()


def stream_response(events: Generator[Event, None, None], viewer: Hashable) -> Response:
    """A stream of events; a mapping is sent as JSON, text as it is, and None as a heartbeat.

    An event with an empty name is sent without one: htmx puts such data on the page.

    Raises:
        RateLimited, Unavailable: as :func:`limit_streams`.
    """
    address = network_of(request.remote_addr or "")
    streams = part(OpenStreams)
    streams.begin(viewer, address)
    ended = False

    def end() -> None:
        nonlocal ended
        if not ended:
            ended = True
            streams.end(viewer, address)

    response = Response(
        stream_with_context(_encoded(events)), mimetype="text/event-stream", headers=HEADERS
    )
    response.call_on_close(end)
    return response


def _encoded(events: Generator[Event, None, None]) -> Iterator[str]:
    with closing(events):
        for event in events:
            if event is None:
                yield ": still here\n\n"
            else:
                name, data = event
                text = data if isinstance(data, str) else orjson.dumps(data).decode()
                yield str(Message(text, type=name))
