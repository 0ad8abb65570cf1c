"""A waiting room in plain Python: what the Lua scripts, and what PostgreSQL proves, have to agree with."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

# Numbers that may have been given since PostgreSQL was last told of one.
UNTOLD = 1_000_000
# For so long (ms) a count of the seats is good.
COUNT_LASTS = 30_000


@dataclass
class Visit:
    """An admitted person: sequence number, deadline (ms), and the visit's own end once shown up."""

    sequence: int
    deadline: int
    ends: int | None = None


@dataclass(frozen=True)
class Ended:
    """A place that is over; ``own`` is its own number where it had a greater one, too."""

    status: str
    last: int
    own: int

    def says(self, sequence: int) -> str | None:
        if sequence in (self.last, self.own):
            return self.status
        return "superseded" if self.last > sequence else None


@dataclass
class Known:
    """What Redis knows: all of it, some of it or nothing is left after a loss."""

    last: int = 0
    newest: int = 0
    begins: int = 0
    whole: bool = True
    recovered_at: int = 0
    waiting: dict[str, int] = field(default_factory=dict)
    admitted: dict[str, Visit] = field(default_factory=dict)
    aliases: dict[str, set[int]] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    unsaved: dict[str, Ended] = field(default_factory=dict)
    # The free seats behind the room, when they were counted (ms), and until when (ms) who holds
    # one; None where the room is in front of no date.
    bookable: int | None = None
    counted_at: int = 0
    holders: dict[str, int] = field(default_factory=dict)


@dataclass
class Written:
    """What PostgreSQL has been told; no loss touches it."""

    ended: dict[str, tuple[str, int]] = field(default_factory=dict)
    paid: list[tuple[str, int]] = field(default_factory=list)
    untold: list[tuple[str, int]] = field(default_factory=list)
    last: int = 0
    admitted: int = 0
    admitted_before_loss: int = 0
    losses: list[int] = field(default_factory=list)

    def save(self, user: str, status: str, sequence: int) -> None:
        if user not in self.ended or self.ended[user][1] < sequence:
            self.ended[user] = (status, sequence)

    def over(self, user: str, sequence: int) -> tuple[str, int] | None:
        """The user's newest place that is over, where it is not older than this one."""
        paid = [("completed", number) for who, number in self.paid if who == user]
        found = max(
            [*paid, *([self.ended[user]] if user in self.ended else [])],
            key=lambda one: one[1],
            default=None,
        )
        return found if found and found[1] >= sequence else None


