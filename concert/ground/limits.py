"""How much one person, or one address, may ask for in a minute.

Each process counts by itself, in its memory: a count costs less than a microsecond and no
round trip. Behind several processes somebody may thus get several times as much; the limits
are there to end loops, not to measure out. Nobody is remembered for longer than a minute.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address
from typing import Literal, TypeVar

from flask import Flask

from concert.ground.errors import NotFound, RateLimited, TokenInvalid
from concert.ground.parts import keep, part
from concert.ground.settings import Settings

MINUTE = 60.0
# How many are remembered before those who may do everything again are forgotten.
FEW = 10_000

T = TypeVar("T")
What = Literal["new users", "key guesses", "charges", "holds", "streams", "streams of an address"]


class Limits:
    """Who has done how much lately: for each, the moment from which they may do everything again.

    Doing something moves that moment on by a minute's share; somebody for whom it is a minute
    ahead has used the minute up. So a whole minute's worth may be done at once, and then as
    much as comes back.
    """

    def __init__(self, settings: Settings) -> None:
        per_minute: dict[What, int] = {
            "new users": settings.new_users_per_minute,
            "key guesses": settings.key_guesses_per_minute,
            "charges": settings.charges_per_minute,
            "holds": settings.holds_per_minute,
            "streams": settings.stream_openings_per_minute,
            # So that a hall can come back twice in a minute after the live part was away.
            "streams of an address": 2 * settings.streams_per_address,
        }
        self._shares = {what: MINUTE / most for what, most in per_minute.items()}
        self._lock = threading.Lock()
        self._free_at: dict[tuple[What, Hashable], float] = {}
        self._most = FEW
        # How often each was refused, for the operator's figures.
        self.refused = Counter[What]()

    def check(self, what: What, who: Hashable) -> None:
        """See that they may do it once more, without counting it.

        Raises:
            RateLimited: they may not, before ``retry_after``.
        """
        now = time.monotonic()
        self._refuse(what, self._free_at.get((what, who), now), now)

    def count(self, what: What, who: Hashable) -> None:
        """Count it once more.

        Raises:
            RateLimited: they may not, before ``retry_after``; then it is not counted.
        """
        now = time.monotonic()
        with self._lock:
            free_at = max(now, self._free_at.get((what, who), now))
            self._refuse(what, free_at, now)
            self._free_at[what, who] = free_at + self._shares[what]
            if len(self._free_at) > self._most:
                self._forget(now)

    def _refuse(self, what: What, free_at: float, now: float) -> None:
        over = free_at - now + self._shares[what] - MINUTE
        if over > 1e-6:
            self.refused[what] += 1
            raise RateLimited(math.ceil(over))

    def _forget(self, now: float) -> None:
        self._free_at = {key: at for key, at in self._free_at.items() if at > now}
        self._most = max(FEW, 2 * len(self._free_at))


def init_limits(app: Flask, settings: Settings) -> None:
    """Count in this process."""
    keep(app, Limits(settings))


def limit(what: What, who: Hashable) -> None:
    """Count what somebody does.

    Raises:
        RateLimited: they have done it as often in the last minute as they may, on this process.
    """
    part(Limits).count(what, who)


def guarded(address: str, look_up: Callable[[], T]) -> T:
    """Look a secret up that somebody has sent; a wrong one counts as a guess of their address.

    Raises:
        RateLimited: they have guessed too often; they are not told whether this one is right.
        TokenInvalid, NotFound: it is wrong.
    """
    limits = part(Limits)
    limits.check("key guesses", address)
    try:
        return look_up()
    except (TokenInvalid, NotFound):
        limits.count("key guesses", address)
        raise


def network_of(address: str) -> str:
    """What counts as one address: of IPv6 the first 64 bits, since who has one has them all."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"
