"""How long work may wait for the other parts, and when to stop asking one that is silent.

A request has one budget of time for all that it asks of PostgreSQL and Redis together, so
that several slow answers cannot add up. Libraries know a timeout for each wait at the most;
here the end is a moment, and every wait gets what is left until then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

REQUEST_SECONDS = 3.0
# Some work remains to be tried when the time is over: telling Redis what the database knows already.
LAST_WORD_SECONDS = 0.1
OUTAGE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What PostgreSQL itself allows a statement, and each wait for a lock: milliseconds."""

    statement_ms: int
    lock_ms: int


# Less than a request's budget: PostgreSQL gives up first and undoes what it began.
QUICK = Limits(statement_ms=2500, lock_ms=2000)
PATIENT = Limits(statement_ms=10_000, lock_ms=5000)


@dataclass(slots=True)
class Budget:
    """``ends`` is the moment (monotonic seconds) when no time is left, ``each`` the longest single wait."""

    ends: float
    each: float
    limits: Limits

    def left(self) -> float:
        """Seconds for the next wait; none left is 0 or less."""
        left = self.ends - time.monotonic()
        return min(self.each, left)


# Jobs, commands and migrations: nobody waits for their answer, yet none of them may hang.
UNHURRIED = Budget(ends=float("inf"), each=15.0, limits=PATIENT)

_current: ContextVar[Budget] = ContextVar("budget", default=UNHURRIED)


def budget() -> Budget:
    """What the present request, or other work, may still spend."""
    return _current.get()


@contextmanager
def within(
    seconds: float, *, each: float = REQUEST_SECONDS, limits: Limits = QUICK
) -> Iterator[Budget]:
    """Give the work inside a budget of its own, in place of the one around it."""
    given = Budget(time.monotonic() + seconds, each, limits)
    before = _current.set(given)
    try:
        yield given
    finally:
        _current.reset(before)


class Budgeted:
    """A WSGI app whose every request has ``REQUEST_SECONDS`` until its answer begins.

    What a stream asks while it lasts is not the request's any more.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        before = _current.set(Budget(time.monotonic() + REQUEST_SECONDS, REQUEST_SECONDS, QUICK))
        try:
            return self._app(environ, start_response)
        finally:
            _current.reset(before)


class Outage:
    """Whether a part was silent just now; then nobody waits for it.

    A thread that waits for a silent part is missing to those who need another one. When
    ``OUTAGE_SECONDS`` are over, one caller tries, and the others are refused until it knows.
    """

    def __init__(self) -> None:
        self.began = 0.0
        # For the operator's figures: waits that ended without an answer, and callers refused at once.
        self.failures = 0
        self.refusals = 0
        self._until = 0.0
        self._asked_at = 0.0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Note that it was silent, or could not be reached."""
        self.failures += 1
        self.began = time.monotonic()
        self._until = self.began + OUTAGE_SECONDS

    def goes_on(self) -> None:
        """Note that a try has failed, if this was one; other failures say nothing about the part."""
        if self._until:
            self.begin()
        else:
            self.failures += 1

    def lasts(self) -> bool:
        """Whether callers are refused at this moment."""
        return time.monotonic() < self._until

    def end(self) -> None:
        """Note that it has answered."""
        if self._until:
            self._until = 0.0

    def is_suspected(self) -> bool:
        """Whether to find out if it answers anything: says yes to one caller a second."""
        with self._lock:
            now = time.monotonic()
            if now - self._asked_at < OUTAGE_SECONDS:
                return False
            self._asked_at = now
            return True

    def refuses(self) -> bool:
        """Whether to refuse at once. False means: try, and say how it went."""
        if not self._until:
            return False
        with self._lock:
            now = time.monotonic()
            if now < self._until:
                self.refusals += 1
                return True
            if self._until:
                # This caller tries. Should nothing be heard of it, another one does later.
                self._until = now + REQUEST_SECONDS + OUTAGE_SECONDS
            return False
