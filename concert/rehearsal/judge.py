"""What was promised, held against what the fans noted.

Every check is sound: it fails only where two notes cannot both be true under the promise,
whatever the network did in between. So a FAIL is a proof, with the notes that show it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from concert.rehearsal.notes import Admitted, Joined, Notes
from concert.rehearsal.plan import Plan

# Moments in answers are whole milliseconds; the same one, computed twice, may differ by less.
SAME_MOMENT = 0.0015
MOST_SHOWN = 5

GOOD_ENDS = frozenset(
    {
        "has tickets",
        "left the line",
        "left, since all is sold",
        "joined and never looked again",
        "found no seats",
        "all was sold",
        "the place is expired",
    }
)


@dataclass(frozen=True)
class Verdict:
    """Whether a promise was kept: how many notes were checked, and what contradicts it."""

    promise: str
    checked: int
    broken: tuple[str, ...]

    @property
    def word(self) -> str:
        """PASS, FAIL, or NOT SEEN where nothing happened by which it could be judged."""
        if self.broken:
            return "FAIL"
        return "PASS" if self.checked else "NOT SEEN"


def judge(plan: Plan, notes: Notes, *, same_clock: bool) -> list[Verdict]:
    """A verdict on every promise.

    ``same_clock`` says that the service runs on this machine, so that its moments and ours
    may be compared; otherwise only what the fans saw themselves counts.
    """
    checks: tuple[tuple[str, Callable[[], tuple[int, Iterable[str]]]], ...] = (
        (
            "People are let in strictly in the order in which they came",
            lambda: _order(notes, same_clock),
        ),
        ("Joining again gives the same place, and no place gets worse", lambda: _places(notes)),
        (
            "Never more people inside than the room holds",
            lambda: _capacity(plan, notes, same_clock),
        ),
        ("Never more people let in within a minute than the rate", lambda: _rate(plan, notes)),
        ("A seat has one holder and one owner", lambda: _owners(notes)),
        ("No money is taken without the seat, and no won is lost", lambda: _money(notes)),
        ("Every answer that said yes is still true at the end", lambda: _still_true(notes)),
        (
            "Nobody falls out on the way, and nothing answers with a fault",
            lambda: _faults(plan, notes),
        ),
    )
    return [
        Verdict(promise, checked, tuple(broken))
        for promise, check in checks
        for checked, broken in [check()]
    ]


def _order(notes: Notes, same_clock: bool) -> tuple[int, Iterable[str]]:
    broken = []
    arrivals = first_joins(notes)
    # By the moment at which they asked, beside the largest number that somebody had been told before.
    told = sorted(arrivals, key=lambda join: join.seen)
    largest, index = None, 0
    for join in sorted(arrivals, key=lambda join: join.sent):
        while index < len(told) and told[index].seen < join.sent:
            if largest is None or told[index].sequence > largest.sequence:
                largest = told[index]
            index += 1
        if largest is not None and largest.sequence > join.sequence:
            broken.append(
                f"fan {join.fan} asked after fan {largest.fan} had a place, and stands before them"
            )
    entries = first_admissions(notes)
    for before, after in pairwise(sorted(entries, key=lambda entry: entry.sequence)):
        if before.at > after.at + SAME_MOMENT:
            broken.append(
                f"fan {after.fan} was let in {before.at - after.at:.3f} s before fan {before.fan}, who came earlier"
            )
    return len(entries), [*broken, *_passed_over(notes, entries, same_clock)]


def _passed_over(notes: Notes, entries: Sequence[Admitted], same_clock: bool) -> Iterator[str]:
    """Fans who were still waiting when somebody behind them had been let in."""
    sequences = {join.fan: join.sequence for join in notes.joined}
    waited: dict[int, float] = {}
    for stood in notes.stood:
        if stood.sent is not None:
            waited[stood.fan] = max(waited.get(stood.fan, 0.0), stood.sent)
    in_order = sorted(entries, key=lambda entry: entry.sequence)
    first_behind: tuple[float, int] | None = None
    for fan in sorted(waited, key=lambda fan: sequences[fan], reverse=True):
        while in_order and in_order[-1].sequence > sequences[fan]:
            entry = in_order.pop()
            moment = (entry.at if same_clock else entry.seen, entry.fan)
            first_behind = moment if first_behind is None else min(first_behind, moment)
        if first_behind is not None and first_behind[0] < waited[fan]:
            yield f"fan {fan} was still waiting when fan {first_behind[1]}, who came later, was in"


def _places(notes: Notes) -> tuple[int, Iterable[str]]:
    broken = []
    sequences: dict[int, int] = {}
    for join in notes.joined:
        known = sequences.setdefault(join.fan, join.sequence)
        if known != join.sequence:
            broken.append(f"fan {join.fan} joined again and got another place")
    last: dict[int, int] = {}
    for stood in notes.stood:
        before = last.get(stood.fan)
        if before is not None and stood.position > before:
            broken.append(f"fan {stood.fan} fell back from {before} to {stood.position}")
        last[stood.fan] = stood.position
    return len(notes.joined) + len(notes.stood), broken


def _capacity(plan: Plan, notes: Notes, same_clock: bool) -> tuple[int, Iterable[str]]:
    ends: dict[int, float] = {}
    for inside in notes.inside:
        ends[inside.fan] = max(ends.get(inside.fan, 0.0), inside.sent)
    steps: list[tuple[float, int]] = []
    for entry in first_admissions(notes):
        begins = entry.at if same_clock else entry.seen
        end = ends.get(entry.fan, entry.seen)
        if end > begins:
            steps += [(begins, 1), (end, -1)]
    most, now, when = 0, 0, 0.0
    # Whoever ends in a moment makes room for who begins in it.
    for moment, step in sorted(steps):
        now += step
        if now > most:
            most, when = now, moment
    over = most > plan.capacity
    broken = [f"{most} were inside at {when:.3f}; the room holds {plan.capacity}"] if over else []
    return len(steps) // 2, broken


def _rate(plan: Plan, notes: Notes) -> tuple[int, Iterable[str]]:
    moments = sorted(entry.at for entry in first_admissions(notes))
    first, broken = 0, []
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 60.0 + SAME_MOMENT:
            first += 1
        count = last - first + 1
        if count > plan.admit_per_minute:
            broken.append(
                f"{count} were let in within the minute that ends at {moment:.3f}; "
                f"the rate is {plan.admit_per_minute}"
            )
            break
    return len(moments), broken


def _owners(notes: Notes) -> tuple[int, Iterable[str]]:
    released = {
        (one.fan, one.performance, seat, one.sent) for one in notes.released for seat in one.seats
    }
    ends: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    for fan, performance, seat, sent in released:
        ends[fan, performance, seat].append(sent)
    having: dict[tuple[int, int], list[tuple[float, float, int]]] = defaultdict(list)
    for held in notes.held:
        for seat in held.seats:
            given_back = [
                sent
                for sent in ends.get((held.fan, held.performance, seat), ())
                if sent >= held.seen
            ]
            until = min([held.sent + held.lasting, *given_back])
            having[held.performance, seat].append((held.seen, until, held.fan))
    for paid in notes.paid:
        for seat in paid.seats:
            having[paid.performance, seat].append((paid.seen, float("inf"), paid.fan))
    broken = []
    for (performance, seat), spans in having.items():
        spans.sort()
        for (_, until, fan), (begins, _, other) in _pairs(spans):
            if fan != other and begins < until:
                broken.append(
                    f"seat {seat} of performance {performance} was fan {fan}'s and fan {other}'s"
                )
    owners: dict[tuple[int, int], int] = {}
    for audited in notes.audited:
        for _, performance, seats, _ in audited.payments:
            for seat in seats:
                other = owners.setdefault((performance, seat), audited.fan)
                if other != audited.fan:
                    broken.append(f"seat {seat} was sold to fan {other} and to fan {audited.fan}")
    return sum(len(spans) for spans in having.values()), broken


def _pairs(
    spans: list[tuple[float, float, int]],
) -> Iterable[tuple[tuple[float, float, int], tuple[float, float, int]]]:
    """Each span beside the one before it that lasts longest."""
    longest = spans[0]
    for span in spans[1:]:
        yield longest, span
        if span[1] > longest[1]:
            longest = span


def _money(notes: Notes) -> tuple[int, Iterable[str]]:
    charged: dict[int, int] = defaultdict(int)
    for charge in notes.charged:
        charged[charge.fan] += charge.amount
    broken = []
    for audited in notes.audited:
        spent = sum(amount for *_, amount in audited.payments)
        if charged[audited.fan] - spent != audited.balance:
            broken.append(
                f"fan {audited.fan} charged {charged[audited.fan]:,} and paid {spent:,} won, and has {audited.balance:,}"
            )
        if sum(amount for amount, _ in audited.entries) != audited.balance:
            broken.append(f"fan {audited.fan}'s ledger does not add up to the balance")
    return len(audited_fans(notes)), broken


def _still_true(notes: Notes) -> tuple[int, Iterable[str]]:
    kept = {
        (audited.fan, payment): (performance, seats, amount)
        for audited in notes.audited
        for payment, performance, seats, amount in audited.payments
    }
    audited = audited_fans(notes)
    broken = [
        f"fan {paid.fan} was told that payment {paid.payment} was made, and it is not there"
        for paid in notes.paid
        if paid.fan in audited
        and kept.get((paid.fan, paid.payment)) != (paid.performance, paid.seats, paid.amount)
    ]
    told = {(paid.fan, paid.payment) for paid in notes.paid}
    at_home = {gone.fan for gone in notes.gone if gone.how == "has tickets"}
    broken += [
        f"fan {fan} has a payment {payment} that nobody told them of"
        for fan, payment in kept
        if fan in at_home and (fan, payment) not in told
    ]
    return len(notes.paid), broken


def _faults(plan: Plan, notes: Notes) -> tuple[int, Iterable[str]]:
    broken = [
        f"{answered.call} was answered {answered.status}"
        for answered in notes.answered
        if answered.status == 500
    ]
    broken += [f"fan {gone.fan} {gone.how}" for gone in notes.gone if gone.how not in GOOD_ENDS]
    missing = plan.fans - len({gone.fan for gone in notes.gone})
    if missing:
        broken.append(f"{missing} fans were still on the way when the time was over")
    unasked = plan.fans - len(audited_fans(notes))
    if unasked:
        broken.append(f"the wallets and payments of {unasked} fans could not be asked for")
    return len(notes.answered), broken


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


def audited_fans(notes: Notes) -> set[int]:
    """Whom the service was asked about at the end."""
    return {audited.fan for audited in notes.audited}
