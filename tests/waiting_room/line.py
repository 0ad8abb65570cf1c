"""A waiting room in plain Python: what the Lua scripts have to agree with."""

from __future__ import annotations

from dataclasses import dataclass, field

RECOVERY_MS = 40_000


@dataclass
class Visit:
    """An admitted person: sequence number, deadline (ms), and the visit's own end once shown up."""

    sequence: int
    deadline: int
    ends: int | None = None


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
    recovered_at: int = 0
    last: int = 0
    waiting: dict[str, int] = field(default_factory=dict)
    admitted: dict[str, Visit] = field(default_factory=dict)
    ended: dict[str, tuple[str, int]] = field(default_factory=dict)
    paid: set[tuple[str, int]] = field(default_factory=set)

    def in_order(self) -> list[str]:
        """Who is waiting, the next one first."""
        return sorted(self.waiting, key=self.waiting.__getitem__)

    def inside(self) -> dict[str, int]:
        """Who is admitted now, with the deadline."""
        return {
            user: visit.deadline
            for user, visit in self.admitted.items()
            if visit.deadline > self.now
        }

    def standing(self, user: str, sequence: int) -> str:
        self._sweep()
        if user in self.waiting:
            return "waiting" if self.waiting[user] == sequence else "superseded"
        if user in self.admitted:
            return "admitted" if self.admitted[user].sequence == sequence else "superseded"
        if user in self.ended:
            status, last = self.ended[user]
            if last == sequence:
                return status
            if last > sequence:
                return "superseded"
        return "unknown"

    def join(self, user: str) -> tuple[str, int]:
        self._sweep()
        if user in self.waiting:
            return "waiting", self.waiting[user]
        if user in self.admitted:
            return "admitted", self.admitted[user].sequence
        self.ended.pop(user, None)
        self.last = max(self.now_us, self.last + 1)
        if self._open() and not self.waiting and len(self.admitted) < self.capacity:
            self.admitted[user] = Visit(self.last, self.now + self.entry_ms)
            return "admitted", self.last
        self.waiting[user] = self.last
        return "waiting", self.last

    def ask(self, user: str, sequence: int) -> str:
        """Where a place stands; one that Redis has lost is put back, unless it was paid for."""
        status = self.standing(user, sequence)
        if status != "unknown":
            return status
        if (user, sequence) in self.paid:
            self.ended[user] = ("completed", sequence)
            return "completed"
        self.waiting[user] = sequence
        self.last = max(self.last, sequence)
        return "waiting"

    def enter(self, user: str, sequence: int, hold_ms: int = 0) -> str:
        status = self.ask(user, sequence)
        if status != "admitted":
            return status
        visit = self.admitted[user]
        if visit.ends is None:
            visit.ends = visit.deadline = self.now + self.visit_ms
        if hold_ms:
            if visit.ends <= self.now:
                return "over"
            visit.deadline = max(visit.deadline, self.now + hold_ms)
        return "admitted"

    def end_hold(self, user: str, others_ms: int) -> None:
        visit = self.admitted.get(user)
        if visit and visit.ends is not None:
            visit.deadline = max(visit.ends, others_ms)

    def end(self, user: str, sequence: int, status: str) -> str:
        """Leave or complete."""
        before = self.standing(user, sequence)
        if before in ("waiting", "admitted"):
            self._end(user, status, sequence)
        elif status == "completed" and before in ("expired", "unknown"):
            self.ended[user] = (status, sequence)
        return before

    def admit(self) -> list[str]:
        """Let people in from the front; who they were."""
        self._sweep()
        free = max(0, self.capacity - len(self.admitted)) if self._open() else 0
        front = self.in_order()[:free]
        for user in front:
            sequence = self.waiting.pop(user)
            self.admitted[user] = Visit(sequence, self.now + self.entry_ms)
        return front

    def lose_everything(self) -> None:
        """Redis comes back empty, and the room is built up anew."""
        self.waiting.clear()
        self.admitted.clear()
        self.ended.clear()
        self.last = 0
        self.recovered_at = self.now + RECOVERY_MS

    def _open(self) -> bool:
        return not self.paused and self.now >= self.opens_at and self.now >= self.recovered_at

    def _sweep(self) -> None:
        for user, visit in list(self.admitted.items()):
            if visit.deadline <= self.now:
                self._end(user, "expired", visit.sequence)

    def _end(self, user: str, status: str, sequence: int) -> None:
        self.waiting.pop(user, None)
        self.admitted.pop(user, None)
        self.ended[user] = (status, sequence)
