"""``python -m benchmarks.where``: where a request's time goes, in µs of processor time of each part.

Every call is sent to the service as it runs, and what the processes of web, PostgreSQL and
Redis have used meanwhile is divided by the number of calls. Waiting costs nothing here, so the
figures hold on a machine that others use too, if not as well as on a quiet one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figures import CLIENTS, hold_requests, new_concert, seat_request
from benchmarks.house import ROOM, RUSH, House, open_house, user_id
from benchmarks.load import LoadError, Request, replay
from concert.waiting_room.service import join

PARTS = ("web", "PostgreSQL", "Redis")
ROUNDS = 5
SECONDS = 1
# More than any turn answers.
PEOPLE = 12_000

Requests = Callable[[House], list[Request]]


@dataclass(frozen=True)
class Kind:
    """A call: what is sent, and whether the same may be sent again and again."""

    name: str
    requests: Requests
    cycle: bool = False


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.where", description=__doc__)
    names = [kind.name for kind in KINDS]
    parser.add_argument("calls", nargs="*", metavar="CALL", help=f"of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="the median of so many")
    arguments = parser.parse_args()
    chosen = [kind for kind in KINDS if not arguments.calls or kind.name in arguments.calls]
    print(f"{'µs of processor time a call':30}" + "".join(f"{part:>12}" for part in PARTS))
    try:
        with open_house() as house:
            for kind in chosen:
                found = [_turn(house, kind) for _ in range(arguments.rounds + 1)][1:]
                medians = [statistics.median(values) for values in zip(*found, strict=True)]
                print(
                    f"{kind.name:30}" + "".join(f"{value:12.0f}" for value in medians), flush=True
                )
    except LoadError as error:
        print(f"Cannot measure. {error}", file=sys.stderr)
        return 1
    return 0


def _turn(house: House, kind: Kind) -> list[float]:
    requests = kind.requests(house)
    house.settle()
    before = _used()
    _, answered = replay(
        house.port, requests, seconds=SECONDS, connections=CLIENTS, cycle=kind.cycle
    )
    after = _used()
    return [(after[part] - before[part]) / answered / 1000 for part in PARTS]


def _used() -> dict[str, int]:
    """What each part has used so far (ns): the service's session, and the servers' processes."""
    used = dict.fromkeys(PARTS, 0)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            part = _part_of(process)
            if part:
                used[part] += _used_by(process.pid)
    return used


def _part_of(process: psutil.Process) -> str | None:
    name = process.name()
    if name.startswith("postgres"):
        return "PostgreSQL"
    if name.startswith("redis"):
        return "Redis"
    # A process of granian's has the command of the one that started it, or is its child.
    lineage = [process, *process.parents()]
    return "web" if any(one.cmdline()[-1:] == ["app:app"] for one in lineage) else None


def _used_by(pid: int) -> int:
    """The processor time of all threads (ns); the kernel counts it in ticks elsewhere."""
    used = 0
    for schedule in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            used += int(schedule.read_text().split()[0])
    return used


def _join(house: House) -> list[Request]:
    stock = house.stock(PEOPLE)
    body = json.dumps({"concert_id": new_concert(RUSH).concert_id}).encode()
    return [
        Request("POST", "/v1/enqueues", house.user_token(stock.first + index), body)
        for index in range(stock.count)
    ]


def _ask(house: House) -> list[Request]:
    stock = house.stock(500)
    numbers = range(stock.first, stock.first + stock.count)
    places = [join(RUSH, user_id(number)).token for number in numbers]
    return [Request("GET", "/v1/enqueues", place.encoded()) for place in places]


def _seats(house: House) -> list[Request]:
    stock = house.stock(500, admitted=True)
    concert = new_concert(ROOM)
    path = f"/v1/concerts/{concert.concert_id}/seats?performance_id={concert.performances[0].performance_id}"
    return [
        Request("GET", path, house.queue_token(number))
        for number in range(stock.first, stock.first + stock.count)
    ]


def _hold(house: House) -> list[Request]:
    return hold_requests(house, house.stock(PEOPLE, admitted=True))


def _charge(house: House) -> list[Request]:
    stock = house.stock(PEOPLE, wallets=True)
    body = json.dumps({"amount": 1000}).encode()
    return [
        Request("PATCH", "/v1/charges", house.user_token(stock.first + index), body)
        for index in range(stock.count)
    ]


def _pay(house: House) -> list[Request]:
    stock = house.stock(PEOPLE, wallets=True, admitted=True)
    house.hold(stock)
    return [seat_request(house, stock, index, "payments") for index in range(stock.count)]


KINDS = (
    Kind("join", _join),
    Kind("ask", _ask, cycle=True),
    Kind("50 seats", _seats, cycle=True),
    Kind("hold", _hold),
    Kind("charge", _charge),
    Kind("pay", _pay),
)


if __name__ == "__main__":
    sys.exit(main())
