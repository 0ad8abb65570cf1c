"""``python -m benchmarks.clients``: what a call costs in the client, the short way beside the usual one.

Processor time of one thread that asks Redis or PostgreSQL again and again, in turns of the usual
way (redis-py's client, psycopg's cursor) and ours (``concert/ground/fast_redis.py`` and
``concert/ground/prepared.py``). Medians of the turns; what the servers use is not in it.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from uuid import uuid4

from benchmarks.figures import new_concert
from benchmarks.house import ROOM, RUSH, House, open_house, user_id
from concert.catalogue.service import concert_of
from concert.ground import events
from concert.ground.budget import within
from concert.ground.database import connection
from concert.ground.parts import part
from concert.ground.prepared import Hot
from concert.ground.redis_client import Client
from concert.payments import service as payments
from concert.reservations import service as reservations
from concert.waiting_room.keys import room_keys
from concert.waiting_room.scripts import JOIN, STATUS
from concert.waiting_room.service import join
from concert.waiting_room.tokens import QueueToken
from concert.wallet.service import charge

TURNS = 9
CALLS = 400
TRIVIAL = Hot("SELECT %(number)s::int")


def main() -> int:
    """Measure and print."""
    print(f"{'µs of processor time a call':30}{'usual':>10}{'ours':>10}{'gain':>10}")
    with open_house() as house, within(3600, each=3600):
        for name, call in _calls(house).items():
            usual, ours = _medians(call)
            print(f"{name:30}{usual:10.1f}{ours:10.1f}{usual - ours:10.1f}", flush=True)
    return 0


def _medians(call: Callable[[], object]) -> tuple[float, float]:
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(TURNS):
        for ours, turns in found.items():
            _choose(ours)
            call()
            began = time.thread_time()
            for _ in range(CALLS):
                call()
            turns.append((time.thread_time() - began) / CALLS * 1e6)
    _choose(ours=True)
    return statistics.median(found[False]), statistics.median(found[True])


_kept: dict[str, object] = {}


def _choose(ours: bool) -> None:
    """Take the one way or the other; there is one thread, and so one connection to PostgreSQL."""
    client = part(Client)
    with connection() as link:
        fast = _kept.setdefault("redis", client.fast)
        prepared = _kept.setdefault("postgresql", link.prepared)
        client.fast = fast if ours else None  # type: ignore[assignment]
        link.prepared = prepared if ours else None  # type: ignore[assignment]


def _calls(house: House) -> dict[str, Callable[[], object]]:
    stock = house.stock(2 * TURNS * (CALLS + 1), wallets=True)
    place = join(RUSH, uuid4()).token
    rush, who = room_keys(RUSH), (place.user_id.bytes, place.sequence)
    listed = concert_of(new_concert(ROOM).concert_id).performances[0]
    of = {one.performance_id: one for one in concert_of(stock.concert_id).performances}
    to_hold, to_pay, to_charge = itertools.count(), itertools.count(), itertools.count()

    def token(index: int) -> QueueToken:
        return QueueToken(user_id(stock.first + index), ROOM, stock.first + index + 1)

    def select() -> object:
        with connection() as link:
            return TRIVIAL.row(link, {"number": 5})

    def hold() -> object:
        index = next(to_hold)
        performance, seat = stock.seat(index)
        with connection() as link:
            return reservations._hold(link, token(index), of[performance], (seat,), None, uuid4())

    def pay() -> object:
        index = next(to_pay)
        with connection() as link:
            return payments._pay_once(link, token(index), payments.HolderOf(*stock.seat(index)))

    holder = uuid4()
    return {
        "status script": lambda: STATUS.run(rush, who),
        "join script": lambda: JOIN.run(rush, (uuid4().bytes, "")),
        "a fact that is published": lambda: events.publish_seats(0, [1], "held", holder),
        "trivial SELECT": select,
        "50 seats": lambda: reservations.seat_letters(holder, [listed.performance_id]),
        "hold": hold,
        "pay": pay,
        "charge": lambda: charge(user_id(stock.first + next(to_charge)), 1000),
    }


if __name__ == "__main__":
    sys.exit(main())
