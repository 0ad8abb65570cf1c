"""The live process as it is deployed: one writer for all streams, in crowds, with slow and with gone viewers."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Self
from uuid import uuid4

import orjson
import pytest

from concert.factory import create_app
from concert.ground.database import Database
from concert.ground.events import performance_channel
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.ground.streams import BACK_PER_SECOND, HEARTBEAT_SECONDS
from concert.waiting_room import service
from tests.deploy.stack import live_process_command
from tests.sale import Fan, Sale
from tests.service import Program, environment_of, free_port
from tests.waiting import wait_until

KEY = "a key without a comma that is long enough to sign"
PATIENCE = 30.0
SOON = HEARTBEAT_SECONDS / 2  # before any sign of life is sent
PLACE = "/v1/enqueues/events"


@dataclass
class Live:
    """A live process, and a sale that it serves."""

    port: int
    program: Program
    sale: Sale
    concert: int = 0
    waiting: list[Fan] = field(default_factory=list)

    def line_up(self, count: int) -> list[str]:
        """So many more people in line; their tokens."""
        return [service.join("main", uuid4()).token.encoded() for _ in range(count)]


@contextmanager
def live_process(settings: Settings, **more: object) -> Iterator[Live]:
    own = settings.model_copy(update={"secret_keys": (KEY,), "max_streams": 1000, **more})
    app = create_app(own)
    port = free_port()
    program = Program(live_process_command(port), environment_of(own) | {"PATH": "/usr/bin:/bin"})
    try:
        program.wait_until_it_serves(port)
        with app.app_context():
            sale = Sale(app)
            sale.room(capacity=1)
            concert = sale.concert()
            sale.admitted_fan(concert)
            yield Live(port, program, sale, concert)
    finally:
        program.end(signal.SIGKILL)
        part(Database, app).pool.close()


class Stream:
    """A stream over a socket of its own, read as it comes."""

    def __init__(self, port: int, token: str, path: str = PLACE, version: str = "1.1") -> None:
        self.link = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.read = b""
        self.link.sendall(
            f"GET {path} HTTP/{version}\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )

    def until(self, words: bytes) -> bytes:
        """Read on until these words have come, or the end; returns all of it."""
        while words not in self.read:
            data = self.link.recv(65536)
            if not data:
                break
            self.read += data
        assert words in self.read, self.read
        return self.read

    def rest(self) -> bytes:
        """Read to the end."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.link.recv(65536):
                self.read += data
        return self.read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()


def told_place(stream: Stream, position: int) -> bytes:
    return stream.until(b'"position":%d,' % position)


def test_a_viewer_is_told_at_once_and_of_every_change_and_of_the_end(
    sale: Sale, settings: Settings
) -> None:
    with live_process(settings) as live:
        ahead, token = live.line_up(2)
        with Stream(live.port, token) as stream:
            head = told_place(stream, 2).lower()
            assert head.startswith(b"http/1.1 200 ")
            assert b"content-type: text/event-stream" in head
            assert b"transfer-encoding: chunked" in head and b"connection: close" in head
            live.sale.call("DELETE", "/v1/enqueues", token=ahead)
            told_place(stream, 1)
            live.sale.call("DELETE", "/v1/enqueues", token=token)
            # It ends, and as a whole.
            assert b'"status":"left"' in stream.rest()
            assert stream.read.endswith(b"\r\n0\r\n\r\n")


def test_a_client_of_old_http_and_one_that_wants_the_head_alone_are_served_too(
    sale: Sale, settings: Settings
) -> None:
    with live_process(settings, max_streams=1) as live:
        ahead, token = live.line_up(2)
        connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=PATIENCE)
        connection.request("HEAD", PLACE, headers={"Authorization": f"Bearer {token}"})
        assert connection.getresponse().status == 200
        connection.close()
        with Stream(live.port, token, version="1.0") as stream:
            assert b"chunked" not in told_place(stream, 2)
            live.sale.call("DELETE", "/v1/enqueues", token=ahead)
            told_place(stream, 1)


def test_a_viewer_who_hangs_up_makes_room_at_once(sale: Sale, settings: Settings) -> None:
    with live_process(settings, max_streams=1) as live:
        first, second = live.line_up(2)
        with Stream(live.port, first) as stream:
            told_place(stream, 1)
            with Stream(live.port, second) as refused:
                head = refused.until(b"\r\n\r\n").lower()
                assert head.startswith(b"http/1.1 503 ")
                assert re.search(rb"retry-after: [1-9]", head)
        hung_up = time.monotonic()

        def is_served() -> bool:
            with Stream(live.port, second) as stream:
                return stream.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")

        wait_until(is_served, seconds=PATIENCE)
        # Nothing was written to whoever has gone: the socket itself has told.
        assert time.monotonic() - hung_up < SOON


