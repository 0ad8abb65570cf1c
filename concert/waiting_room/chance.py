"""How it looks for somebody in line, and what the organiser says to all of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import orjson

from concert.waiting_room.seats import SeatsKnown

Chance = Literal["likely", "maybe", "unlikely", "none"]

# So much more than will be needed as things are has to be there for it to look likely.
MARGIN = 1.25
# Of the seats that are being paid for, so many are hoped to come back.
COMING_BACK = 0.25


def chance_of(ahead: int, known: SeatsKnown) -> Chance:
    """Whether somebody with so many people ahead will find a seat, as things are.

    Whoever is ahead, and whoever is inside and holds nothing, takes as many seats as a visit
    does, and one is for the person who asks. ``none`` where all is sold, or the sale is over.
    """
    seats = known.seats
    if seats.state in ("sold_out", "ended"):
        return "none"
    needed = (ahead + known.undecided) * known.per_visit + 1
    if seats.free >= needed * MARGIN:
        return "likely"
    if seats.free + seats.held * COMING_BACK >= needed:
        return "maybe"
    return "unlikely"


@lru_cache(maxsize=256)
def message_of(told: bytes) -> dict[str, str] | None:
    """The organiser's message to the line, by language, as Redis has it."""
    return orjson.loads(told) if told else None
