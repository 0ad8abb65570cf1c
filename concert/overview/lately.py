"""What a crowd asks for is read once a second, and told to all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Flask

from concert.ground.parts import keep

Value = TypeVar("Value")

REMEMBERED_SECONDS = 1.0
# How long somebody waits for another's reading before taking one of their own.
PATIENCE_SECONDS = 1.0


@dataclass(slots=True)
class LatelyRead:
    """What was read lately, by what was asked, and the lock of whoever reads it."""

    seconds: float = REMEMBERED_SECONDS
    found: dict[Any, tuple[float, Any]] = field(default_factory=dict)
    readers: dict[Any, threading.Lock] = field(default_factory=dict)

    def read(self, asked: Any, read: Callable[[], Value]) -> Value:
        """What was read within the last second; of many who ask at once, one reads.

        Raises:
            What ``read`` raises. Nothing is kept of that: there is no end to what is not there.
        """
        value: Value
        fresh, value = self._fresh(asked)
        if fresh:
            return value
        reader = self.readers.setdefault(asked, threading.Lock())
        is_mine = reader.acquire(timeout=PATIENCE_SECONDS)
        try:
            fresh, value = self._fresh(asked)
            if not fresh:
                began = time.monotonic()
                value = read()
                self.found[asked] = (began + self.seconds, value)
            return value
        except Exception:
            if asked not in self.found:
                self.readers.pop(asked, None)
            raise
        finally:
            if is_mine:
                reader.release()

    def _fresh(self, asked: Any) -> tuple[bool, Any]:
        until, value = self.found.get(asked, (0.0, None))
        return until > time.monotonic(), value


def init_overview(app: Flask) -> None:
    """Remember what this app has read lately."""
    keep(app, LatelyRead())