def test_silent_streams_give_a_sign_of_life(sale: Sale, settings: Settings) -> None:
    with live_process(settings) as live:
        (token,) = live.line_up(1)
        with Stream(live.port, token) as stream:
            told_place(stream, 1)
            begun = time.monotonic()
            stream.until(b": still here\n\n")
            assert HEARTBEAT_SECONDS - 1 < time.monotonic() - begun < 2 * HEARTBEAT_SECONDS


def test_a_viewer_who_does_not_read_is_dropped_and_the_others_are_told(
    sale: Sale, settings: Settings
) -> None:
    with live_process(settings, max_streams=2) as live:
        live.sale.room(capacity=10)
        fans = [live.sale.admitted_fan(live.concert) for _ in range(3)]
        cookies = [
            f"concert_user={fan.user_token}; concert_queue_main={fan.queue_token}" for fan in fans
        ]
        path = "/live/performances/1"

        def stream(which: int) -> Stream:
            return Stream(live.port, f"x\r\nCookie: {cookies[which]}", path)

        many = {"type": "seats", "data": {"seats": [12] * 500, "state": "held", "holder": None}}
        with stream(0) as slow, stream(1) as quick:
            slow.until(b"resync")
            quick.until(b"resync")

            def dropped() -> bool:
                redis().publish(performance_channel(1), orjson.dumps(many))
                quick.until(b"seat-12")
                quick.read = b""
                with stream(2) as third:
                    return third.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")

            wait_until(dropped, seconds=60)
            assert not slow.rest().endswith(b"0\r\n\r\n")
            one = {"type": "seats", "data": {"seats": [13], "state": "held", "holder": None}}
            redis().publish(performance_channel(1), orjson.dumps(one))
            quick.until(b"seat-13")


def test_a_crowd_that_comes_at_once_is_served_one_after_the_other_and_nobody_is_refused(
    sale: Sale, settings: Settings
) -> None:
    # All of them together take longer than any of them may.
    most = {"max_streams": 3000, "streams_per_address": 3000}
    with live_process(settings, **most) as live, ExitStack() as held:
        tokens = live.line_up(3000)
        streams = [held.enter_context(Stream(live.port, token)) for token in tokens]
        for position, stream in enumerate(streams, 1):
            assert told_place(stream, position).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("seconds", [30.0, 0.3])
def test_streams_are_sent_away_one_by_one_so_that_not_all_come_back_at_once(
    sale: Sale, settings: Settings, seconds: float
) -> None:
    count = 3 * BACK_PER_SECOND
    with live_process(settings, drain_seconds=seconds) as live, ExitStack() as held:
        tokens = live.line_up(count + 1)
        streams = [held.enter_context(Stream(live.port, token)) for token in tokens[:-1]]
        for position, stream in enumerate(streams, 1):
            told_place(stream, position)
        kept = [
            held.enter_context(
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", live.port, timeout=30))
            )
            for _ in range(2)
        ]
        for connection in kept:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        live.program.popen.terminate()
        began = time.monotonic()
        if seconds > 1:
            # Before all have gone: no new ones, and no readiness.
            for connection, path in zip(kept, ("/readyz", PLACE), strict=True):
                headers = {"Authorization": f"Bearer {tokens[-1]}"}

                # It takes a moment until the process hears that it is to end.
                def refusal(
                    connection: http.client.HTTPConnection = connection,
                    path: str = path,
                    headers: dict[str, str] = headers,
                ) -> tuple[http.client.HTTPResponse, bytes] | None:
                    connection.request("GET", path, headers=headers)
                    answer = connection.getresponse()
                    text = answer.read()
                    return (answer, text) if answer.status == 503 else None

                answer, text = wait_until(refusal)
                assert (
                    b"about to end" in text if path == "/readyz" else answer.headers["Retry-After"]
                )
        came_back = []
        for stream in streams:
            text = stream.rest()
            closed = time.monotonic() - began
            assert text.endswith(b"0\r\n\r\n")
            (wait,) = re.findall(rb"retry:(\d+)\nevent:away\ndata:\1\n", text)
            came_back.append((closed, int(wait) / 1000))
        assert live.program.exit_code(30) in (0, -signal.SIGTERM)
        ended = time.monotonic() - began
        if seconds > 1:
            # Whoever may be kept until their moment is told to come at once.
            assert all(wait == 0 for _, wait in came_back)
            assert ended >= 2.0
        else:
            assert max(wait for _, wait in came_back) > 2.0
            assert sum(wait < 1.0 for _, wait in came_back) < count / 2
