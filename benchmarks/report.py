"""``python -m benchmarks.report``: the README's table and ``docs/performance.md`` from the newest results."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MAPS = ROOT / "benchmarks" / "maps"
REHEARSALS = ROOT / "benchmarks" / "rehearsals"
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"

PAGE_TEXT = """\
# Performance

Made by `python -m benchmarks.report` from `benchmarks/results/{source}`; do not edit it by hand.

{table}

Measured on {taken} on {cores} cores ({cpu}), {memory} GiB, {system}.
{versions}.

## How to read it

Machines differ, and this one was shared while it was measured, so requests a second say little.
What counts is the **ratio**: the service and its reference took turns (A B A B ...), {rounds} rounds
each after one to warm up, {seconds} seconds a turn, and the median of the rounds' ratios is in the
table. Everything ran on the same cores: the load generator, the web server, PostgreSQL and Redis.
A goal that is not met says "falls short".

- **A bare Flask route** is one route that answers `{{}}`, on granian with the same workers, threads
  and flags. 0.30 of it means that 70% of what the web server could do goes into our work: checking a
  token, asking Redis or PostgreSQL, validating, logging a line, writing JSON.
- **By pgbench** means PostgreSQL's own load generator, 16 clients, prepared statements, sending the
  very statement that the service sends, on the same server and data of the same shape. It has no
  HTTP, no token, no waiting room and no Python.

{plots}

{rehearsal}

{where}

## How it was measured

- `make bench` measures the quick set, `make bench-full` the rest, too.
- Both servers are the embedded ones with the durability of production: `fsync` {fsync},
  `synchronous_commit` {synchronous_commit}, Redis' append-only file every second.
- The service runs as `concert up` runs it, logs included; its worker and clock do not run.
- Joining: a new user each time, into a room that lets nobody in. Asking: 2,000 people in that line.
  Seats: the 50 seats of a date. Holding: a new user and a free seat each time. Charging: a new user,
  whose wallet exists. Paying: a new user with one held seat. Tokens are made beforehand. Pages: a
  date of fifty seats, and twenty concerts, for 1,000 people inside who are known by their cookies.
- `wrk` sends the requests, 32 connections beside the bare route and 16 beside pgbench. An answer
  other than 2xx ends the measurement, and what was held, charged and paid is counted in the database
  afterwards on both sides.
- Latency: requests come at random moments at half the rate that the service reaches, whether or not
  earlier ones are answered, and count from the moment when they were due; pgbench does the same at
  that rate (`--rate`).
- A million people in line: what a call of the script costs Redis (`INFO commandstats`), in a room with
  1,000,000 waiting and in one with 1,000 on the same server.
- The live process runs as the compose file runs it; its viewers are open streams of another process.
  Memory is what the live process grew by from the first 200 viewers to the last. Somebody near the front leaves
  15 times, at any moment, and each viewer counts from when that was done until it has read its new place.
"""


# Written by hand: taken apart with `perf`, in psql and with `benchmarks.where` and `.clients`.
WHERE = """\
## Where a hold's time goes

The reference changes one row of a plain table, prepared, from a client in C: 80 µs of processor for all
there is. The service has to do more than that with each hold, and this is what (µs of processor; two web processes,
16 connections; `python -m benchmarks.where` on a quiet machine, before holds were done together):

| part | µs | of it |
| --- | ---: | --- |
| web | 512 | 20 granian with the body read; 45 token, schemas, answer, log line; the rest two calls of Redis and one of PostgreSQL, each a thread that waits, is woken and takes the interpreter from another |
| PostgreSQL | 409 | 59 `hold_seats` itself, in a loop within one transaction; the rest the message, the start of the statement, the commit, its write to the log and to the disk, and waking up |
| Redis | 112 | two scripts, each with its message |
| together | 1,033 | |

So nine tenths of it are shared by those who come together (`concert/ground/together.py`). What PostgreSQL takes a hold,
on one connection, with so many in one transaction (the least of three turns, a busy machine):

| holds in one transaction | 1 | 2 | 4 | 8 | 16 |
| --- | ---: | ---: | ---: | ---: | ---: |
| PostgreSQL, µs each | 218 | 146 | 109 | 83 | 72 |
| psycopg, µs each | 82 | 55 | 31 | 21 | 17 |