@dataclass
class Line:
    """One room. Every verb answers with a status and does what the rules say; times are in ms."""

    capacity: int
    entry_ms: int
    visit_ms: int
    now: int = 0
    now_us: int = 0
    opens_at: int = 0
    paused: bool = False
    recovery_ms: int = 0
    known: Known = field(default_factory=Known)
    written: Written = field(default_factory=Written)

    def in_order(self) -> list[str]:
        """Who is waiting, the next one first."""
        return sorted(self.known.waiting, key=self.known.waiting.__getitem__)

    def inside(self) -> dict[str, int]:
        """Who is admitted now, with the deadline."""
        return {
            user: visit.deadline
            for user, visit in self.known.admitted.items()
            if visit.deadline > self.now
        }

    def sequence_of(self, user: str) -> int | None:
        """The number of the place that a user has now."""
        self._sweep()
        if user in self.known.waiting:
            return self.known.waiting[user]
        return self.known.admitted[user].sequence if user in self.known.admitted else None

    def standing(self, user: str, sequence: int) -> str:
        current, known = self.sequence_of(user), self.known
        if current is None:
            for places in (known.ended, known.unsaved):
                said = places[user].says(sequence) if user in places else None
                if said:
                    return said
            return "unknown"
        if sequence == current or sequence in known.aliases.get(user, ()):
            return "waiting" if user in known.waiting else "admitted"
        if known.begins < sequence < current:
            return "superseded"
        said = known.unsaved[user].says(sequence) if user in known.unsaved else None
        return said or "unknown"

    def join(self, user: str, earlier: int | None = None) -> tuple[str, int, bool]:
        """Status, number, and whether it is a new one."""
        if earlier is not None and self.standing(user, earlier) == "unknown":
            self.ask(user, earlier)
        current = self.sequence_of(user)
        if current is not None:
            return "waiting" if user in self.known.waiting else "admitted", current, False
        known = self.known
        known.ended.pop(user, None)
        known.last = max(self.now_us, known.last + 1)
        free = len(known.admitted) < self.capacity and self.seats_for_more() > 0
        if known.whole and self._open() and not known.waiting and free:
            self._let_in(user, known.last)
            return "admitted", known.last, True
        known.waiting[user] = known.last
        return "waiting", known.last, True

    def ask(self, user: str, sequence: int) -> str:
        """Where a place stands; one that Redis has lost is put back, unless it is over."""
        status = self.standing(user, sequence)
        if status != "unknown":
            return status
        over = self.written.over(user, sequence)
        if over:
            self.settle(user, *over)
            status = self.standing(user, sequence)
            return "superseded" if status == "unknown" else status
        return self._put_back(user, sequence)

    def enter(self, user: str, sequence: int, hold_ms: int = 0) -> str:
        status = self.ask(user, sequence)
        if status != "admitted":
            return status
        visit = self.known.admitted[user]
        if visit.ends is None:
            visit.ends = visit.deadline = self.now + self.visit_ms
        if hold_ms:
            if visit.ends <= self.now:
                return "over"
            visit.deadline = max(visit.deadline, self.now + hold_ms)
        return "admitted"

    def end_hold(self, user: str, others_ms: int) -> None:
        visit = self.known.admitted.get(user)
        if visit and visit.ends is not None:
            visit.deadline = max(visit.ends, others_ms)

    def leave(self, user: str, sequence: int) -> str:
        before = self.ask(user, sequence)
        if before in ("waiting", "admitted"):
            self.written.save(user, "left", self._end(user, "left"))
        return before

    def pay(self, user: str, sequence: int, told: bool) -> None:
        """The place is completed in PostgreSQL, and in Redis where it can be told."""
        self.written.paid.append((user, sequence))
        self.written.untold.append((user, sequence))
        if told:
            self.settle(user, "completed", sequence)

    def settle(self, user: str, status: str, sequence: int) -> bool:
        current = self.sequence_of(user)
        if current is not None:
            if current > sequence:
                return False
            if self._end(user, status) < sequence:
                self.known.ended[user] = Ended(status, sequence, sequence)
            return True
        if user not in self.known.ended or self.known.ended[user].last <= sequence:
            self.known.ended[user] = Ended(status, sequence, sequence)
        return False

    def admit(self) -> list[str]:
        """Let people in from the front; who they were."""
        known = self.known
        if not known.whole:
            known.whole = True
            known.begins = known.last = max(self.now_us, known.last)
            known.recovered_at = self.now + self.recovery_ms
        self._sweep()
        free = max(0, self.capacity - len(known.admitted)) if self._open() else 0
        front = self.in_order()[: min(free, self.seats_for_more())]
        for user in front:
            self._let_in(user, known.waiting.pop(user))
        return front

    def tick(self) -> list[str]:
        """What happens every second: who was let in."""
        known, written = self.known, self.written
        for user, sequence in written.untold:
            self.settle(user, "completed", sequence)
        written.untold.clear()
        front = self.admit()
        for user, ended in known.unsaved.items():
            written.save(user, ended.status, ended.last)
        known.unsaved.clear()
        if known.begins > max(written.losses, default=0):
            for user, (status, sequence) in written.ended.items():
                self.settle(user, status, sequence)
            for user, sequence in written.paid:
                self.settle(user, "completed", sequence)
            for user in self.in_order():
                if known.waiting[user] <= written.admitted:
                    sequence = known.waiting.pop(user)
                    known.admitted[user] = Visit(sequence, self.now + self.entry_ms)
            self._note_loss(known.begins)
        written.admitted = max(written.admitted, known.newest)
        written.last = max(written.last, known.last)
        return front

    def lose_everything(self) -> None:
        """Redis comes back empty, and the room is built up anew."""
        loss = max(self.now_us, self.written.last + UNTOLD)
        self._note_loss(loss)
        self.known = Known(last=loss, begins=loss, recovered_at=self.now + self.recovery_ms)

    def lose_what_is_newer_than(self, known: Known) -> None:
        """Redis comes back as it was then, and does not know that it lacks something."""
        self.known = deepcopy(known)
        self.known.whole = False

    def count_seats(self, bookable: int) -> None:
        """So many seats are free, and nobody inside holds one."""
        self.known.bookable, self.known.counted_at = bookable, self.now
        self.known.holders.clear()

    def take_seats(self, user: str, seats: int, until: int) -> None:
        """Somebody has taken seats since the count."""
        known = self.known
        if known.bookable is not None:
            known.bookable -= seats
        if user in known.admitted:
            known.holders[user] = max(until, known.holders.get(user, 0))

    def seats_for_more(self) -> int:
        """For how many more a seat is free: the free seats less the people inside who hold none."""
        known = self.known
        if known.bookable is None:
            return 1_000_000
        if self.now - known.counted_at > COUNT_LASTS:
            return 0
        holding = sum(until > self.now for until in known.holders.values())
        return max(0, known.bookable - (len(self.inside()) - holding))

    def _note_loss(self, loss: int) -> None:
        self.written.losses.append(loss)
        self.written.last = max(self.written.last, loss)
        self.written.admitted_before_loss = self.written.admitted

    def _put_back(self, user: str, sequence: int) -> str:
        known, written = self.known, self.written
        current = self.sequence_of(user)
        was_inside = sequence <= written.admitted_before_loss
        before = max((loss for loss in written.losses if loss < sequence), default=0)
        after = min((loss for loss in written.losses if loss >= sequence), default=0)
        if was_inside and self.now > known.begins / 1000 + max(self.entry_ms, self.visit_ms):
            if after == known.begins:
                if current is not None:
                    return "superseded"
                known.ended[user] = known.unsaved[user] = Ended("expired", sequence, sequence)
                return "expired"
            was_inside = False
        own = sequence
        visit: Visit | None = None
        if current is not None:
            if current > sequence:
                if not after or current <= after:
                    return "superseded"
                known.aliases.setdefault(user, set()).add(current)
                visit = known.admitted.get(user)
            elif not before or current > before:
                last = max({current, *known.aliases.pop(user, ())})
                known.waiting.pop(user, None)
                known.admitted.pop(user, None)
                known.holders.pop(user, None)
                known.unsaved[user] = Ended("left", last, last)
            else:
                known.aliases.setdefault(user, set()).add(sequence)
                own = current
                visit = known.admitted.get(user)
        known.ended.pop(user, None)
        known.last = max(known.last, sequence)
        if visit is not None:
            visit.sequence = own
            return "admitted"
        if was_inside:
            known.waiting.pop(user, None)
            known.admitted[user] = Visit(own, self.now + self.entry_ms)
            return "admitted"
        known.waiting[user] = own
        return "waiting"

    def _open(self) -> bool:
        known = self.known
        return not self.paused and self.now >= self.opens_at and self.now >= known.recovered_at

    def _let_in(self, user: str, sequence: int) -> None:
        self.known.admitted[user] = Visit(sequence, self.now + self.entry_ms)
        self.known.newest = max(self.known.newest, sequence)

    def _sweep(self) -> None:
        for user, visit in list(self.known.admitted.items()):
            if visit.deadline <= self.now:
                self._end(user, "expired")

    def _end(self, user: str, status: str) -> int:
        known = self.known
        own = known.waiting.pop(user, None)
        if own is None:
            own = known.admitted.pop(user).sequence
        known.holders.pop(user, None)
        aliases = known.aliases.pop(user, set())
        last = max({own, *aliases})
        known.ended[user] = Ended(status, last, own)
        if status != "completed" or aliases:
            known.unsaved[user] = Ended(status, last, own)
        return last
