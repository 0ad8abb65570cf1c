"""The report: verdicts, how long fans waited for answers, and what happened, as words and as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from concert.rehearsal.bounds import EVER, Bounds, first_admissions
from concert.rehearsal.judge import MOST_SHOWN, Verdict
from concert.rehearsal.notes import Notes
from concert.rehearsal.plan import Plan

# How long (seconds) 99 of 100 answers may take before a fan loses patience.
LIMITS = {
    "join": 3.0,
    "ask": 1.0,
    "dates": 1.0,
    "seats": 1.0,
    "hold": 1.5,
    "charge": 1.5,
    "pay": 1.5,
}


@dataclass(frozen=True)
class Wait:
    """How long the fans waited for the answers to one call, in seconds."""

    call: str
    count: int
    median: float
    p95: float
    p99: float
    longest: float
    limit: float | None


def waits(notes: Notes) -> list[Wait]:
    """The waits, by call."""
    taken: dict[str, list[float]] = defaultdict(list)
    for answered in notes.answered:
        taken[answered.call].append(answered.seen - answered.sent)
    return [
        Wait(
            call,
            len(times),
            percentile(times, 50),
            percentile(times, 95),
            percentile(times, 99),
            times[-1],
            LIMITS.get(call),
        )
        for call, times in ((call, sorted(times)) for call, times in taken.items())
    ]


def percentile(ordered: Sequence[float], per_cent: float) -> float:
    """The value below which so many of the ordered values lie; the nearest rank."""
    return ordered[max(0, min(len(ordered) - 1, round(len(ordered) * per_cent / 100) - 1))]


def document(
    plan: Plan,
    notes: Notes,
    verdicts: Sequence[Verdict],
    seconds: float,
    *,
    same_clock: bool,
) -> dict[str, Any]:
    """All of it, as JSON."""
    return {
        "passed": all(verdict.word == "PASS" for verdict in verdicts),
        "plan": plan.as_document(),
        "seconds": round(seconds, 1),
        "promises": [
            {
                "promise": verdict.promise,
                "verdict": verdict.word,
                "checked": verdict.checked,
                "broken": len(verdict.broken),
                "shown": list(verdict.broken[:MOST_SHOWN]),
            }
            for verdict in verdicts
        ],
        "waits": [
            {
                "call": wait.call,
                "count": wait.count,
                "median_ms": round(wait.median * 1000, 1),
                "p95_ms": round(wait.p95 * 1000, 1),
                "p99_ms": round(wait.p99 * 1000, 1),
                "longest_ms": round(wait.longest * 1000, 1),
                "limit_ms": wait.limit and wait.limit * 1000,
                "within": wait.limit is None or wait.p99 <= wait.limit,
            }
            for wait in waits(notes)
        ],
        "fans": dict(Counter(gone.how for gone in notes.gone).most_common()),
        "statuses": {
            str(status): count
            for status, count in sorted(Counter(one.status for one in notes.answered).items())
        },
        "admitted": len(first_admissions(notes)),
        "longest_line": max((stood.waiting for stood in notes.stood), default=0),
        "seats_sold": sum(len(paid.seats) for paid in notes.paid),
        "line": _line(plan, notes, same_clock=same_clock),
    }


def _line(plan: Plan, notes: Notes, *, same_clock: bool) -> dict[str, Any]:
    """What the line knew of the seats.

    ``longest_idle_seconds`` is how long a seat was free at the most while somebody waited for it and
    nobody inside might have taken it; ``told_after_seconds`` how long after the sell-out (the last
    answer to a payment) the stream told each of its viewers of it, negative where it was before.
    """
    bounds = Bounds(plan, notes, same_clock=same_clock)
    sold_out_at = bounds.sold_out_at()
    heard: dict[int, float] = {}
    streamed: dict[int, float] = {}
    for stood in notes.stood:
        if stood.state == "sold_out":
            heard[stood.fan] = min(heard.get(stood.fan, EVER), stood.seen)
            if stood.sent is None:
                streamed[stood.fan] = min(streamed.get(stood.fan, EVER), stood.seen)
    after = sorted(seen - sold_out_at for seen in streamed.values()) if sold_out_at < EVER else []
    walked = {one.fan for one in notes.walked}
    return {
        "seats_given_back": sum(len(one.seats) for one in notes.returned),
        "seats_lapsed": sum(len(held.seats) for held in notes.held if held.fan in walked),
        "longest_idle_seconds": round(
            max((until - since for since, until in bounds.idle()), default=0.0), 2
        ),
        "told_all_is_sold": len(heard),
        "told_by_stream": len(streamed),
        "told_after_seconds": (
            {"median": round(percentile(after, 50), 2), "longest": round(after[-1], 2)}
            if after
            else None
        ),
    }


def in_words(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        (
            f"{found['plan']['fans']:,} fans, {found['plan']['seats']:,} seats, {found['seconds']:g} s: "
            f"{found['admitted']:,} let in, {found['seats_sold']:,} seats sold, "
            f"at most {found['longest_line']:,} in line."
        ),
        "",
    ]
    line = found["line"]
    lines += [
        (
            f"{line['seats_given_back']:,} seats were given back and {line['seats_lapsed']:,} lapsed; a seat was idle "
            f"for {line['longest_idle_seconds']:g} s at the most. {line['told_all_is_sold']:,} fans heard in line that "
            f"all is sold, {line['told_by_stream']:,} of them by the stream"
            + (
                f", {line['told_after_seconds']['longest']:g} s after it at the latest."
                if line["told_after_seconds"]
                else "."
            )
        ),
        "",
    ]
    if forecast := found.get("forecast"):
        lines += [_forecast_in_words(forecast), ""]
    for promise in found["promises"]:
        lines.append(
            f"{promise['verdict']:8}  {promise['promise']}  ({promise['checked']:,} checked)"
        )
        lines += [f"            {one}" for one in promise["shown"]]
        if promise["broken"] > len(promise["shown"]):
            lines.append(f"            and {promise['broken'] - len(promise['shown']):,} more")
    lines += [
        "",
        f"{'call':10}{'answers':>10}{'median':>10}{'p95':>10}{'p99':>10}{'limit':>10}  (ms)",
    ]
    for wait in found["waits"]:
        limit = "" if wait["limit_ms"] is None else f"{wait['limit_ms']:,.0f}"
        over = "" if wait["within"] else "  over the limit"
        lines.append(
            f"{wait['call']:10}{wait['count']:>10,}{wait['median_ms']:>10,.1f}{wait['p95_ms']:>10,.1f}"
            f"{wait['p99_ms']:>10,.1f}{limit:>10}{over}"
        )
    lines += ["", *(f"{count:>8,} fans: {how}" for how, count in found["fans"].items())]
    lines += ["", "PASS" if found["passed"] else "FAIL"]
    return "\n".join(lines)


def _forecast_in_words(forecast: dict[str, Any]) -> str:
    came = f"All was sold after {forecast['sold_out_after_seconds']:g} s, {forecast['lasted_holds']:g} times as long as a hold"
    if forecast["foretold_at_half_time"] is None:
        return f"{came}; at half time the service foretold nothing."
    return (
        f"{came}; at half time the service foretold {forecast['foretold_at_half_time']:g} s, "
        f"{forecast['off_per_cent']:g} % off."
    )
