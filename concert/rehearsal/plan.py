"""Who comes to the rehearsal, when, and how they behave."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

Arrival = Literal["spike", "ramp", "wave"]
Temper = Literal[
    "calm", "double_clicker", "reloader", "leaver", "absent", "vanisher", "changes_mind"
]
Returning = Literal["no", "releases", "leaves", "walks away"]

# How many of a hundred fans behave so; everybody else is calm.
TEMPERS: dict[Temper, float] = {
    "double_clicker": 10.0,
    "reloader": 10.0,
    "leaver": 5.0,
    "absent": 5.0,
    "vanisher": 5.0,
    "changes_mind": 5.0,
}
# Of a hundred fans, how many go when all is being paid for, and how many stand by when all is sold.
GIVE_UP_SHARE, STAND_BY_SHARE = 10.0, 30.0
STAND_BY_SECONDS = (3.0, 12.0)
ARRIVALS: tuple[Arrival, ...] = ("spike", "ramp", "wave")


class PlanError(Exception):
    """The rehearsal cannot be held so; the message says why."""


@dataclass(frozen=True)
class Plan:
    """A rehearsal. Times are seconds; ``stream_share``, ``returns`` and tempers are per cent of the fans.

    ``returns`` is how many of those who hold seats do not pay but release them, leave, or let the hold
    lapse, which takes ``hold_seconds`` on a service that is started for this. Everybody in line is to be told
    of a change within ``told_within``, and no seat is to be idle for longer than ``idle_at_most``
    while somebody waits.
    """

    fans: int = 500
    seats: int = 100
    price: int = 50_000
    arrival: Arrival = "spike"
    arrive_within: float = 10.0
    capacity: int = 50
    admit_per_minute: int = 600
    entry_seconds: int = 20
    visit_seconds: int = 120
    thinking: float = 1.5
    stream_share: float = 5.0
    returns: float = 10.0
    hold_seconds: int = 30
    told_within: float = 5.0
    idle_at_most: float = 2.0
    longest: float = 900.0
    processes: int = 1
    connections: int = 400
    seed: int = 1

    def check(self) -> None:
        """See that it can be held.

        Raises:
            PlanError: a number is out of range.
        """
        ranges = {
            "fans": (self.fans, 1, 200_000),
            "seats": (self.seats, 1, 20_000),
            "processes": (self.processes, 1, 64),
            "capacity": (self.capacity, 1, 1_000_000),
            "admit_per_minute": (self.admit_per_minute, 1, 1_000_000),
            "entry_seconds": (self.entry_seconds, 1, 86_400),
            "visit_seconds": (self.visit_seconds, 1, 86_400),
            "hold_seconds": (self.hold_seconds, 1, 86_400),
            "returns": (self.returns, 0.0, 100.0),
            "told_within": (self.told_within, 0.0, 3_600.0),
            "idle_at_most": (self.idle_at_most, 0.0, 3_600.0),
            "arrive_within": (self.arrive_within, 0.0, 3_600.0),
            "longest": (self.longest, 10.0, 14_400.0),
        }
        for name, (value, lowest, highest) in ranges.items():
            if not lowest <= value <= highest:
                raise PlanError(f"{name} is {lowest:g} to {highest:g}, not {value:g}.")
        if self.arrival not in ARRIVALS:
            raise PlanError(f"arrival is one of {', '.join(ARRIVALS)}.")

    def guests(self, process: int) -> Iterator[Guest]:
        """The fans that one of the processes plays; the same ones for the same seed."""
        for number in range(process, self.fans, self.processes):
            yield self.guest(number)

    def guest(self, number: int) -> Guest:
        """One of the fans."""
        chance = random.Random(f"{self.seed}/{number}")
        return Guest(
            number=number,
            arrives=self._arrives(chance),
            temper=_temper(chance),
            streams=chance.uniform(0, 100) < self.stream_share,
            party=chance.choices((1, 2, 3, 4), (40, 45, 10, 5))[0],
            returns=self._returns(chance),
            gives_up=chance.uniform(0, 100) < GIVE_UP_SHARE,
            stands_by=(
                chance.uniform(*STAND_BY_SECONDS)
                if chance.uniform(0, 100) < STAND_BY_SHARE
                else 0.0
            ),
            chance=chance,
        )

    def as_document(self) -> dict[str, Any]:
        """The plan as the report shows it."""
        return asdict(self)

    def _returns(self, chance: random.Random) -> Returning:
        if chance.uniform(0, 100) >= self.returns:
            return "no"
        return chance.choice(("releases", "leaves", "walks away"))

    def _arrives(self, chance: random.Random) -> float:
        if self.arrival == "ramp":
            return chance.uniform(0, self.arrive_within)
        if self.arrival == "wave":
            crest = chance.choice((0.15, 0.5, 0.85)) * self.arrive_within
            return min(self.arrive_within, max(0.0, chance.gauss(crest, self.arrive_within / 20)))
        # Most people press in the first moments, and the rest follow.
        return min(self.arrive_within, chance.expovariate(5 / max(self.arrive_within, 0.001)))


@dataclass(frozen=True)
class Guest:
    """One fan: when they come (seconds after the doors open), how they behave, how many they are.

    ``returns`` is how they give back what they hold, ``gives_up`` whether they go when all is
    being paid for, and ``stands_by`` for how many seconds they stay when all is sold.
    """

    number: int
    arrives: float
    temper: Temper
    streams: bool
    party: int
    returns: Returning
    gives_up: bool
    stands_by: float
    chance: random.Random


def _temper(chance: random.Random) -> Temper:
    drawn = chance.uniform(0, 100)
    for temper, share in TEMPERS.items():
        if drawn < share:
            return temper
        drawn -= share
    return "calm"
