"""What was promised, held against what the fans noted.

Every check is sound: it fails only where two notes cannot both be true under the promise,
whatever the network did in between. So a FAIL is a proof, with the notes that show it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from concert.rehearsal.bounds import (
    EVER,
    SAME_MOMENT,
    Bounds,
    covers,
    first_admissions,
    first_joins,
    last_calls,
    stretches,
)
from concert.rehearsal.notes import Admitted, Notes, Stood
from concert.rehearsal.plan import Plan

MOST_SHOWN = 5
# What has come is read by its fan after three turns of the crew at the most.
TURNS = 3

GOOD_ENDS = frozenset(
    {
        "has tickets",
        "left the line",
        "left, since all is sold",
        "left, since all is being paid for",
        "stood by, and left",
        "gave the seats back",
        "left, and gave the seats back",
        "let the seats lapse",
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
    bounds = Bounds(plan, notes, same_clock=same_clock)
    checks: tuple[tuple[str, Callable[[], tuple[int, Iterable[str]]]], ...] = (
        (
            "People are let in strictly in the order in which they came",
            lambda: _order(notes, same_clock),
        ),
        ("Joining again gives the same place, and no place gets worse", lambda: _places(notes)),
        (
            "Never more people inside than the room holds",
            lambda: _capacity(plan, notes),
        ),
        ("Never more people let in within a minute than the rate", lambda: _rate(plan, notes)),
        ("A seat has one holder and one owner", lambda: _owners(notes)),
        ("No money is taken without the seat, and no won is lost", lambda: _money(notes)),
        ("Every answer that said yes is still true at the end", lambda: _still_true(notes)),
        (
            "Nobody falls out on the way, and nothing answers with a fault",
            lambda: _faults(plan, notes),
        ),
        ("Nobody is let in for nothing", lambda: _for_nothing(bounds, same_clock)),
        (
            f"Everybody in line is told within {plan.told_within:g} s that nothing is free, or all is sold",
            lambda: _told(plan, notes, bounds),
        ),
        (
            f"Seats that come back go to the next in line, and none is idle for {plan.idle_at_most:g} s while somebody waits",
            lambda: _idle(plan, notes, bounds),
        ),
        (
            "Once all is sold nobody is let in, and where nothing is free nobody is told how long it takes",
            lambda: _sold_out(notes, bounds),
        ),
        (
            "What the line is told of the seats is true, and adds up to the house",
            lambda: _told_truth(plan, notes, bounds),
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


def _capacity(plan: Plan, notes: Notes) -> tuple[int, Iterable[str]]:
    # Who was called and does not come is not inside: a room may call more than it holds.
    ends = last_calls(notes)
    shown: dict[int, float] = {}
    for inside in notes.inside:
        if inside.seen is not None:
            shown[inside.fan] = min(shown.get(inside.fan, EVER), inside.seen)
    steps: list[tuple[float, int]] = []
    for entry in first_admissions(notes):
        begins = shown.get(entry.fan, EVER)
        end = ends.get(entry.fan, -EVER)
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


def _for_nothing(bounds: Bounds, same_clock: bool) -> tuple[int, Iterable[str]]:
    undecided, broken = bounds.undecided_least(), []
    for entry in sorted(bounds.entries.values(), key=lambda entry: entry.at):
        since, until = bounds.let_in_between(entry)
        free = bounds.free_most.most(since, until)
        # By our own clock nobody can say who else was let in before; this one was.
        inside = undecided.at(since) if same_clock else undecided.least(since, until) + 1
        if inside > free:
            broken.append(
                f"fan {entry.fan} was let in at {entry.at:.3f}, the {inside}. of those inside who held "
                f"nothing, when {free} seats were free at the most"
            )
    return len(bounds.entries), broken


def _told(plan: Plan, notes: Notes, bounds: Bounds) -> tuple[int, Iterable[str]]:
    broken, checked = [], 0
    nothing_free = stretches([bounds.free_most], lambda free: free <= 0)
    sold_out_at = bounds.sold_out_at()
    streamed: dict[int, list[Stood]] = defaultdict(list)
    for stood in notes.stood:
        if not stood.state:
            continue
        checked += stood.state != "open"
        if stood.sent is None:
            streamed[stood.fan].append(stood)
            continue
        late = stood.sent - plan.told_within
        if (stood.state == "open" and covers(nothing_free, late, stood.seen)) or (
            stood.state != "sold_out" and late > sold_out_at
        ):
            broken.append(
                f"fan {stood.fan} asked at {stood.sent:.3f} and was told {stood.state!r} ({stood.free} free), "
                f"{plan.told_within:g} s after {'all was sold' if late > sold_out_at else 'the last seat was taken'}"
            )
    allowed = plan.told_within + TURNS * max((one.seconds for one in notes.lagged), default=0.0)
    for watched in notes.watched:
        told = streamed.get(watched.fan, [])
        for begins, ends in nothing_free:
            due = max(begins, watched.since) + allowed
            if due <= min(ends, watched.until):
                checked += 1
                known = [one.state for one in told if one.seen <= due]
                if known and known[-1] == "open":
                    broken.append(
                        f"fan {watched.fan}'s stream still said 'open' at {due:.3f}, "
                        f"{allowed:.1f} s after the last seat was taken"
                    )
        due = max(sold_out_at, watched.since) + allowed
        if due <= watched.until:
            checked += 1
            known = [one.state for one in told if one.seen <= due]
            if known and known[-1] != "sold_out":
                broken.append(
                    f"fan {watched.fan}'s stream still said {known[-1]!r}, {allowed:.1f} s after all was sold"
                )
    return checked, broken


def _idle(plan: Plan, notes: Notes, bounds: Bounds) -> tuple[int, Iterable[str]]:
    # A slow room may have to wait for its rate.
    allowed = max(plan.idle_at_most, 120.0 / plan.admit_per_minute)
    broken = [
        f"from {since:.3f} to {until:.3f} somebody waited, a seat was free for them, and nobody was let in"
        for since, until in bounds.idle()
        if until - since > allowed
    ]
    came_back = sum(len(one.seats) for one in notes.returned)
    walked = {one.fan for one in notes.walked}
    came_back += sum(len(held.seats) for held in notes.held if held.fan in walked)
    return came_back, broken


def _sold_out(notes: Notes, bounds: Bounds) -> tuple[int, Iterable[str]]:
    broken, checked, known_at = [], 0, bounds.sold_out_at()
    for stood in notes.stood:
        if stood.state in ("", "open"):
            continue
        checked += 1
        if stood.state == "sold_out":
            known_at = min(known_at, stood.seen)
            if stood.chance != "none":
                broken.append(
                    f"fan {stood.fan}, in a line that is sold out, was told {stood.chance!r}"
                )
        if stood.estimated:
            broken.append(f"fan {stood.fan} was told {stood.state!r}, and how long it takes")
    for entry in bounds.entries.values():
        since, _ = bounds.let_in_between(entry)
        if since > known_at + SAME_MOMENT:
            broken.append(
                f"fan {entry.fan} was let in {since - known_at:.3f} s after all was sold, or said to be"
            )
    return checked, broken


def _told_truth(plan: Plan, notes: Notes, bounds: Bounds) -> tuple[int, Iterable[str]]:
    broken, checked = [], 0
    for stood in notes.stood:
        if not stood.state:
            continue
        checked += 1
        free, held, sold = stood.free, stood.held, stood.sold
        told = f"fan {stood.fan} was told at {stood.seen:.3f} {stood.state!r} of {free}+{held}+{sold} seats"
        if free + held + sold != plan.seats or min(free, held, sold) < 0:
            broken.append(f"{told}; the house has {plan.seats}")
        elif stood.state != ("open" if free else "all_held" if held else "sold_out"):
            broken.append(f"{told}, which is something else")
        most = bounds.sold_most.at(stood.seen)
        if sold > most:
            broken.append(f"{told}; {most} can have been sold at the most")
        if stood.sent is None:
            continue
        asked = stood.sent - plan.told_within
        least = bounds.sold_least.at(asked)
        if sold < least:
            broken.append(f"{told}; {least} had been sold {plan.told_within:g} s before")
        # The same seat all the time: where one is taken as another comes back, news of the two may cross.
        if not free and bounds.free.covers(asked, stood.seen):
            broken.append(f"{told}; one had been free for {plan.told_within:g} s")
    return checked, broken


def audited_fans(notes: Notes) -> set[int]:
    """Whom the service was asked about at the end."""
    return {audited.fan for audited in notes.audited}
