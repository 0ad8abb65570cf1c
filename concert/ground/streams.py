"""Server-sent events: what every stream shares.

A stream is what it says first, a mailbox, and how it says what comes into that. Where each
stream has a thread (``concert up``) a generator reads the box. In the live process one writer
serves all of them (:mod:`concert.ground.live_worker`), and a stream is then an object and an
open socket: no thread, no request, nothing but what it has to say next.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import orjson
import structlog
from flask import Flask, Response, request

from concert.ground.errors import RateLimited, Unavailable
from concert.ground.limits import limit, network_of
from concert.ground.mailbox import Mailbox
from concert.ground.parts import keep, part
from concert.ground.settings import Settings

log = structlog.get_logger()

# A viewer who has gone is noticed at the next write where a stream has a thread of its own, proxies
# cut silent connections, and a page takes a stream for broken that is silent for more than two of these.
HEARTBEAT_SECONDS = 8.0
# When to try again where there are too many: a stream that was lost is noticed by then.
BUSY_SECONDS = 20
# Streams are moved on now and then, so that live processes that were added get their share.
LONGEST_SECONDS = 3600.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
# Whoever serves the request puts a list here where it takes over streams; see live_worker.
OFFERED = "concert.streams"
# How many may come back in a second when a process ends, and within how many seconds all of them do.
BACK_PER_SECOND = 50
BACK_SECONDS = 30.0

ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})

Event = tuple[str, Any]
# What to say of something in the box, and whether that is the last word.
Tell = Callable[[Any], tuple[bytes, bool]]


def encoded(*events: Event) -> bytes:
    """Events as they are sent. A mapping becomes JSON; text is sent as it is, whatever lines it has.

    An event with an empty name is sent without one: htmx puts such data on the page.
    """
    pieces = []
    for name, data in events:
        text = data if isinstance(data, str) else orjson.dumps(data).decode()
        if name:
            pieces.append(f"event:{name}")
        pieces += [f"data:{line}" for line in text.splitlines()]
        pieces.append("")
    return "\n".join([*pieces, ""]).encode()


BEAT = encoded(("beat", "-"))
COMMENT = b": still here\n\n"


def away(seconds: float) -> bytes:
    """That the stream ends now, and in how many seconds to come back: for our pages, and for EventSource."""
    wait = round(seconds * 1000)
    return f"retry:{wait}\nevent:away\ndata:{wait}\n\n".encode()


class Stream:
    """One open stream: whose it is, its box, and how it says what comes into that.

    ``farewell`` is what it says when it is sent away.
    """

    __slots__ = ("_streams", "address", "beat", "box", "ends_at", "farewell", "tell", "viewer")

    def __init__(
        self,
        streams: OpenStreams,
        whose: tuple[Hashable, str],
        box: Mailbox[Any],
        tell: Tell,
        beat: bytes,
    ) -> None:
        self._streams: OpenStreams | None = streams
        self.viewer, self.address = whose
        self.box = box
        self.tell = tell
        self.beat = beat
        self.farewell = b""
        self.ends_at = time.monotonic() + LONGEST_SECONDS * random.uniform(0.9, 1.1)

    @property
    def heartbeat_seconds(self) -> float:
        """How often a silent stream gives a sign."""
        return self._streams.heartbeat_seconds if self._streams else HEARTBEAT_SECONDS

    def told(self, item: Any) -> tuple[bytes, bool]:
        """What to say of something in the box, and whether nothing follows. A fault ends this stream alone."""
        try:
            return self.tell(item)
        except Exception as error:
            log.error("stream_failed", exc_info=error)
            return b"", True

    def send_away(self, seconds: float) -> None:
        """Let it end, and its viewer come back in so many seconds."""
        self.farewell = away(seconds)
        self.box.close()

    def end(self) -> None:
        """Give back all that it holds; any number of times."""
        streams, self._streams = self._streams, None
        if streams is not None:
            self.box.__exit__()
            streams.end(self)

    def pieces(self, opening: bytes) -> Iterator[bytes]:
        """All that it says, for a server that gives each stream a thread."""
        yield opening
        for item in self.box.contents(self.heartbeat_seconds):
            if item is None:
                yield self.beat
            else:
                piece, is_last = self.told(item)
                if piece:
                    yield piece
                if is_last:
                    return
            if time.monotonic() > self.ends_at:
                self.send_away(0.0)
        if self.farewell:
            yield self.farewell


class OpenStreams:
    """Which streams this process serves, and how many it may: in all, for one viewer, for one address.

    ``heartbeat_seconds`` is how often a silent one gives a sign.
    """

    def __init__(self, settings: Settings) -> None:
        self.heartbeat_seconds = HEARTBEAT_SECONDS
        self._settings = settings
        self._lock = threading.Lock()
        self._open: Counter[Hashable] = Counter()
        self._streams: set[Stream] = set()
        self._enders: list[Callable[[], None]] = []
        self._stopped = False

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._streams)

    @property
    def is_ending(self) -> bool:
        """Whether the process is about to end."""
        return self._stopped

    def check(self, viewer: Hashable, address: str) -> None:
        """See that there is a place for one more.

        Raises:
            RateLimited: the viewer, or the address, has as many streams as it may.
            Unavailable: this process serves as many as it may, or is about to end.
        """
        settings = self._settings
        if self._open[viewer] >= settings.streams_per_token:
            raise RateLimited(BUSY_SECONDS, "This place has as many live streams as it may.")
        if self._open[address] >= settings.streams_per_address:
            raise RateLimited(BUSY_SECONDS, "Too many live streams from here.")
        if self._stopped or len(self._streams) >= settings.max_streams:
            # Not all at the same moment.
            raise Unavailable("A live stream", retry_after=random.randint(5, BUSY_SECONDS))

    def begin(
        self, viewer: Hashable, address: str, box: Mailbox[Any], tell: Tell, beat: bytes
    ) -> Stream:
        """Take a place for one more, and let its box be filled.

        Raises:
            RateLimited, Unavailable: as :meth:`check`.
        """
        with self._lock:
            self.check(viewer, address)
            stream = Stream(self, (viewer, address), box, tell, beat)
            self._streams.add(stream)
            self._open[viewer] += 1
            self._open[address] += 1
        try:
            box.__enter__()
        except BaseException:
            stream.end()
            raise
        return stream

    def end(self, stream: Stream) -> None:
        """Give the place of one back."""
        with self._lock:
            self._streams.discard(stream)
            for whose in (stream.viewer, stream.address):
                self._open[whose] -= 1
                if not self._open[whose]:
                    del self._open[whose]

    def end_with(self, stop: Callable[[], None]) -> None:
        """Name somebody who tells streams something, and who is to let them end."""
        self._enders.append(stop)

    def drain(self, seconds: float) -> None:
        """Serve no new streams, and send those that are open away within so many seconds.

        They come back over half a minute, or sooner where they are few: whoever cannot be
        kept until their moment is told to wait for it.
        """
        self._stopped = True
        with self._lock:
            open_now = list(self._streams)
        spread = min(BACK_SECONDS, len(open_now) / BACK_PER_SECOND)
        moments = []
        for stream in open_now:
            back_at = random.uniform(0, spread)
            closes_at = back_at if back_at <= seconds else random.uniform(0, seconds)
            moments.append((closes_at, back_at, stream))
        began = time.monotonic()
        for closes_at, back_at, stream in sorted(moments, key=lambda one: one[:2]):
            if (pause := began + closes_at - time.monotonic()) > 0:
                time.sleep(pause)
            stream.send_away(back_at - closes_at)
        self.stop()

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
    streams, seconds = part(OpenStreams, app), part(Settings, app).drain_seconds

    def watch() -> None:
        with reader, writer:
            while numbers := reader.recv(64):
                if before >= 0:
                    # A server that reads them itself goes on doing so.
                    with suppress(OSError):
                        os.write(before, numbers)
                if not ENDING.intersection(numbers):
                    continue
                if signal.SIGTERM in numbers and not streams.is_ending:
                    threading.Thread(
                        target=streams.drain, args=(seconds,), name="drain", daemon=True
                    ).start()
                elif signal.SIGTERM not in numbers:
                    # Somebody at the keyboard does not wait.
                    streams.stop()

    threading.Thread(target=watch, name="shutdown-watch", daemon=True).start()


def stream_response(
    viewer: Hashable, box: Mailbox[Any], opening: bytes, tell: Tell, beat: bytes = BEAT
) -> Response:
    """A stream that says ``opening`` first, and then what ``tell`` makes of all that comes into ``box``.

    ``tell`` is called without a request, in the thread that fills the box or another one.

    Raises:
        RateLimited, Unavailable: as :func:`limit_streams`.
    """
    stream = part(OpenStreams).begin(viewer, network_of(request.remote_addr or ""), box, tell, beat)
    offered: list[Stream] | None = request.environ.get(OFFERED)
    if offered is None:
        response = event_stream(stream.pieces(opening))
        response.call_on_close(stream.end)
    else:
        offered.append(stream)
        response = event_stream(iter([opening]))
    return response


def event_stream(pieces: Iterator[bytes] | Sequence[bytes]) -> Response:
    """An answer of server-sent events."""
    return Response(pieces, mimetype="text/event-stream", headers=HEADERS)
