"""How fast a line moves: people let in a second, measured over the last minute."""

from __future__ import annotations

import math

PACE_WINDOW_SECONDS = 60.0
# Less than one person in three hours says nothing.
LEAST_PER_SECOND = 1e-4


def per_second(pace: float, pace_at_ms: int, since_ms: int, now_ms: int) -> float | None:
    """People let in a second, or None until there is a measure.

    ``pace`` counts those who were let in until ``pace_at_ms``, those of a minute before 1/e;
    it is counted ``since_ms``.
    """
    if not since_ms or pace <= 0:
        return None
    # Moments that lie ahead were written before the clock stepped back.
    faded = pace * math.exp(min(0, pace_at_ms - now_ms) / 1000 / PACE_WINDOW_SECONDS)
    # The first tick's people are those of the second before it.
    measured_seconds = max(0, now_ms - since_ms) / 1000 + 1.0
    weight = PACE_WINDOW_SECONDS * (1 - math.exp(-measured_seconds / PACE_WINDOW_SECONDS))
    found = faded / weight
    return found if found > LEAST_PER_SECOND else None


def wait_range(position: int, people_a_second: float, counted: float) -> tuple[int, int]:
    """How long a wait may be (seconds): at the least and at the most, by how sure the pace is.

    ``counted`` is how many people the pace was measured from. A count of n is off by its root,
    and so is how long the people ahead take.
    """
    likely = position / people_a_second
    off = math.sqrt(1 / max(1.0, counted) + 1 / position)
    return math.floor(likely / (1 + off)), math.ceil(likely * (1 + off))
