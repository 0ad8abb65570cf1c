"""How every part of the service stands, for the people who run a sale: each with what to do."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from flask import Flask

from concert.ground import metrics
from concert.ground.metrics import REQUESTS, Figures, Series
from concert.ground.parts import keep, part
from concert.ground.sale_health import LONGEST_SILENCE_SECONDS
from concert.overview.figures import readings
from concert.overview.lately import LatelyRead

PartName = Literal["postgresql", "redis", "clock", "worker", "jobs", "memory", "answers"]
# ``ok``; ``warm``: look at it; ``bad``: do something now; ``unknown``: it cannot be asked.
PartState = Literal["ok", "warm", "bad", "unknown"]

LATE_JOBS_SECONDS = 5.0
FULL_MEMORY = 0.8
SLOW_SECONDS = 1.0
MANY_FAULTS = 0.01
LATELY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PartNow:
    """One part: how it stands, and the numbers that say so."""

    name: PartName
    state: PartState
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requests:
    """What was answered so far: requests, how many with a fault of ours, and how many by seconds at the most."""

    count: float = 0
    faults: float = 0
    within: tuple[tuple[float, float], ...] = ()

    def since(self, earlier: Requests) -> Requests:
        """What was answered after ``earlier``."""
        before = dict(earlier.within)
        return Requests(
            self.count - earlier.count,
            self.faults - earlier.faults,
            tuple((most, count - before.get(most, 0)) for most, count in self.within),
        )

    def slowest(self, share: float) -> float | None:
        """Seconds within which so many were answered, at the most; None where none was."""
        if self.count <= 0:
            return None
        wanted = share * self.count
        return next((most for most, count in self.within if count >= wanted), math.inf)


@dataclass(slots=True)
class RequestsSeen:
    """What was answered until when, for the last minute."""

    seen: deque[tuple[float, Requests]] = field(default_factory=deque)


def init_parts(app: Flask) -> None:
    """Remember what this app's processes have answered."""
    keep(app, RequestsSeen())


def parts_now() -> list[PartNow]:
    """Every part, as it was within the last second. What cannot be asked says so."""
    return part(LatelyRead).read("parts", _read)


def _read() -> list[PartNow]:
    found: dict[tuple[Series, tuple[str, ...]], float] = {
        (series, labels): value for series, labels, value in readings()
    }
    postgresql = found.get((metrics.UP, ("postgresql",))) == 1.0
    redis = found.get((metrics.UP, ("redis",))) == 1.0
    told = [
        PartNow("postgresql", "ok" if postgresql else "bad"),
        PartNow("redis", "ok" if redis else "bad"),
    ]
    for name in ("clock", "worker"):
        silence = found.get((metrics.SILENCE, (name,)))
        told.append(_silence(name, silence))
    told += [_jobs(found) if redis else PartNow("jobs", "unknown")]
    told += [_memory(found) if redis else PartNow("memory", "unknown")]
    return [*told, _answers()]


def _silence(name: PartName, silence: float | None) -> PartNow:
    if silence is None:
        return PartNow(name, "unknown")
    if silence <= LONGEST_SILENCE_SECONDS:
        return PartNow(name, "ok")
    return PartNow(name, "bad", {"seconds": None if math.isinf(silence) else round(silence)})


def _jobs(found: dict[tuple[Series, tuple[str, ...]], float]) -> PartNow:
    age = found.get((metrics.JOBS_AGE, ("ticks",)), 0.0)
    failed = found.get((metrics.JOBS_FAILED, ("ticks",)), 0.0)
    state: PartState = "warm" if age > LATE_JOBS_SECONDS or failed else "ok"
    return PartNow("jobs", state, {"seconds": round(age), "failed": int(failed)})


def _memory(found: dict[tuple[Series, tuple[str, ...]], float]) -> PartNow:
    used = found.get((metrics.REDIS_MEMORY, ("used",)), 0.0)
    most = found.get((metrics.REDIS_MEMORY, ("most",)), 0.0)
    if not most:
        return PartNow("memory", "ok", {"per_cent": None})
    state: PartState = "warm" if used / most > FULL_MEMORY else "ok"
    return PartNow("memory", state, {"per_cent": round(100 * used / most)})


def _answers() -> PartNow:
    """Errors and waiting times of this web in the last minute, where figures are on."""
    if not part(Figures).enabled:
        return PartNow("answers", "unknown")
    seen, now = part(RequestsSeen).seen, time.monotonic()
    while len(seen) > 1 and seen[1][0] < now - LATELY_SECONDS:
        seen.popleft()
    so_far = _requests_so_far()
    lately = so_far.since(seen[0][1]) if seen else so_far
    seconds = now - seen[0][0] if seen else None
    seen.append((now, so_far))
    share = lately.faults / lately.count if lately.count > 0 else 0.0
    slowest = lately.slowest(0.95)
    state: PartState = "ok"
    if share > MANY_FAULTS:
        state = "bad"
    elif slowest is not None and slowest > SLOW_SECONDS:
        state = "warm"
    return PartNow(
        "answers",
        state,
        {
            "per_minute": round(lately.count * 60 / seconds) if seconds else None,
            "faults": round(lately.faults),
            "within_ms": None if slowest is None or math.isinf(slowest) else round(slowest * 1000),
        },
    )


def _requests_so_far() -> Requests:
    count = faults = 0.0
    within: dict[float, float] = {}
    for sample in part(Figures).samples(REQUESTS):
        if sample.name.endswith("_count"):
            count += sample.value
            if sample.labels["status"] == "5xx":
                faults += sample.value
        elif sample.name.endswith("_bucket"):
            most = float(sample.labels["le"])
            within[most] = within.get(most, 0.0) + sample.value
    return Requests(count, faults, tuple(sorted(within.items())))
