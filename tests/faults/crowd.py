"""A crowd that goes on using the service whatever happens, and what it was answered."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import psutil

from concert.local.servers import EmbeddedServer

# Longer than any answer may take, so that the test sees how long it took.
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Answered:
    """One call: what was asked, when (monotonic), how long it took in seconds, and the status; 0: none."""

    what: str
    at: float
    seconds: float
    status: int
    body: str = ""


@dataclass
class Crowd:
    """People who ask one thing after another, each on a connection of their own."""

    address: str
    answers: list[Answered] = field(default_factory=list)
    # How late this machine was with what it should have done at once (seconds): nobody's fault.
    lag: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def add(
        self, asks: list[Callable[[httpx.Client], httpx.Response]], pause: float = 0.05
    ) -> None:
        """One more person, who asks these things in turn."""
        thread = threading.Thread(target=self._go_on, args=(asks, pause), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _go_on(self, asks: list[Callable[[httpx.Client], httpx.Response]], pause: float) -> None:
        with httpx.Client(base_url=self.address, timeout=PATIENCE_SECONDS) as client:
            for ask in itertools.cycle(asks):
                if self._over.wait(pause):
                    return
                self.answers.append(asked(client, ask))

    def __post_init__(self) -> None:
        self._threads.append(threading.Thread(target=self._measure_lag, daemon=True))
        self._threads[0].start()

    def _measure_lag(self) -> None:
        while True:
            due = time.monotonic() + 0.05
            if self._over.wait(0.05):
                return
            self.lag = max(self.lag, time.monotonic() - due)

    def stop(self) -> None:
        """End, with the answers that are still to come."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def between(self, begin: float, end: float) -> list[Answered]:
        """What was asked in a time (monotonic seconds)."""
        return [one for one in self.answers if begin <= one.at < end]


def asked(client: httpx.Client, ask: Callable[[httpx.Client], httpx.Response]) -> Answered:
    """Ask one thing, and note how it went."""
    began = time.monotonic()
    try:
        answer = ask(client)
        what, status, body = (
            f"{answer.request.method} {answer.request.url.path}",
            answer.status_code,
            answer.text,
        )
    except httpx.HTTPError as error:
        what, status, body = type(error).__name__, 0, str(error)
    return Answered(what, began, time.monotonic() - began, status, body[:300])


@contextmanager
def frozen(server: EmbeddedServer) -> Iterator[None]:
    """All processes of a server, stopped as they stand: its sockets stay open and nobody answers."""
    assert server._process is not None
    leader = psutil.Process(server._process.pid)
    # Children first of all would let the leader replace them, so it goes first.
    leader.suspend()
    stopped = [leader, *leader.children(recursive=True)]
    for process in stopped[1:]:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(stopped):
            process.resume()
