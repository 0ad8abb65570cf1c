"""When a sale will be sold out, if it goes on as it did lately.

The pace is that of the later half of the time since the first seat was sold: so it forgets how
slowly a sale begins, whether it lasts for a minute or for a day, and is measured on as many seats as
there are. At the most it is that of ten minutes, so that a lever is seen in it soon. And a seat whose
hold lapses has to be sold once more, which costs the last seats the time of a hold, or of several.
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_WINDOW_SECONDS = 600.0
LEAST_SECONDS = 5.0
LEAST_SOLD = 5
# Before many holds could lapse, one in twenty is taken to: so much weight has that.
USUAL_LAPSING, USUAL_WEIGHT = 0.05, 20


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seats sold a minute, as measured, and in how many seconds the last one is sold at this pace."""

    per_minute: float
    seconds: float


def window_of(first_sold_seconds_ago: float) -> float:
    """Over how many seconds the pace is measured, where the first seat was sold so long ago."""
    return min(LONGEST_WINDOW_SECONDS, first_sold_seconds_ago / 2)


def forecast(
    left: int,
    sold_lately: int,
    window_seconds: float,
    *,
    held: int = 0,
    lapsed: int = 0,
    decided: int = 0,
    hold_seconds: float = 0.0,
) -> Forecast | None:
    """The forecast for ``left`` seats that are not sold yet; None where too little is known.

    ``sold_lately`` seats were sold in the last ``window_seconds``. Of the ``left`` ones ``held`` are
    held at the moment. Of ``decided`` holds that began longer than ``hold_seconds`` ago, ``lapsed``
    ones came to nothing.
    """
    if left <= 0 or sold_lately < LEAST_SOLD or window_seconds < LEAST_SECONDS / 2:
        return None
    pace = sold_lately / window_seconds
    lapsing = (lapsed + USUAL_LAPSING * USUAL_WEIGHT) / (decided + USUAL_WEIGHT)
    seconds = left / pace + hold_seconds * _rounds(held, min(lapsing, 0.9))
    return Forecast(round(pace * 60, 1), seconds)


def _rounds(held: int, lapsing: float) -> float:
    """How often the last seats are held in vain, one after the other, as it is to be expected.

    While there are others to be had, a seat that comes back is sold in its turn, so the pace knows
    of it. But of those that are held when the free ones are gone some lapse, of these some again, and
    so on: each round comes about as surely as a seat is left for it, and takes a whole hold.
    """
    rounds, still_held = 0.0, held * lapsing
    while still_held > 0.01:
        rounds += min(1.0, still_held)
        still_held *= lapsing
    return rounds
