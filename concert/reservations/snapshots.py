"""Seats as this process has read them lately: one reading serves a whole crowd that looks.

Everybody whose turn it is looks at the same seats, and most of them own none. So the seats of a
performance are read once, for nobody in particular and with whose they are, and the reading is
shown for half a second at the most. It is dropped as soon as this process changes a seat or hears
that another one has. Who holds seats never relies on it: the database decides that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from flask import Flask

from concert.ground.budget import budget
from concert.ground.database import array, connection
from concert.ground.errors import Unavailable
from concert.ground.events import Hearers, performance_channel
from concert.ground.fanout import Fact, Fanout, Listener
from concert.ground.parts import keep, part
from concert.reservations import queries

# How old a reading may become, should no fact of a change reach us.
KEPT_SECONDS = 0.5
MOST_KEPT = 64
# Facts about a performance are heard as long as somebody looks at it so often at the least.
IDLE_SECONDS = 20.0


@dataclass(slots=True, eq=False)
class Reading:
    """The seats of a performance at one moment.

    ``letters`` are the states in number order as nobody's own: ``a`` available, ``h`` held,
    ``s`` sold, ``b`` blocked. ``own`` has the numbers of each person's seats, by the number of their id.
    ``shown`` keeps what the reading was turned into, so that it is done once.
    """

    letters: str
    own: dict[int, list[int]]
    began: float
    good_until: float
    state: object
    shown: dict[Any, Any] = field(default_factory=dict)

    def own_seats(self, user_id: UUID) -> Sequence[int]:
        """The numbers of the seats that this person holds or owns."""
        return self.own.get(user_id.int, ())

    def letters_for(self, user_id: UUID) -> str:
        """The states as this person sees them: a capital where a seat is their own."""
        mine = self.own_seats(user_id)
        if not mine:
            return self.letters
        letters = list(self.letters)
        for seat_no in mine:
            letters[seat_no - 1] = letters[seat_no - 1].upper()
        return "".join(letters)


class Kept:
    """What is kept of one performance. ``state`` is another object after each change that we know of.

    So a reading is good only as long as the state is the one that it began with: a change that
    comes while it is read makes it too old, whichever of the two ends first.
    """

    __slots__ = ("listener", "lock", "looked_at", "reading", "state")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.state = object()
        self.reading: Reading | None = None
        self.looked_at = 0.0
        self.listener: Listener | None = None

    def good(self, now: float) -> Reading | None:
        """The reading that may be shown now."""
        reading = self.reading
        if reading is None or reading.state is not self.state or now >= reading.good_until:
            return None
        return reading

    def good_for(self, asked_at: float) -> Reading | None:
        """The same for somebody who had to wait: whatever was read since they asked is new to them."""
        reading = self.reading
        if reading is not None and reading.began >= asked_at:
            return reading
        return self.good(time.monotonic())

    def drop(self) -> None:
        """Note that a seat has changed."""
        self.state = object()


class SeatSnapshots:
    """The readings of this process, of so many performances at the most."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout
        self._lock = threading.Lock()
        self._kept: dict[int, Kept] = {}

    def of(self, performance_ids: Sequence[int]) -> list[Reading]:
        """The seats of some performances, each as it was half a second ago at the most.

        A crowd that asks at once waits for one reading.

        Raises:
            Unavailable: PostgreSQL cannot be reached, or was not within the time for the request.
        """
        now = time.monotonic()
        found: list[Reading] = []
        for performance_id in performance_ids:
            kept = self._kept.get(performance_id)
            reading = kept.good(now) if kept else None
            if reading is None or kept is None:
                return self._read(performance_ids, now)
            kept.looked_at = now
            found.append(reading)
        return found

    def drop(self, performance_id: int) -> None:
        """Note that a seat of this performance has changed; the change is committed."""
        kept = self._kept.get(performance_id)
        if kept is not None:
            kept.drop()

    def forget_all(self) -> None:
        """Keep nothing, and listen to nothing."""
        with self._lock:
            gone = list(self._kept.values())
            self._kept.clear()
        for kept in gone:
            self._let_go(kept)

    def is_watched(self, performance_id: int, kept: Kept) -> bool:
        """Whether facts about a performance still help somebody; where not, nothing is kept of it."""
        if time.monotonic() - kept.looked_at < IDLE_SECONDS:
            return True
        with self._lock:
            if self._kept.get(performance_id) is kept:
                del self._kept[performance_id]
        return False

    def __len__(self) -> int:
        return len(self._kept)

    def _read(self, performance_ids: Sequence[int], asked_at: float) -> list[Reading]:
        """The same, where something has to be read: all of it in one statement."""
        # In the order of their numbers, so that nobody waits for somebody who waits for them.
        wanted = {number: self._kept_of(number, asked_at) for number in sorted(performance_ids)}
        found: dict[int, Reading] = {}
        with ExitStack() as locks:
            missing: dict[int, Kept] = {}
            for performance_id, kept in wanted.items():
                reading = kept.good(asked_at)
                if reading is None:
                    if not kept.lock.acquire(timeout=max(0.0, budget().left())):
                        raise Unavailable("The database")
                    locks.callback(kept.lock.release)
                    reading = kept.good_for(asked_at)
                if reading is None:
                    missing[performance_id] = kept
                else:
                    found[performance_id] = reading
            if missing:
                for performance_id, reading in _read_now(missing).items():
                    missing[performance_id].reading = found[performance_id] = reading
        return [found[performance_id] for performance_id in performance_ids]

    def _kept_of(self, performance_id: int, now: float) -> Kept:
        with self._lock:
            kept = self._kept.get(performance_id)
            is_new = kept is None
            if kept is None:
                kept = self._kept[performance_id] = Kept()
                kept.listener = Dropping(self._fanout, performance_id, self, kept)
            kept.looked_at = now
            oldest = self._oldest() if len(self._kept) > MOST_KEPT else None
        if oldest is not None:
            self._let_go(oldest)
        if is_new and kept.listener is not None:
            # It waits for nothing: once the subscription stands, what was read before is dropped.
            kept.listener.__enter__()
        return kept

    def _oldest(self) -> Kept:
        """Take away what nobody has looked at for the longest time; the newest is never it."""
        others = list(self._kept.items())[:-1]
        performance_id, kept = min(others, key=lambda one: one[1].looked_at)
        del self._kept[performance_id]
        return kept

    def _let_go(self, kept: Kept) -> None:
        kept.drop()
        if kept.listener is not None:
            kept.listener.__exit__()


