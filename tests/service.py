"""Starting the service's own programs, whole or in parts, and calling what they serve.

Whoever needs the service as processes starts them here: the tests of one machine, of the
deployment and of the browser, and the benchmarks. A program's output goes to a file that
disappears with it, and is shown where the program does not get up.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from concert.ground.settings import Settings
from concert.local.launch import end_session, launch
from concert.local.processes import Part
from tests.waiting import wait_until

PROJECT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 15.0
SHOWN_LINES = 40

UP = (sys.executable, "-m", "concert.cli", "up")


class Program:
    """A started process, and what it has said so far."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path = PROJECT
    ) -> None:
        """Start ``command`` in a session of its own; it ends when this process ends."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # it is closed by end()
        self._last_words: str | None = None
        self.popen = launch(
            command,
            death_signal=signal.SIGTERM,
            directory=directory,
            environment=environment,
            output=self._file,
        )

    @property
    def pid(self) -> int:
        """The process's number, which is its session's, too."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    @property
    def text(self) -> str:
        """All that it has said."""
        if self._last_words is not None:
            return self._last_words
        # Read by position: the process writes where this open file stands.
        size = os.fstat(self._file.fileno()).st_size
        return os.pread(self._file.fileno(), size, 0).decode(errors="replace")

    @property
    def output(self) -> list[str]:
        """All that it has said, in lines."""
        return self.text.splitlines()

    def said(self, words: str) -> bool:
        """Whether it has said this; fails the test when it can no longer do so."""
        over = not self.running
        found = words in self.text
        assert found or not over, f"ended with {self.popen.returncode}: {self.text}"
        return found

    def wait_until_it_serves(self, port: int, path: str = "/healthz") -> None:
        """Wait until its port answers 200.

        Raises:
            AssertionError: it has ended, or does not answer in time; the message has its output.
        """
        wait_until_served([self], port, path)

    def exit_code(self, seconds: float = START_SECONDS) -> int:
        """Wait for its end."""
        return self.popen.wait(seconds)

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = STOP_SECONDS) -> None:
        """Ask it to end, and end by force what is left of its session."""
        if self.running:
            self.popen.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        end_session(self.pid)
        self.popen.wait()
        self._last_words = self.text
        self._file.close()

    def last_lines(self) -> str:
        """The end of its output, for a failure's message."""
        return "\n".join(self.output[-SHOWN_LINES:])


def started(part: Part, environment: Mapping[str, str], directory: Path = PROJECT) -> Program:
    """Start one part of the local process set by itself, without the supervisor."""
    return Program(part.command, {**os.environ, **part.environment, **environment}, directory)


def end_all(programs: Iterable[Program]) -> None:
    """Ask all of them to end before waiting for the first, so that they end side by side."""
    running = list(programs)
    for program in running:
        if program.running:
            program.popen.terminate()
    for program in reversed(running):
        program.end()


def wait_until_served(programs: Iterable[Program], port: int, path: str = "/healthz") -> None:
    """Wait until the port answers 200; these programs are what serves it.

    Raises:
        AssertionError: one of them has ended, or there is no such answer in time; the message
            has their output.
    """
    watched = list(programs)

    def done() -> bool:
        return serves(port, path) or not all(program.running for program in watched)

    with contextlib.suppress(AssertionError):
        wait_until(done, seconds=START_SECONDS)
    if not serves(port, path):
        said = "\n".join(program.last_lines() for program in watched)
        raise AssertionError(f"{path} on port {port} never answered 200\n{said}")


def environment_of(settings: Settings) -> dict[str, str]:
    """What a process has to be told to have these settings: those that are not the usual ones."""
    return {
        str(field.alias): _as_variable(getattr(settings, name))
        for name, field in Settings.model_fields.items()
        if getattr(settings, name) != field.default
    }


def _as_variable(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


def call(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str = "",
    headers: dict[str, str] | None = None,
    seconds: float = 30.0,
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    sent = dict(headers or {})
    if token:
        sent["Authorization"] = f"Bearer {token}"
    data = None
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, path, data, sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def serves(port: int, path: str = "/healthz") -> bool:
    """Whether the port answers 200 now."""
    try:
        return call(port, "GET", path, seconds=5.0).status == 200
    except (OSError, http.client.HTTPException):
        return False


@contextlib.contextmanager
def open_stream(port: int, path: str, token: str) -> Iterator[tuple[http.client.HTTPResponse, Any]]:
    """A server-sent stream: its response, and an iterator over the events' data."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        yield response, _events(response)
    finally:
        connection.close()


def _events(response: http.client.HTTPResponse) -> Iterator[Any]:
    for line in response:
        if line.startswith(b"data:"):
            yield json.loads(line[5:])
