"""What the service foretells of its own sale while it runs: when the last seat will be sold.

It is asked as a page of the organiser would ask, once a second. How far off it was at half time is
told in the report and is no promise: the very last seat may be held in vain several times in a row.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from concert.rehearsal.plan import Plan

EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Foretold:
    """One answer: when it came, how many seats were sold by then, and when the last one will be (seconds since 1970)."""

    seen: float
    sold: int
    sold_out_at: float | None


@dataclass(slots=True)
class Forecasts:
    """All answers, in order."""

    told: list[Foretold] = field(default_factory=list)


@contextlib.contextmanager
def listening(ask: Callable[[], dict[str, Any]]) -> Iterator[Forecasts]:
    """Ask again and again meanwhile; an answer that does not come is left out."""
    found, over = Forecasts(), threading.Event()

    def go_on() -> None:
        while not over.wait(EVERY_SECONDS):
            with contextlib.suppress(Exception):  # fans' calls are judged; this one is only told of
                answer = ask()
                at = answer["sold_out_at"]
                moment = datetime.fromisoformat(at).timestamp() if at else None
                found.told.append(Foretold(time.time(), answer["sold"], moment))

    thread = threading.Thread(target=go_on, name="forecasts", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join(EVERY_SECONDS * 10)


def of_the_sale(
    plan: Plan, forecasts: Forecasts, opens: float, sold_out_at: float | None
) -> dict[str, Any] | None:
    """What it foretold at half time, beside what came; None where not everything was sold."""
    if sold_out_at is None:
        return None
    whole = sold_out_at - opens
    half = opens + whole / 2
    before = [one for one in forecasts.told if one.seen <= half]
    foretold = before[-1].sold_out_at if before else None
    return {
        "answers": len(forecasts.told),
        "sold_out_after_seconds": round(whole, 1),
        "foretold_at_half_time": None if foretold is None else round(foretold - opens, 1),
        "off_per_cent": None
        if foretold is None
        else round(abs(foretold - sold_out_at) / whole * 100, 1),
        # Where a sale is over within a few holds, the last one that lapses decides.
        "lasted_holds": round(whole / plan.hold_seconds, 1),
    }
