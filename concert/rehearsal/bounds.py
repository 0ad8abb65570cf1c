"""What can be said for certain of seats and people at a moment, from what the fans noted.

Nobody sees the service from within, so each figure has two bounds: what was so whatever the
network did, and what may have been so. A promise is broken only where even the bound that favours
the service contradicts it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

from concert.rehearsal.notes import Admitted, Held, Joined, Notes
from concert.rehearsal.plan import Plan

EVER = float("inf")
# Moments in answers are whole milliseconds; the same one, computed twice, may differ by less.
SAME_MOMENT = 0.0015
# How much longer than a hold its visit lasts, and some more for two clocks.
GRACE_SECONDS = 7.0

Span = tuple[float, float]


class Steps:
    """How many spans cover a moment; each begins with its first moment and ends before its last."""

    def __init__(self, spans: Iterable[Span], base: int = 0, sign: int = 1) -> None:
        changes: dict[float, int] = defaultdict(int)
        for begins, ends in spans:
            if begins < ends:
                changes[begins] += sign
                changes[ends] -= sign
        self.moments: list[float] = []
        self._values = [base]
        for moment in sorted(changes):
            self.moments.append(moment)
            self._values.append(self._values[-1] + changes[moment])

    def at(self, moment: float) -> int:
        """The value at a moment."""
        return self._values[bisect_right(self.moments, moment)]

    def most(self, since: float, until: float) -> int:
        """The greatest value between two moments."""
        return max(self._between(since, until))

    def least(self, since: float, until: float) -> int:
        """The least value between two moments."""
        return min(self._between(since, until))

    def _between(self, since: float, until: float) -> Sequence[int]:
        first = bisect_right(self.moments, since)
        return self._values[first : max(first, bisect_right(self.moments, until)) + 1]


def stretches(steps: Sequence[Steps], holds: Callable[..., bool]) -> list[Span]:
    """The longest stretches during all of which ``holds`` is true of the values, in order."""
    found: list[Span] = []
    moments = sorted({-EVER, EVER}.union(*(one.moments for one in steps)))
    for begins, ends in pairwise(moments):
        if not holds(*(one.at(begins) for one in steps)):
            continue
        if found and found[-1][1] == begins:
            found[-1] = (found[-1][0], ends)
        else:
            found.append((begins, ends))
    return found


def covers(found: Sequence[Span], begins: float, ends: float) -> bool:
    """Whether one of these stretches, which are in order, has all of it."""
    index = bisect_right(found, (begins, EVER)) - 1
    return index >= 0 and found[index][0] <= begins and ends <= found[index][1]


class AnyOf:
    """Many stretches, of which one at a time may have all of another."""

    def __init__(self, spans: Iterable[Span]) -> None:
        in_order = sorted(spans)
        self._begins = [begins for begins, _ in in_order]
        self._latest = list(accumulate((ends for _, ends in in_order), max))

    def covers(self, begins: float, ends: float) -> bool:
        """Whether any single one of them has all of this one."""
        index = bisect_right(self._begins, begins) - 1
        return index >= 0 and self._latest[index] >= ends


class Bounds:
    """The bounds of an evening.

    ``same_clock``: moments out of answers may be compared with those of this machine.
    """

    def __init__(self, plan: Plan, notes: Notes, *, same_clock: bool) -> None:
        self._plan, self._notes, self._same_clock = plan, notes, same_clock
        self.places = sorted(first_joins(notes), key=lambda join: join.sequence)
        self.entries = {entry.sequence: entry for entry in first_admissions(notes)}
        self._released: dict[tuple[int, int], list[float]] = defaultdict(list)
        for one in notes.released:
            for seat in one.seats:
                self._released[one.fan, seat].append(one.sent)
        self._back: dict[tuple[int, int], list[float]] = defaultdict(list)
        for back in notes.returned:
            for seat in back.seats:
                self._back[back.fan, seat].append(back.seen)
        self._paid = {(paid.fan, seat): paid for paid in notes.paid for seat in paid.seats}
        self._walked = {walked.fan: walked.seen for walked in notes.walked}
        self._stood: dict[int, float] = {}
        for stood in notes.stood:
            if stood.sent is not None:
                self._stood[stood.fan] = max(self._stood.get(stood.fan, -EVER), stood.sent)

        taken, perhaps = self._taken(), self._perhaps_taken()
        # Seats that are free: at the most, and at the least.
        self.free_most = Steps(_united(taken), plan.seats, -1)
        self.free_least = Steps(_united(perhaps), plan.seats, -1)
        # When each seat was free for certain.
        self.free = AnyOf(span for seat in _gaps(perhaps, plan.seats) for span in seat)
        # Seats that are sold: at the least, and at the most.
        self.sold_least = Steps((paid.seen, EVER) for paid in self._paid.values())
        told_of = {(paid.fan, paid.payment) for paid in notes.paid}
        # What was paid without its fan's knowing of it may have been paid at any time.
        untold = sum(
            len(seats)
            for audited in notes.audited
            for payment, _, seats, _ in audited.payments
            if (audited.fan, payment) not in told_of
        )
        self.sold_most = Steps(((paid.sent, EVER) for paid in self._paid.values()), untold)

    def let_in_between(self, entry: Admitted) -> Span:
        """The first and the last moment at which somebody may have been let in, by our clock."""
        if self._same_clock:
            return entry.at, entry.at + SAME_MOMENT
        return self._waited_until(entry.sequence, entry.fan), entry.seen

    def undecided_least(self) -> Steps:
        """People who are inside and hold nothing, at the least."""
        asked = self._first_asked()
        ends = last_calls(self._notes)
        return Steps(
            (
                entry.at if self._same_clock else entry.seen,
                min(asked.get(entry.fan, EVER), ends.get(entry.fan, entry.seen)) - SAME_MOMENT,
            )
            for entry in self.entries.values()
        )

    def inside_most(self) -> list[tuple[int, Span]]:
        """Fans with the spans in which they may have been inside."""
        notes, plan = self._notes, self._plan
        left = {out.fan: out.seen for out in notes.out}
        joined = {place.sequence: place for place in self.places}
        # Who is let in, is let in after everybody who came earlier, and before everybody who came later.
        latest: dict[int, float] = {}
        soonest = EVER
        for place in reversed(self.places):
            latest[place.sequence] = soonest
            if place.sequence in self.entries:
                soonest = min(soonest, self.let_in_between(self.entries[place.sequence])[1])
        found, earliest = [], -EVER
        for sequence, place in joined.items():
            fan = place.fan
            out = left.get(fan, EVER)
            if fan in self._walked:
                lasting = max(held.lasting for held in notes.held if held.fan == fan)
                visit = max(plan.visit_seconds, lasting) + GRACE_SECONDS
                out = min(out, self._walked[fan] + visit)
            entry = self.entries.get(sequence)
            if entry is not None:
                found.append((fan, (self.let_in_between(entry)[0], out)))
            else:
                # Nobody saw this one inside, so the turn lasted no longer than the time to show up.
                begins = max(place.sent, self._stood.get(fan, -EVER), earliest)
                out = min(out, latest[sequence] + plan.entry_seconds + SAME_MOMENT)
                found.append((fan, (begins, out)))
            earliest = max(earliest, self._waited_until(sequence, fan))
        return found

    def undecided_most(self) -> Steps:
        """People who are inside and hold nothing, at the most."""
        holding: dict[int, list[Span]] = defaultdict(list)
        for held in self._notes.held:
            holding[held.fan].append((held.seen, self._certain_end(held, held.seats[0])))
        spans: list[Span] = []
        for fan, (begins, ends) in self.inside_most():
            for since, until in sorted(holding.get(fan, ())):
                spans.append((begins, min(since, ends)))
                begins = max(begins, until)
            spans.append((begins, ends))
        return Steps(spans)

    def waiting(self) -> Steps:
        """People who wait, at the least."""
        return Steps(
            (place.seen, self._waited_until(place.sequence, place.fan)) for place in self.places
        )

    def idle(self) -> Iterator[Span]:
        """Stretches in which somebody waited, a seat was free for them, and nobody was let in."""
        letting_in = Steps(
            (begins - SAME_MOMENT, ends)
            for begins, ends in map(self.let_in_between, self.entries.values())
        )
        inside = Steps(span for _, span in self.inside_most())
        figures = (self.free_least, self.undecided_most(), inside, self.waiting(), letting_in)
        return iter(
            stretches(
                figures,
                lambda free, undecided, inside, waiting, letting_in: (
                    free > undecided
                    and inside < self._plan.capacity
                    and waiting > 0
                    and not letting_in
                ),
            )
        )

    def sold_out_at(self) -> float:
        """When everything was sold for certain; ever, where it was not."""
        return self.sold_least_reaches(self._plan.seats)

    def sold_least_reaches(self, seats: int) -> float:
        """When so many seats were sold for certain."""
        moments = sorted(paid.seen for paid in self._paid.values())
        return moments[seats - 1] if len(moments) >= seats else EVER

    def _waited_until(self, sequence: int, fan: int) -> float:
        entry = self.entries.get(sequence)
        if entry is not None and self._same_clock:
            return entry.at - SAME_MOMENT
        return self._stood.get(fan, -EVER)

    def _first_asked(self) -> dict[int, float]:
        first: dict[int, float] = {}
        asked = [(held.fan, held.sent) for held in self._notes.held]
        asked += [(unsure.fan, unsure.sent) for unsure in self._notes.unsure]
        for fan, sent in asked:
            first[fan] = min(first.get(fan, EVER), sent)
        return first

    def _certain_end(self, held: Held, seat: int) -> float:
        """Until when a seat was this fan's, at the least."""
        given = [sent for sent in self._released.get((held.fan, seat), ()) if sent >= held.seen]
        if given:
            return min(*given, held.sent + held.lasting)
        paid = self._paid.get((held.fan, seat))
        return EVER if paid is not None and paid.sent >= held.seen else held.sent + held.lasting

    def _taken(self) -> dict[int, list[Span]]:
        found: dict[int, list[Span]] = defaultdict(list)
        for held in self._notes.held:
            for seat in held.seats:
                found[seat].append((held.seen, self._certain_end(held, seat)))
        return found

    def _perhaps_taken(self) -> dict[int, list[Span]]:
        found: dict[int, list[Span]] = defaultdict(list)
        for unsure in self._notes.unsure:
            for seat in unsure.seats:
                found[seat].append((unsure.sent, EVER))
        for held in self._notes.held:
            for seat in held.seats:
                given = [seen for seen in self._back.get((held.fan, seat), ()) if seen >= held.seen]
                until = min(given, default=EVER)
                if held.fan in self._walked and self._walked[held.fan] >= held.seen:
                    until = min(until, held.seen + held.lasting + SAME_MOMENT)
                found[seat].append((held.sent, until))
        return found


