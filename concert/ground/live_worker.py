"""The live process: gunicorn's gevent worker, with one writer for all open streams.

A stream that has a greenlet costs 36 KB: a stack, frames, the request and what served it. So the
worker serves the request as any other, up to the first piece of the stream, and then takes the
socket over. What a stream says is written by whoever has it to say; this file only keeps the
sockets, gives signs of life, and notices who has gone.

gunicorn loads this before gevent has replaced anything, so it imports nothing of ours.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original
from gunicorn.workers.base_async import ALREADY_HANDLED
from gunicorn.workers.ggevent import GeventWorker

# As in concert.ground.streams.
OFFERED = "concert.streams"
# How much may wait for a slow viewer beside what the kernel holds, before it is dropped: bytes.
MOST_UNSENT = 64 * 1024
# What has been sent and is not confirmed for so long was sent to nobody.
UNCONFIRMED_MS = 30_000
# How many requests run at once. A crowd that comes back in one moment is served one after the
# other, each within its time, rather than all together too late.
AT_ONCE = 32
# How many streams are looked at before others may run.
FEW = 500
LAST_CHUNK = b"0\r\n\r\n"

epoll = get_original("select", "epoll")
EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP = 0x1, 0x4, 0x8, 0x10, 0x2000


class LiveWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types here
    """A worker that keeps open streams apart from what serves requests."""

    wsgi: Callable[..., Any]
    _app: Callable[..., Iterable[bytes]]

    def load_wsgi(self) -> None:
        """Load the app, and stand in front of it."""
        super().load_wsgi()
        self._app = self.wsgi
        self.wsgi = self._serve
        self._turns = BoundedSemaphore(AT_ONCE)
        self.writer = Writer()

    def run(self) -> None:
        """Serve until told to end, and then until the last stream was sent away."""
        super().run()
        until = time.monotonic() + self.cfg.graceful_timeout
        while self.writer.count and time.monotonic() < until:
            self.notify()
            gevent.sleep(0.1)

    def is_already_handled(self, respiter: Any) -> bool:
        """Whether the answer is none of gunicorn's any more; then nothing follows on this socket."""
        if respiter is ALREADY_HANDLED:
            raise StopIteration
        return False

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Any:
        link = environ["gunicorn.socket"]
        with self._turns:
            usual = (environ["REQUEST_METHOD"], environ["SERVER_PROTOCOL"]) == ("GET", "HTTP/1.1")
            if not usual or isinstance(link, ssl.SSLSocket):
                # Where it asks for a stream, that gets a greenlet, and gunicorn knows how to write it.
                return self._app(environ, start_response)
            offered: list[Any] = []
            environ[OFFERED] = offered
            begun: list[Any] = []

            def begin(status: str, headers: Any, exc_info: Any = None) -> Any:
                write = start_response(status, headers, exc_info)
                begun[:] = [status, write]
                return write

            answer = self._app(environ, begin)
        if not offered:
            return answer
        (stream,) = offered
        if not begun[0].startswith("200"):
            # Something else has failed after the stream had begun.
            stream.end()
            return answer
        try:
            # No other request comes on a connection that a stream has had.
            start_response.__self__.force_close()
            for piece in answer:
                begun[1](piece)
            self.writer.take(link, stream)
        except BaseException:
            stream.end()
            raise
        finally:
            answer.close()  # type: ignore[attr-defined]  # werkzeug's have it
        return ALREADY_HANDLED


class Writer:
    """All open streams of this process by their sockets, written to without ever waiting."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}
        self.epoll = epoll()
        self._beating: Any = None

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._lines)

    def take(self, link: socket.socket, stream: Any) -> None:
        """Go on with a stream on the socket on which it has begun; the socket may be closed then."""
        if self._beating is None:
            self._beating = gevent.spawn(self._beat)
            self._watcher = gevent.get_hub().loop.io(self.epoll.fileno(), 1)
            self._watcher.start(self._look)
        if link.family != socket.AF_UNIX:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNCONFIRMED_MS)
        file = os.dup(link.fileno())
        os.set_blocking(file, False)
        line = Line(self, file, stream)
        self._lines[file] = line
        self.epoll.register(file, EPOLLRDHUP)
        stream.box.hand_to(line)

    def forget(self, line: Line) -> None:
        """A stream has ended."""
        del self._lines[line.file]
        self.epoll.unregister(line.file)
        os.close(line.file)

    def _look(self) -> None:
        """Who has gone is forgotten at once, and who was slow gets the rest. Runs in the hub, so it never waits."""
        found = [(self._lines.get(file), what) for file, what in self.epoll.poll(0, 4096)]
        for line, what in found:
            if line is None:
                continue
            if what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
                gevent.spawn(line.drop)
            elif what & EPOLLOUT:
                gevent.spawn(line.flush)

    def _beat(self) -> None:
        while True:
            lines = list(self._lines.values())
            pause = min((line.stream.heartbeat_seconds for line in lines[:1]), default=1.0)
            gevent.sleep(min(1.0, pause / 4))
            now = time.monotonic()
            for number, line in enumerate(lines, 1):
                line.tend(now)
                if number % FEW == 0:
                    gevent.sleep(0)


class Line:
    """One stream on its socket: what reads its box. ``file`` is the socket's descriptor."""

    __slots__ = ("_unsent", "_writer", "file", "is_over", "said_at", "stream")

    def __init__(self, writer: Writer, file: int, stream: Any) -> None:
        self._writer = writer
        self.file = file
        self.stream = stream
        self._unsent = b""
        self.is_over = False
        self.said_at = time.monotonic()

    def hear(self, item: Any) -> bool:
        """Say what came into the box; False where there is nobody to say it to."""
        if self.is_over:
            return False
        piece, is_last = self.stream.told(item)
        if self.say(piece) and is_last:
            self._end()
        return not self.is_over

    def hear_no_more(self) -> None:
        """Say the last word."""
        if not self.is_over:
            self.say(self.stream.farewell)
            self._end()

    def tend(self, now: float) -> None:
        """Give a sign of life where nothing was said for a while, and move on who has been here for long."""
        if self.is_over:
            return
        if now > self.stream.ends_at:
            self.stream.send_away(0.0)
        elif now - self.said_at >= self.stream.heartbeat_seconds:
            self.say(self.stream.beat)

    def say(self, piece: bytes) -> bool:
        """Write, as far as the socket takes it; False where the viewer is gone, or too slow and dropped."""
        if self.is_over:
            return False
        if not piece:
            return True
        self.said_at = time.monotonic()
        return self._write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def flush(self) -> None:
        """Write what was left."""
        if not self.is_over:
            rest, self._unsent = self._unsent, b""
            if self._write(rest) and not self._unsent:
                self._writer.epoll.modify(self.file, EPOLLRDHUP)

    def drop(self) -> None:
        """The viewer has gone, or is too slow."""
        if not self.is_over:
            self.is_over = True
            self._unsent = b""
            self._writer.forget(self)
            self.stream.end()

    def _write(self, data: bytes) -> bool:
        if self._unsent:
            self._unsent += data
        else:
            try:
                sent = os.write(self.file, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.drop()
                return False
            if sent < len(data):
                self._unsent = data[sent:]
                self._writer.epoll.modify(self.file, EPOLLRDHUP | EPOLLOUT)
        if len(self._unsent) > MOST_UNSENT:
            self.drop()
            return False
        return True

    def _end(self) -> None:
        """End as a whole, where the viewer takes it at once."""
        if self.is_over:
            return
        if self._write(LAST_CHUNK):
            self.drop()