class Dropping(Listener):
    """Hears of changes by other processes. It has nothing to read: what it is told is done at once."""

    __slots__ = ("_kept", "_performance_id", "_snapshots")

    def __init__(
        self, fanout: Fanout, performance_id: int, snapshots: SeatSnapshots, kept: Kept
    ) -> None:
        super().__init__(fanout, performance_channel(performance_id), timeout=0.0)
        self._performance_id = performance_id
        self._snapshots = snapshots
        self._kept = kept

    def put(self, item: Fact) -> bool:
        """Drop the reading, whatever has happened; False where nobody looks any more."""
        self._kept.drop()
        return self._snapshots.is_watched(self._performance_id, self._kept)


def init_snapshots(app: Flask) -> None:
    """Keep readings beside the app, and drop them when it tells of a change."""
    snapshots = keep(app, SeatSnapshots(part(Fanout, app)))
    part(Hearers, app).of_seats.append(snapshots.drop)


def seats_lately(performance_ids: Sequence[int]) -> list[Reading]:
    """The seats of some performances, each as it was half a second ago at the most.

    What this process has changed is in it, and what it has heard that others have. For showing
    only: who holds or pays seats is decided by the database.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    return part(SeatSnapshots).of(performance_ids)


def _read_now(missing: Mapping[int, Kept]) -> dict[int, Reading]:
    with connection() as link:
        # Taken before the statement begins: what changes from now on may be in it, or may not.
        states = {performance_id: kept.state for performance_id, kept in missing.items()}
        began = time.monotonic()
        rows = link.execute(queries.EVERYBODYS, {"performances": array(missing)}).fetchall()
    read: dict[int, Reading] = {}
    for performance_id, letters, owners, lapses_in in rows:
        # A hold that lapses is a change that nobody tells of in time.
        lasts = KEPT_SECONDS if lapses_in is None else min(KEPT_SECONDS, lapses_in)
        read[performance_id] = Reading(
            letters, _own_of(letters, owners), began, began + lasts, states[performance_id]
        )
    return read


def _own_of(letters: str, owners: str | None) -> dict[int, list[int]]:
    """Whose the seats are that are not available, in number order; ``-`` is nobody's."""
    own: dict[int, list[int]] = {}
    taken = (seat_no for seat_no, letter in enumerate(letters, 1) if letter != "a")
    for seat_no, owner in zip(taken, (owners or "").split(), strict=True):
        if owner != "-":
            own.setdefault(int(owner, 16), []).append(seat_no)
    return own
