"""A wire between a browser and the service that can be cut, and mended."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import urlsplit

CHUNK = 65_536


class Wire:
    """Forwards connections; while it is cut, whatever is sent stays under way, as in a tunnel."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._far_end = (parts.hostname or "", parts.port or 0)
        self._whole = threading.Event()
        self._whole.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._near_end = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._near_end.getsockname()[1]}"

    def cut(self) -> None:
        """From now on nothing arrives."""
        self._whole.clear()

    def mend(self) -> None:
        """What was sent meanwhile arrives now."""
        self._whole.set()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.mend()
        # A shutdown wakes the thread that waits on the socket; a close alone does not.
        for end in (self._near_end, *self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for end in (self._near_end, *self._sockets):
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._near_end.accept()
                far = socket.create_connection(self._far_end)
                self._sockets += [near, far]
                self._start(self._forward, near, far)
                self._start(self._forward, far, near)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._whole.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
