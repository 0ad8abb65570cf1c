"""The evening as one picture: the line, the seats and the answers over time (SVG)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from concert.rehearsal.bounds import first_admissions
from concert.rehearsal.notes import Notes
from concert.rehearsal.report import percentile

WIDTH, LEFT, RIGHT = 960, 70, 930
PANEL_HEIGHT, GAP, TOP = 150, 62, 64
STEPS = 160
INK, SOFT, LINE, HELD, SOLD, SLOW = "#222", "#777", "#1f5f8b", "#d08b1d", "#2f7d5b", "#b3541e"

Curve = tuple[str, str, list[tuple[float, float]]]


def picture(found: dict[str, Any], notes: Notes, opened: float) -> str:
    """The picture; moments are counted from when the doors opened."""
    end = max([gone.seen - opened for gone in notes.gone] or [1.0])
    moments = [end * step / STEPS for step in range(STEPS + 1)]
    panels: list[tuple[str, list[Curve], Callable[[float], str]]] = [
        ("People", _people(notes, opened, moments), lambda value: f"{value:,.0f}"),
        ("Seats", _seats(notes, opened, moments), lambda value: f"{value:,.0f}"),
        ("Answers (ms)", _answers(notes, opened, moments), lambda value: f"{value:,.0f}"),
    ]
    height = TOP + len(panels) * (PANEL_HEIGHT + GAP)
    verdict = "every promise was kept" if found["passed"] else "a promise was broken"
    plan = found["plan"]
    title = f"Rehearsal: {plan['fans']:,} fans, {plan['seats']:,} seats; {verdict}"
    rows = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'font-family="system-ui, sans-serif" font-size="13">'
        ),
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#fbfaf8"/>',
        f'<text x="{LEFT}" y="30" fill="{INK}" font-size="16" font-weight="600">{escape(title)}</text>',
    ]
    for index, (name, curves, write) in enumerate(panels):
        rows += _panel(name, curves, TOP + index * (PANEL_HEIGHT + GAP), end, write)
    return "\n".join([*rows, "</svg>", ""])


def _people(notes: Notes, opened: float, moments: Sequence[float]) -> list[Curve]:
    joined: dict[int, float] = {}
    for join in notes.joined:
        joined[join.fan] = min(join.seen, joined.get(join.fan, join.seen))
    gone = {one.fan: one.seen for one in notes.gone if "never looked" not in one.how}
    admitted = {one.fan: one.seen for one in first_admissions(notes)}
    in_line = [
        (seen - opened, admitted.get(fan, gone.get(fan, float("inf"))) - opened)
        for fan, seen in joined.items()
    ]
    inside = [
        (seen - opened, gone.get(fan, float("inf")) - opened) for fan, seen in admitted.items()
    ]
    return [("in line", LINE, _count(in_line, moments)), ("inside", SOLD, _count(inside, moments))]


def _seats(notes: Notes, opened: float, moments: Sequence[float]) -> list[Curve]:
    paid_at: dict[tuple[int, int, int], float] = {}
    for paid in notes.paid:
        for seat in paid.seats:
            paid_at[paid.fan, paid.performance, seat] = paid.seen
    held = []
    for one in notes.held:
        for seat in one.seats:
            end = paid_at.get((one.fan, one.performance, seat), one.seen + one.lasting)
            given = [
                back.sent for back in notes.released if back.fan == one.fan and back.sent > one.seen
            ]
            held.append((one.seen - opened, min([end, *given]) - opened))
    sold = [(seen - opened, float("inf")) for seen in paid_at.values()]
    return [("sold", SOLD, _count(sold, moments)), ("held", HELD, _count(held, moments))]


def _answers(notes: Notes, opened: float, moments: Sequence[float]) -> list[Curve]:
    width = moments[1] - moments[0]
    bins: list[list[float]] = [[] for _ in moments]
    for one in notes.answered:
        index = int((one.sent - opened) / width)
        if 0 <= index < len(bins):
            bins[index].append((one.seen - one.sent) * 1000)
    curves: list[Curve] = []
    for name, colour, per_cent in (("p99", SLOW, 99), ("median", LINE, 50)):
        points = [
            (moment, percentile(sorted(times), per_cent))
            for moment, times in zip(moments, bins, strict=True)
            if times
        ]
        curves.append((name, colour, points))
    return curves


def _count(
    spans: Sequence[tuple[float, float]], moments: Sequence[float]
) -> list[tuple[float, float]]:
    begins, ends = sorted(span[0] for span in spans), sorted(span[1] for span in spans)
    counted, begun, ended = [], 0, 0
    for moment in moments:
        while begun < len(begins) and begins[begun] <= moment:
            begun += 1
        while ended < len(ends) and ends[ended] <= moment:
            ended += 1
        counted.append((moment, float(begun - ended)))
    return counted


def _panel(
    name: str, curves: Sequence[Curve], top: float, end: float, write: Callable[[float], str]
) -> list[str]:
    bottom = top + PANEL_HEIGHT
    highest = max([value for _, _, points in curves for _, value in points] or [0]) or 1

    def at(moment: float, value: float) -> str:
        x = LEFT + (RIGHT - LEFT) * moment / end
        return f"{x:.1f},{bottom - PANEL_HEIGHT * value / highest:.1f}"

    rows = [
        f'<text x="{LEFT}" y="{top - 10}" fill="{INK}" font-weight="600">{escape(name)}</text>',
        f'<line x1="{LEFT}" y1="{bottom}" x2="{RIGHT}" y2="{bottom}" stroke="{SOFT}"/>',
        f'<text x="{LEFT - 8}" y="{top + 5}" fill="{SOFT}" text-anchor="end">{write(highest)}</text>',
        f'<text x="{LEFT - 8}" y="{bottom + 4}" fill="{SOFT}" text-anchor="end">0</text>',
        f'<text x="{LEFT}" y="{bottom + 18}" fill="{SOFT}">0 s</text>',
        f'<text x="{RIGHT}" y="{bottom + 18}" fill="{SOFT}" text-anchor="end">{end:,.0f} s</text>',
    ]
    for index, (label, colour, points) in enumerate(curves):
        path = " ".join(at(moment, value) for moment, value in points)
        rows.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x = LEFT + 140 + index * 110
        rows.append(f'<rect x="{x}" y="{top - 20}" width="12" height="12" rx="2" fill="{colour}"/>')
        rows.append(f'<text x="{x + 18}" y="{top - 10}" fill="{INK}">{escape(label)}</text>')
    return rows
