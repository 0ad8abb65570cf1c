"""Whether a line lets people in at this moment, in one place for every page that says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


class Closable(Protocol):
    """What has doors: a room's settings, or a place as it was seen."""

    @property
    def opens_at(self) -> datetime | None:
        """When people are let in from; None where they always were."""

    @property
    def paused(self) -> bool:
        """Whether nobody is let in for a while."""


@dataclass(frozen=True, slots=True)
class Doors:
    """``paused`` for a while, open ``later``, or ``open``; ``opens_at`` is None once that has passed."""

    state: Literal["paused", "later", "open"]
    opens_at: datetime | None


def doors_of(room: Closable, now: datetime) -> Doors:
    """How the doors stand. A pause is said first: nobody can tell what comes after it."""
    opens_at = room.opens_at if room.opens_at and room.opens_at > now else None
    if room.paused:
        return Doors("paused", opens_at)
    return Doors("later" if opens_at else "open", opens_at)
