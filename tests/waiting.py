"""Waiting for something to come true, without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, seconds: float = 10.0, what: str = "") -> T:
    """Ask again and again until the condition holds; returns what it said then.

    Raises:
        AssertionError: it did not hold within ``seconds``; the message tells what was awaited.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            awaited = what or getattr(condition, "__name__", "it")
            raise AssertionError(
                f"{awaited} did not come true within {seconds:g} s; last: {found!r}"
            )
        time.sleep(0.01)
