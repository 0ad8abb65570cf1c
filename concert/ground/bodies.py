"""Reading request bodies: how many threads may be at it.

granian gives a thread to a request when its headers are there, and reading the body then waits
for the client, as long as that likes. Nothing else can end the wait: to answer while another
thread still reads stops granian for everybody. So only some threads may wait for bodies, and the
others go on answering. Behind the proxy, which passes on whole bodies, nobody waits at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.exceptions import ClientDisconnected

from concert.ground.budget import budget
from concert.ground.errors import Unavailable
from concert.ground.settings import Settings

# A body that is there is read in less.
PATIENCE_SECONDS = 0.1
# Whoever reads for longer than this is waiting for a client.
SLOW_SECONDS = 1.0


class Bodies:
    """A WSGI app of which a quarter of the threads never read bodies for long.

    The others may all be at it at once: a crowd that joins in one moment has its bodies sent
    already, and nobody of it is refused. Where most of those who read wait for slow clients,
    further bodies are refused at once.
    """

    def __init__(self, app: Callable[..., Any], threads: int) -> None:
        self._app = app
        self._most = max(1, threads - max(1, threads // 4))
        self._readers = threading.BoundedSemaphore(self._most)
        self._began: dict[int, float] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD", "OPTIONS"):
            length = environ.get("CONTENT_LENGTH", "")
            known = int(length) if length.isdecimal() else None
            environ["wsgi.input"] = Body(self, environ["wsgi.input"].read, known)
        return self._app(environ, start_response)

    def read(self, read: Callable[[int], bytes], size: int) -> bytes:
        """What ``read`` returns.

        Raises:
            Unavailable: too many are waiting for bodies just now.
        """
        if not self._readers.acquire(blocking=False) and (
            self._are_slow() or not self._readers.acquire(timeout=PATIENCE_SECONDS)
        ):
            raise Unavailable("The service")
        reader = threading.get_ident()
        self._began[reader] = time.monotonic()
        try:
            return read(size)
        finally:
            del self._began[reader]
            self._readers.release()

    def _are_slow(self) -> bool:
        before = time.monotonic() - SLOW_SECONDS
        # A copy, which is made at once, since others come and go meanwhile.
        return sum(began < before for began in list(self._began.values())) > self._most // 2


class Body:
    """A request's body, as werkzeug reads it. ``length`` is in bytes, None where the client ends it."""

    def __init__(self, bodies: Bodies, read: Callable[[int], bytes], length: int | None) -> None:
        self._bodies = bodies
        self._read = read
        self._missing = length

    def read(self, size: int) -> bytes:
        """Read so many bytes; fewer only at the end.

        Raises:
            ClientDisconnected: the client has gone before it had sent all of it.
        """
        if self._missing == 0:
            return b""
        began = time.monotonic()
        found = self._bodies.read(self._read, size)
        # The client's time is not the request's.
        budget().ends += time.monotonic() - began
        if self._missing is not None:
            if len(found) < min(size, self._missing):
                raise ClientDisconnected()
            self._missing -= len(found)
        return found


def init_bodies(app: Flask, settings: Settings) -> None:
    """Read the app's bodies by these rules."""
    app.wsgi_app = Bodies(app.wsgi_app, settings.web_threads)  # type: ignore[method-assign]