def first_joins(notes: Notes) -> list[Joined]:
    """Each place once, from when it was first asked for to when it was first seen."""
    first: dict[int, Joined] = {}
    for join in notes.joined:
        known = first.get(join.sequence)
        first[join.sequence] = (
            join
            if known is None
            else Joined(
                join.fan, join.sequence, min(join.sent, known.sent), min(join.seen, known.seen)
            )
        )
    return list(first.values())


def first_admissions(notes: Notes) -> list[Admitted]:
    """Each admission once, as it was first seen."""
    first: dict[int, Admitted] = {}
    for entry in notes.admitted:
        known = first.get(entry.sequence)
        if known is None or entry.seen < known.seen:
            first[entry.sequence] = entry
    return list(first.values())


def last_calls(notes: Notes) -> dict[int, float]:
    """When each fan was inside for the last time, for certain."""
    ends: dict[int, float] = {}
    for inside in notes.inside:
        ends[inside.fan] = max(ends.get(inside.fan, 0.0), inside.sent)
    return ends


def _gaps(spans: dict[int, list[Span]], seats: int) -> Iterator[list[Span]]:
    """What lies between the spans of each seat, from the beginning on."""
    for of_seat in spans.values():
        gaps, free_since = [], -EVER
        for since, until in _united({0: of_seat}):
            gaps.append((free_since, since))
            free_since = until
        yield [*gaps, (free_since, EVER)]
    for _ in range(seats - len(spans)):
        yield [(-EVER, EVER)]


def _united(spans: dict[int, list[Span]]) -> Iterator[Span]:
    """The same spans, those of one seat that overlap as one."""
    for of_seat in spans.values():
        begins, ends = None, -EVER
        for since, until in sorted(of_seat):
            if begins is None or since > ends:
                if begins is not None:
                    yield begins, ends
                begins, ends = since, until
            else:
                ends = max(ends, until)
        if begins is not None:
            yield begins, ends