With 16 connections on two processes there are 3.5 holds, 4.3 charges or 3.4 payments in a transaction. The same calls
before and after, in turns (medians of three), on a machine with a load of 15 to 35, where everything takes
about twice what it does on a quiet one and less is saved, since threads that wait for a processor come together anyway:

| call | web | PostgreSQL | Redis |
| --- | --- | --- | --- |
| hold | 793 → 712 | 600 → 463 | 142 → 114 |
| charge | 463 → 440 | 337 → 220 | 0 |
| pay | 1,579 → 735 | 1,646 → 961 | 305 → 151 |

With a load of six a hold took 392, 230 and 63 afterwards; before, nobody measured it at such a load. A payment makes
a ticket for each seat since then, and its reference does not.

What is left of a hold that cannot be shared: the HTTP, the token, the schemas, the answer and the log line in Python
(about 100 µs), `hold_seats` with its checks, its foreign key and four indexes (about 70), and a script at the
door. A plain UPDATE has none of them."""


def main() -> int:
    """Write both; 1 where there is nothing to report."""
    results = sorted(RESULTS.glob("*.json"))
    if not results:
        print("There are no results yet. Run: make bench", file=sys.stderr)
        return 1
    source = results[-1]
    document = json.loads(source.read_text())
    PLOTS.mkdir(parents=True, exist_ok=True)
    plots = []
    for figure in document["figures"]:
        if figure["is_ratio"]:
            name = f"{figure['name']}.svg"
            (PLOTS / name).write_text(plot(figure))
            plots.append(f"![{_sentence(figure)}](performance/{name})")
    PAGE.write_text(page(source.name, document, plots))
    if README.exists():
        README.write_text(between_markers(README.read_text(), table(document)))
    return 0


def page(source: str, document: dict[str, Any], plots: Sequence[str]) -> str:
    """The text of ``docs/performance.md``."""
    machine = document["machine"]
    return PAGE_TEXT.format(
        source=source,
        table=table(document),
        taken=document["taken"][:10],
        cores=machine["cores"],
        cpu=machine["cpu"],
        memory=machine["memory_gib"],
        system=machine["system"],
        versions=", ".join(f"{name} {value}" for name, value in document["versions"].items()),
        rounds=document["rounds"],
        seconds=document["seconds_a_turn"],
        fsync=document["durability"]["fsync"],
        synchronous_commit=document["durability"]["synchronous_commit"],
        plots="\n\n".join(plots),
        rehearsal=f"{rehearsal()}\n\n{hall_map()}".strip(),
        where=WHERE,
    )


def hall_map() -> str:
    """The newest figures of the map of the arena, on a slow phone; nothing where there are none."""
    newest = max(MAPS.glob("*.json"), default=None)
    if newest is None:
        return ""
    found = json.loads(newest.read_text())
    lines = [
        f"## The map of {found['seats']:,} seats on a slow phone",
        "",
        (
            f"`python -m benchmarks.map`: Chromium with a phone's window and a processor {found['slower']} times slower "
            f"than this one (`benchmarks/maps/{newest.name}`), beside a page with a box for each of as many seats. "
            f"The machine had a load of {found['load']:.0f} on its cores meanwhile, which what is told by the clock "
            "shows; processor time does not."
        ),
        "",
        "| what | goal | | drawn | boxes |",
        "| --- | ---: | --- | ---: | ---: |",
    ]
    for one in found["figures"]:
        is_most = one["sense"] == "at most"
        met = one["value"] <= one["goal"] if is_most else one["value"] >= one["goal"]
        boxes = "" if one["boxes"] is None else f"{one['boxes']:,.1f}"
        sign = "≤" if is_most else "≥"
        lines.append(
            f"| {one['what']} | {sign} {one['goal']:g} | {'met' if met else 'falls short'} "
            f"| {one['value']:,.1f} | {boxes} |"
        )
    return "\n".join(lines)


def rehearsal() -> str:
    """The newest rehearsal in words, with its picture."""
    newest = max(REHEARSALS.glob("*.json"))
    found = json.loads(newest.read_text())
    plan = found["plan"]
    kept = sum(promise["verdict"] == "PASS" for promise in found["promises"])
    line = found["line"]
    waits = {wait["call"]: wait for wait in found["waits"]}
    return (
        f"## A rehearsal of {plan['fans']:,} fans\n\n"
        f"`make rehearse` with {plan['fans']:,} fans on {plan['seats']:,} seats, all within "
        f"{plan['arrive_within']:g} s, crowd and service on the same cores "
        f"(`benchmarks/rehearsals/{newest.name}`): {kept} of {len(found['promises'])} promises kept, "
        f"{found['seats_sold']:,} seats sold in {found['seconds']:.0f} s, at most "
        f"{found['longest_line']:,} in line. Half of those who joined waited "
        f"{waits['join']['median_ms'] / 1000:.1f} s or more for the answer, for it was more than two cores "
        f"can take at once; half of those who held a seat got theirs within {waits['hold']['median_ms']:.0f} ms. "
        f"{line['seats_given_back'] + line['seats_lapsed']:,} seats came back, given back or lapsed; a free seat "
        f"waited {line['longest_idle_seconds']:.1f} s at the most for the next in line. {line['told_all_is_sold']:,} "
        f"fans heard in line that all was sold; the stream told the last of its viewers "
        f"{line['told_after_seconds']['longest']:.1f} s after the last payment.\n\n"
        f"![The line, the seats and the answers over time](performance/rehearsal.svg)"
    )


def table(document: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| what | beside | ratio | goal | | absolute |",
        "| --- | --- | ---: | ---: | --- | ---: |",
    ]
    for figure in document["figures"]:
        sign = "≥" if figure["sense"] == "at least" else "≤"
        cells = (
            figure["title"],
            figure["reference_title"],
            _number(figure["value"]),
            f"{sign} {figure['goal']:g}",
            "met" if figure["met"] else "falls short",
            f"{_number(statistics.median(figure['ours']))} {figure['unit']}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def between_markers(text: str, inserted: str) -> str:
    """The text with what stands between the markers replaced; without markers, as it is."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{BEGIN}\n{inserted}\n{END}{after}" if begin and end else text


