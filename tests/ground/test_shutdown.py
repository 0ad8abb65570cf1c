"""A process that is told to end lets its streams end first, under either server."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from concert.factory import create_app
from concert.ground.database import Database
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.local.launch import end_session, launch
from concert.local.processes import local_parts
from tests.deploy.stack import live_process_command
from tests.sale import Fan, Sale
from tests.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[2]
# How long the servers would wait for open streams, and how soon they end without.
GRACE_SECONDS = 45
SOON_SECONDS = 20
TRIALS = 3
KEY = "a key without a comma that is long enough to sign"


@pytest.fixture
def handed_on(settings: Settings) -> Settings:
    """The same, with a key that can be handed on: keys are told apart by commas."""
    return settings.model_copy(update={"secret_keys": (KEY,)})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def live_command(port: int) -> list[str]:
    """The live process, as the container runs it."""
    return live_process_command(port)


def web_command(settings: Settings, port: int) -> list[str]:
    """The web process of one machine, but for its patience with streams."""
    settings = settings.model_copy(update={"port": port, "web_workers": 1})
    command = list(local_parts(settings, "redis://")[0].command)
    command[command.index("--workers-kill-timeout") + 1] = str(GRACE_SECONDS)
    return command


def waiting_fan(sale: Sale) -> Fan:
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    return fan


@contextmanager
def running(settings: Settings, command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "CONCERT_SECRET_KEYS": settings.secret_keys[0],
    }
    process = launch(
        command,
        death_signal=signal.SIGKILL,
        directory=PROJECT,
        environment=environment,
        output=subprocess.DEVNULL,
    )

    def is_up() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    try:
        wait_until(is_up, seconds=60)
        yield process
    finally:
        end_session(process.pid)
        process.wait()


@pytest.mark.parametrize("server", ["live", "web"])
def test_a_process_that_is_told_to_end_does_not_wait_for_its_streams(
    sale: Sale, handed_on: Settings, server: str
) -> None:
    app = create_app(handed_on)
    with app.app_context():
        fan = waiting_fan(Sale(app))
    part(Database, app).pool.close()
    # Now and then granian stays, for as long as its own patience lasts, although nothing is open any more.
    # What waits for its streams does so every time.
    assert any(ends_soon(handed_on, fan, server) for _ in range(TRIALS))


def ends_soon(settings: Settings, fan: Fan, server: str) -> bool:
    """Whether a process with an open stream is gone soon after it is told to end; the stream ends as a whole."""
    port = free_port()
    command = live_command(port) if server == "live" else web_command(settings, port)
    with running(settings, command, port) as process:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SOON_SECONDS)
        headers = {"Authorization": f"Bearer {fan.queue_token}"}
        connection.request("GET", "/v1/enqueues/events", headers=headers)
        stream = connection.getresponse()
        assert stream.readline() == b"event:place\n"
        process.terminate()
        # The stream ends by itself, and as a whole: its reader comes back elsewhere.
        assert b"waiting" in stream.read()
        connection.close()
        try:
            return process.wait(SOON_SECONDS) in (0, -signal.SIGTERM)
        except subprocess.TimeoutExpired:
            return False
