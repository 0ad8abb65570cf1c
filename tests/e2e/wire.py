"""A wire between a browser and the service that can be cut, and mended."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import urlsplit

CHUNK = 65_536


class Wire:
    """Forwards connections; while it is cut, whatever is sent stays under way, as in a tunnel.

    It can be cut for some addresses alone, as if the process that answers them were frozen.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._far_end = (parts.hostname or "", parts.port or 0)
        self._whole = threading.Event()
        self._whole.set()
        self._frozen = ""
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._near_end = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._near_end.getsockname()[1]}"

    def cut(self, path: str = "") -> None:
        """From now on nothing arrives; with ``path``, nothing on connections that ask for such an address."""
        self._frozen = path
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
                asked = [b""]
                self._start(self._ask, near, far, asked)
                self._start(self._answer, far, near, asked)

    def _ask(self, near: socket.socket, far: socket.socket, asked: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(CHUNK):
                if data.startswith((b"GET ", b"POST ")):
                    asked[0] = data.split(b" ", 2)[1]
                self._wait(asked)
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _answer(self, far: socket.socket, near: socket.socket, asked: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(CHUNK):
                self._wait(asked)
                near.sendall(data)
            near.shutdown(socket.SHUT_WR)

    def _wait(self, asked: list[bytes]) -> None:
        """Wait until the wire is whole, where it is cut for what was asked last on this connection."""
        if asked[0].startswith(self._frozen.encode()):
            self._whole.wait()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
