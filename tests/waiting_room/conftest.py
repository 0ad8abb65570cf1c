"""A clock that stands still until it is moved."""

from __future__ import annotations

import hashlib

import pytest

from concert.ground.redis_client import Script, redis
from concert.waiting_room import scripts
from tests.sale import Sale

FIRST_MOMENT_US = 1_900_000_000_000_000
# Where the room's keys are, should there be several servers.
CLOCK = "{room:main}:clock"


def altered(script: Script, *changes: tuple[str, str]) -> Script:
    """A script with passages replaced; each must be there."""
    other = object.__new__(Script)
    other.name, other.text = script.name, script.text
    for passage, replacement in changes:
        assert passage in other.text, f"there is no {passage!r} in {script.name}"
        other.text = other.text.replace(passage, replacement)
    other.digest = hashlib.sha1(other.text.encode(), usedforsecurity=False).hexdigest()
    return other


class Clock:
    """What the scripts take for Redis' time."""

    def __init__(self) -> None:
        self.now_us = FIRST_MOMENT_US

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now_us += round(seconds * 1_000_000)
        self.show()

    def show(self) -> None:
        """Write the time where the scripts read it; again after Redis has lost everything."""
        pipeline = redis().pipeline()
        pipeline.delete(CLOCK)
        pipeline.rpush(CLOCK, self.now_us // 1_000_000, self.now_us % 1_000_000)
        pipeline.execute()


@pytest.fixture
def clock(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The scripts read this clock instead of Redis' own; nothing else of them is changed."""
    for script in vars(scripts).values():
        if isinstance(script, Script):
            still = altered(
                script, ("redis.call('TIME')", f"redis.call('LRANGE', '{CLOCK}', 0, 1)")
            )
            monkeypatch.setattr(script, "text", still.text)
            monkeypatch.setattr(script, "digest", still.digest)
    clock = Clock()
    clock.show()
    return clock
