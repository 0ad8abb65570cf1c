"""``python -m benchmarks``: the quick set; ``--full``: everything."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks import figures
from benchmarks.house import House, open_house
from benchmarks.load import LoadError
from concert.ground.database import connection
from concert.ground.redis_client import redis

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "flask",
    "flask-openapi3",
    "granian",
    "pydantic",
    "psycopg",
    "redis",
    "hiredis",
    "PyJWT",
)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the figures that take longer, too")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="FIGURE",
        help="just these; the day's other results stay",
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        with open_house() as house:
            made = figures.quick(house, _say, arguments.only)
            if arguments.full or arguments.only:
                made += figures.full(house, _say, arguments.only)
            document = _document(house, made, "full" if arguments.full else "quick")
    except LoadError as error:
        print(f"Cannot measure. {error}", file=sys.stderr)
        return 1
    document["seconds"] = round(time.monotonic() - began)
    print(_table(made))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.json"
    file.write_text(json.dumps(_merged(file, document), indent=2, ensure_ascii=False) + "\n")
    print(f"Written to benchmarks/results/{file.name}; python -m benchmarks.report shows it.")
    return 0


def _document(house: House, made: list[figures.Figure], name: str) -> dict[str, Any]:
    with connection() as link:
        row = link.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'),"
            " current_setting('synchronous_commit')"
        ).fetchone()
    assert row is not None
    return {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "set": name,
        "machine": {
            "cores": os.cpu_count(),
            "cpu": _cpu_model(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "system": f"{platform.system()} {platform.release().split('-')[0]}",
        },
        "versions": {
            "Python": platform.python_version(),
            "PostgreSQL": row[0].split()[0],
            "Redis": redis().info("server")["redis_version"],
            **{package: version(package) for package in PACKAGES},
        },
        "durability": {"fsync": row[1], "synchronous_commit": row[2], "appendfsync": "everysec"},
        "rounds": figures.ROUNDS,
        "seconds_a_turn": figures.SECONDS,
        "figures": [figure.document() for figure in made],
    }


def _merged(file: Path, document: dict[str, Any]) -> dict[str, Any]:
    """What was not measured this time stays as it was measured earlier on the same day."""
    if file.exists():
        measured = {figure["name"] for figure in document["figures"]}
        before = json.loads(file.read_text())["figures"]
        document["figures"] += [figure for figure in before if figure["name"] not in measured]
    return document


def _table(made: list[figures.Figure]) -> str:
    rows = [("figure", "ratio", "goal", "", "ours", "reference")]
    for figure in made:
        document = figure.document()
        rows.append(
            (
                figure.title,
                f"{figure.value:.2f}",
                f"{figure.sense} {figure.goal:g}",
                "met" if figure.met else "falls short",
                _median(document["ours"], figure.unit),
                _median(document["reference"], figure.unit),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _median(rounds: list[float], unit: str) -> str:
    if not rounds:
        return ""
    middle = sorted(rounds)[len(rounds) // 2]
    return f"{middle:,.0f} {unit}" if middle >= 100 else f"{middle:.2f} {unit}"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
