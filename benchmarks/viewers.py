"""A crowd of open streams, in a process of its own: ``python -m benchmarks.viewers PORT``.

It reads one JSON line from standard input: ``{"path": ..., "cookies": [...]}``, one cookie header
for each viewer, opens their streams a few at a time, and says ``open`` when each has been told
something. Then each line ``look N`` is answered by a JSON list: for every viewer, when (seconds,
monotonic) its place became N less than at first, or null where that has not come yet; each line
``seat N`` by when it was told of that seat. The clock is the machine's, so times compare.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import selectors
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

HOST = "127.0.0.1"
AT_ONCE = 100
POSITION = re.compile(rb'data-position="(\d+)"|"position":"(\d+)"')
SEAT = re.compile(rb'id="seat-(\d+)"[^>]*data-state="held"')
KEPT = 400


@dataclass(slots=True)
class Viewer:
    """An open stream, and what it has heard when (seconds, monotonic), which is read when somebody asks."""

    link: socket.socket
    has_begun: bool = False
    heard: list[tuple[float, bytes]] = field(default_factory=list)
    first: int = 0
    told: dict[int, float] = field(default_factory=dict)
    rest: bytes = b""

    def told_at(self, which: int) -> float | None:
        """When it was told of this many moves, or of the seat with this negative number."""
        heard, self.heard = self.heard, []
        for at, data in heard:
            text = self.rest + data
            for found in POSITION.finditer(text):
                position = int(found[1] or found[2])
                self.first = self.first or position
                self.told.setdefault(self.first - position, at)
            for found in SEAT.finditer(text):
                self.told.setdefault(-int(found[1]), at)
            self.rest = text[-KEPT:]
        return self.told.get(which)


class Crowd:
    """Many open streams, read by one thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self.viewers: list[Viewer] = []
        self.lost = 0
        threading.Thread(target=self._read, daemon=True).start()

    def open(self, path: str, cookies: list[str]) -> None:
        """Open a stream for each, and wait until each has begun."""
        for start in range(0, len(cookies), AT_ONCE):
            some = [self._opened(path, cookie) for cookie in cookies[start : start + AT_ONCE]]
            until = time.monotonic() + 60
            while not all(viewer.has_begun for viewer in some):
                if time.monotonic() > until or self.lost:
                    raise TimeoutError(f"{self.lost} streams were lost or refused")
                time.sleep(0.005)

    def _opened(self, path: str, cookie: str) -> Viewer:
        link = socket.create_connection((HOST, self._port), timeout=20)
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n".encode())
        link.setblocking(False)
        viewer = Viewer(link)
        self.viewers.append(viewer)
        self._selector.register(link, selectors.EVENT_READ, viewer)
        return viewer

    def _read(self) -> None:
        while True:
            for key, _ in self._selector.select(timeout=0.05):
                viewer: Viewer = key.data
                with contextlib.suppress(BlockingIOError):
                    data = viewer.link.recv(65536)
                    if not data or (not viewer.has_begun and b" 200 " not in data[:20]):
                        self.lost += 1
                        self._selector.unregister(viewer.link)
                        continue
                    viewer.heard.append((time.monotonic(), data))
                    viewer.has_begun = True


def main() -> int:
    """Open, and answer until standard input ends."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd = Crowd(int(sys.argv[1]))
    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    crowd.open(asked["path"], asked["cookies"])
    print("open", flush=True)
    for line in sys.stdin:
        what, number = line.split()
        which = int(number) if what == "look" else -int(number)
        print(json.dumps([viewer.told_at(which) for viewer in crowd.viewers]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