def plot(figure: dict[str, Any]) -> str:
    """An SVG: each round's ratio as a dot, their median as a line, the goal as a dashed line."""
    width, height, left, right, top, bottom = 640, 150, 50, 620, 40, 120
    ratios = [one / other for one, other in zip(figure["ours"], figure["reference"], strict=True)]
    highest = max([*ratios, figure["goal"]]) * 1.15

    def x(ratio: float) -> float:
        return round(left + (right - left) * ratio / highest, 1)

    rows = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'font-family="system-ui, sans-serif" font-size="13">'
        ),
        f"<title>{escape(_sentence(figure))}</title>",
        # A ground of its own, so that it can be read on a dark page, too.
        f'<rect width="{width}" height="{height}" rx="8" fill="#fbfaf8"/>',
        (
            f'<text x="{left}" y="24" fill="#222" font-weight="600">'
            f"{escape(figure['title'])} ÷ {escape(figure['reference_title'])}</text>"
        ),
        f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#999"/>',
        (
            f'<rect x="{left}" y="{top + 24}" width="{x(figure["value"]) - left}" height="32" '
            f'fill="{"#2f7d5b" if figure["met"] else "#b3541e"}" fill-opacity="0.35"/>'
        ),
    ]
    rows += [
        f'<circle cx="{x(ratio)}" cy="{top + 40}" r="4" fill="#222" fill-opacity="0.7"/>'
        for ratio in ratios
    ]
    for ratio, label, dashes in (
        (figure["value"], _number(figure["value"]), ""),
        (figure["goal"], f"goal {figure['goal']:g}", ' stroke-dasharray="5 4"'),
    ):
        place = x(ratio)
        is_goal = bool(dashes)
        rows.append(
            f'<line x1="{place}" y1="{top + 14}" x2="{place}" y2="{bottom}" stroke="#222"{dashes}/>'
        )
        rows.append(
            f'<text x="{place}" y="{bottom + 18 if is_goal else top + 10}" fill="#222" '
            f'text-anchor="middle">{label}</text>'
        )
    return "\n".join([*rows, "</svg>", ""])


def _sentence(figure: dict[str, Any]) -> str:
    """What the plot says, for those who cannot see it."""
    met = "meets" if figure["met"] else "falls short of"
    return (
        f"{figure['title']}, beside {figure['reference_title']}: {_number(figure['value'])}, "
        f"which {met} the goal of {figure['sense']} {figure['goal']:g}"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
