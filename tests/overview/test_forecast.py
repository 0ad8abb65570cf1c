"""When a sale will be sold out: how far off the forecast is in sales that are played through.

What is measured: at half time of a sale, how far the foretold moment is from the true one, as a
share of the whole time. The sales here are drawn by chance, with seeds: people are let in by
capacity and rate, and pay, give back, or let their holds lapse, which takes five minutes.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

import pytest

from concert.overview.forecast import forecast, window_of

HOLD_SECONDS = 300.0


@dataclass
class Played:
    """A sale from its opening on: when seats were sold, and what stood at each second."""

    seats: int
    sold_at: list[float] = field(default_factory=list)
    # Seats held, holds that have lapsed so far, holds that began longer ago than a hold lasts.
    stood: list[tuple[int, int, int]] = field(default_factory=list)

    def foretold(self, now: float, *, knows_of_lapses: bool = True) -> float | None:
        """At which second all is sold, as the forecast says at this one."""
        sold = [moment for moment in self.sold_at if moment <= now]
        held, lapsed, decided = self.stood[int(now)]
        window = window_of(now - sold[0])
        lately = sum(moment > now - window for moment in sold)
        more = {"held": held, "lapsed": lapsed, "decided": decided, "hold_seconds": HOLD_SECONDS}
        found = forecast(
            self.seats - len(sold), lately, window, **(more if knows_of_lapses else {})
        )
        return now + found.seconds if found else None

    def off_at_half_time(self, **how: bool) -> float:
        """By which share of the whole time the forecast is wrong at half time."""
        whole = self.sold_at[-1]
        foretold = self.foretold(whole / 2, **how)
        assert foretold is not None
        return abs(foretold - whole) / whole


def played(
    seed: int, seats: int, *, capacity: int, rate: int, lapsing: float = 0.05, given_back: float
) -> Played:
    """A sale with an endless line; shares are those of the holds."""
    chance, sale = random.Random(seed), Played(seats)
    ends: list[tuple[float, str]] = []
    began: list[int] = []
    free, inside, lapsed, past, budget, now = seats, 0, 0, 0, 0.0, 0
    while len(sale.sold_at) < seats:
        while ends and ends[0][0] <= now:
            at, became = heapq.heappop(ends)
            inside -= 1
            if became == "paid":
                sale.sold_at.append(at)
            else:
                free += 1
                lapsed += became == "lapsed"
        while past < len(began) and began[past] <= now - HOLD_SECONDS:
            past += 1
        budget = min(rate, budget + rate / 60)
        while inside < capacity and budget >= 1 and free:
            budget, inside, free = budget - 1, inside + 1, free - 1
            began.append(now)
            drawn = chance.random()
            if drawn < lapsing:
                ends_at, became = now + HOLD_SECONDS + chance.random() * 40, "lapsed"
            elif drawn < lapsing + given_back:
                ends_at, became = now + chance.expovariate(1 / 90), "released"
            else:
                ends_at = now + min(HOLD_SECONDS, 30 + chance.expovariate(1 / 60))
                became = "paid"
            heapq.heappush(ends, (ends_at, became))
        sale.stood.append((inside, lapsed, past))
        now += 1
    return sale


SALES = {
    "800 seats in three quarters of an hour": {"seats": 800, "capacity": 50, "rate": 120},
    "5,000 seats in an hour": {"seats": 5000, "capacity": 200, "rate": 120},
    "1,500 seats in two hours": {"seats": 1500, "capacity": 25, "rate": 60},
}


@pytest.mark.parametrize("named", SALES)
def test_at_half_time_the_forecast_is_wrong_by_less_than_15_per_cent(named: str) -> None:
    sale = SALES[named]
    off = sorted(played(seed, given_back=0.05, **sale).off_at_half_time() for seed in range(12))
    # The very last seat may be held in vain several times in a row: one evening in a dozen may be worse.
    assert off[-2] < 0.15, off
    assert off[len(off) // 2] < 0.09, off


def test_without_the_last_holds_that_lapse_it_would_be_wrong_by_more() -> None:
    sales = [played(seed, 5000, capacity=200, rate=120, given_back=0.05) for seed in range(6)]
    without = sorted(sale.off_at_half_time(knows_of_lapses=False) for sale in sales)
    assert without[len(without) // 2] > 0.11, without


def test_a_new_rate_is_seen_in_it_within_ten_minutes() -> None:
    # A day of one seat a minute, then ten minutes of ten a minute.
    assert window_of(86_400) == 600
    found = forecast(1000, 100, window_of(86_400))
    assert found is not None
    assert (found.per_minute, found.seconds) == (10, 6000)


@pytest.mark.parametrize(
    ("left", "lately", "window"), [(0, 100, 60.0), (50, 4, 60.0), (50, 100, 1.0)]
)
def test_where_too_little_is_known_nothing_is_foretold(
    left: int, lately: int, window: float
) -> None:
    assert forecast(left, lately, window) is None
