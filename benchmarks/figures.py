"""The figures, each measured in turns with its reference."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from benchmarks.crowd import FIRST_VIEWERS, crowd, live_process
from benchmarks.house import REFERENCES, ROOM, RUSH, House, Stock, user_id
from benchmarks.load import LoadError, Request, paced, percentile, pgbench, replay
from concert.catalogue.service import Concert, NewDate, concert_of, create_concert
from concert.ground.database import connection
from concert.ground.redis_client import redis
from concert.reservations.queries import HOLD
from concert.reservations.service import hold_seats, release_reservation
from concert.waiting_room.keys import room_keys
from concert.waiting_room.rooms import change_room, create_room
from concert.waiting_room.scripts import ADMIT, JOIN, STATUS
from concert.waiting_room.service import leave
from concert.waiting_room.tokens import QueueToken
from concert.web.catalogue import PAGE_SIZE
from concert.web.door import QUEUE_COOKIE, USER_COOKIE

ROUNDS = 5
SECONDS = 2
CLIENTS = 16
CONNECTIONS = 32

# The service's own hold in pgbench's words: the same work, with no service around it.
USER = "md5('fan ' || :n)::uuid"
PERSON = """
\\set n :first + :client_id * :share + :i
\\set performance :concerts + (:n - :first) / 20000
\\set seat (:n - :first) % 20000 + 1
\\set i :i + 1
"""
HOLD_SCRIPT = PERSON + HOLD % {
    "user": USER,
    "room": "'main'",
    "sequence": ":n::bigint + 1",
    "performance": ":performance::bigint",
    "wanted": "ARRAY[:seat]",
    "reservation": "gen_random_uuid()",
    "hold": "300",
    "limit": "4",
    "together": "NULL",
    "rehold": "10",
    "lapsed_limit": "3",
}
# What the bars stand on does not move when the service gets faster.
PLAIN_UPDATE, FIRST_CHARGE, FIRST_PAY = (
    (REFERENCES / f"{name}.sql").read_text() for name in ("hold", "charge", "pay")
)

HELD = """
SELECT count(*) FROM seats WHERE performance_id BETWEEN %s AND %s AND held_until IS NOT NULL"""
PLAINLY_HELD = HELD.replace("seats", "plain_seats")
SOLD = "SELECT count(*) FROM seats WHERE performance_id BETWEEN %s AND %s AND sold_at IS NOT NULL"
ENTRIES = """
SELECT count(*) FROM wallet_entries e JOIN users u ON u.id = e.user_id
WHERE e.kind = 'charge' AND e.amount = 1000"""

Turn = Callable[[], float]
# Counts in the database where something was done.
Count = Callable[..., int]
Done = Callable[[Count, Stock], int]
Say = Callable[[str], None]


@dataclass
class Figure:
    """What was measured beside its reference, round by round, and what we want it to be."""

    name: str
    title: str
    reference_title: str
    unit: str
    goal: float
    sense: Literal["at least", "at most"]
    ours: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    # Where the goal is a plain number and there is nothing to divide by.
    is_ratio: bool = True

    @property
    def value(self) -> float:
        """The median of the rounds' ratios, or of the rounds themselves."""
        if not self.is_ratio:
            return statistics.median(self.ours)
        return statistics.median(
            one / other for one, other in zip(self.ours, self.reference, strict=True)
        )

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.value >= self.goal if self.sense == "at least" else self.value <= self.goal

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {**asdict(self), "value": round(self.value, 4), "met": self.met}


def quick(house: House, say: Say, only: Sequence[str] = ()) -> list[Figure]:
    """The hot paths, in a few minutes."""
    makers = {
        "join": _join,
        "ask": _ask,
        "seats": _seats,
        "map-page": _map_page,
        "home-page": _home_page,
        "hold": _hold,
        "charge": _charge,
        "pay": _pay,
    }
    return _made(makers, house, say, only)


def full(house: House, say: Say, only: Sequence[str] = ()) -> list[Figure]:
    """What takes longer: latency under half the load, a million people in line, the live process."""
    makers = {
        "hold-p99": _hold_p99,
        "million": _million,
        "live": _live,
        "seat-told": _seat_told,
    }
    return _made(makers, house, say, only)


def _made(
    makers: dict[str, Callable[[House], list[Figure]]], house: House, say: Say, only: Sequence[str]
) -> list[Figure]:
    made: list[Figure] = []
    for name, make in makers.items():
        if only and name not in only:
            continue
        say(f"measuring {name}")
        for figure in make(house):
            say(f"  {figure.title}: {figure.value:.3f} (goal: {figure.sense} {figure.goal:g})")
            made.append(figure)
    return made


def _in_turns(figure: Figure, ours: Turn, reference: Turn) -> list[Figure]:
    """Measure A B A B ...; the first pair only warms up."""
    ours(), reference()
    for _ in range(ROUNDS):
        figure.ours.append(ours())
        figure.reference.append(reference())
    return [figure]


# Beside the bare route.


def _join(house: House) -> list[Figure]:
    figure = Figure("join", "join the line", "a bare Flask route", "requests/s", 0.38, "at least")
    body = json.dumps({"concert_id": new_concert(RUSH).concert_id}).encode()
    expected = [24_000]

    def turn() -> float:
        stock = house.stock(expected[0])
        requests = [
            Request("POST", "/v1/enqueues", house.user_token(stock.first + index), body)
            for index in range(stock.count)
        ]
        house.settle()
        rate, answered = replay(house.port, requests, seconds=SECONDS, connections=CONNECTIONS)
        expected[0] = _with_reserve(answered)
        return rate

    return _in_turns(figure, turn, _bare_turn(house))


def _ask(house: House) -> list[Figure]:
    figure = Figure(
        "ask", "ask for the place", "a bare Flask route", "requests/s", 0.42, "at least"
    )
    stock = house.stock(2_000)
    requests = []
    for number in range(stock.first, stock.first + stock.count):
        sequence = _line_up(RUSH, [number])[0]
        requests.append(Request("GET", "/v1/enqueues", house.queue_token(number, RUSH, sequence)))

    def turn() -> float:
        return replay(house.port, requests, seconds=SECONDS, connections=CONNECTIONS, cycle=True)[0]

    return _in_turns(figure, turn, _bare_turn(house))


def _seats(house: House) -> list[Figure]:
    figure = Figure(
        "seats", "list the 50 seats of a date", "a bare Flask route", "requests/s", 0.50, "at least"
    )
    stock = house.stock(1_000, admitted=True)
    concert = new_concert(ROOM)
    performance = concert.performances[0].performance_id
    requests = [
        Request(
            "GET",
            f"/v1/concerts/{concert.concert_id}/seats?performance_id={performance}",
            house.queue_token(number),
        )
        for number in range(stock.first, stock.first + stock.count)
    ]

    def turn() -> float:
        return replay(house.port, requests, seconds=SECONDS, connections=CONNECTIONS, cycle=True)[0]

    return _in_turns(figure, turn, _bare_turn(house))


def _map_page(house: House) -> list[Figure]:
    figure = Figure(
        "map-page", "the page of the seat map", "a bare Flask route", "pages/s", 0.06, "at least"
    )
    concert = new_concert(ROOM)
    date = concert.performances[0].date.isoformat()
    return _page(house, figure, f"/concerts/{concert.concert_id}/seats/{date}")


def _home_page(house: House) -> list[Figure]:
    figure = Figure("home-page", "the home page", "a bare Flask route", "pages/s", 0.12, "at least")
    for _ in range(PAGE_SIZE):
        new_concert(ROOM)
    return _page(house, figure, "/")


def _page(house: House, figure: Figure, path: str) -> list[Figure]:
    """A page as people inside ask for it, who are known by their cookies and hold nothing."""
    stock = house.stock(1_000, admitted=True)
    requests = [
        Request("GET", path, cookies="; ".join(f"{name}={value}" for name, value in known))
        for known in (
            (
                (USER_COOKIE, house.user_token(number)),
                (QUEUE_COOKIE + ROOM, house.queue_token(number)),
            )
            for number in range(stock.first, stock.first + stock.count)
        )
    ]

    def turn() -> float:
        return replay(house.port, requests, seconds=SECONDS, connections=CONNECTIONS, cycle=True)[0]

    return _in_turns(figure, turn, _bare_turn(house))


def _bare_turn(house: House) -> Turn:
    request = [Request("GET", "/")]
    return lambda: replay(
        house.bare_port, request, seconds=SECONDS, connections=CONNECTIONS, cycle=True
    )[0]


# Beside pgbench.


def _hold(house: House) -> list[Figure]:
    figure = Figure(
        "hold", "hold a seat", "a plain UPDATE of it by pgbench", "holds/s", 0.15, "at least"
    )
    return _beside_pgbench(
        house, figure, PLAIN_UPDATE, hold_requests, _seats_of(HELD), _seats_of(PLAINLY_HELD)
    )


def _charge(house: House) -> list[Figure]:
    figure = Figure(
        "charge",
        "charge the wallet",
        "its first statement by pgbench",
        "charges/s",
        0.36,
        "at least",
    )

    def requests(house: House, stock: Stock) -> list[Request]:
        body = json.dumps({"amount": 1000}).encode()
        return [
            Request("PATCH", "/v1/charges", house.user_token(stock.first + index), body)
            for index in range(stock.count)
        ]

    def entries(count: Count, stock: Stock) -> int:
        return count(ENTRIES)

    return _beside_pgbench(house, figure, FIRST_CHARGE, requests, entries, entries, wallets=True)


def _pay(house: House) -> list[Figure]:
    figure = Figure(
        "pay", "pay a reservation", "its first statement by pgbench", "payments/s", 0.60, "at least"
    )

    def requests(house: House, stock: Stock) -> list[Request]:
        return [seat_request(house, stock, index, "payments") for index in range(stock.count)]

    return _beside_pgbench(
        house,
        figure,
        FIRST_PAY,
        requests,
        _seats_of(SOLD),
        _seats_of(SOLD),
        wallets=True,
        held=True,
    )


def _beside_pgbench(
    house: House,
    figure: Figure,
    script: str,
    requests: Callable[[House, Stock], list[Request]],
    done: Done,
    reference_done: Done,
    *,
    wallets: bool = False,
    held: bool = False,
) -> list[Figure]:
    """Both do the work once for each person of a fresh stock, and what they did is counted after."""
    # A plain UPDATE is so quick that it needs more seats than people ever take.
    expected = {"ours": 16_000, "reference": 140_000 if script == PLAIN_UPDATE else 40_000}

    def ours() -> float:
        stock = house.stock(expected["ours"], wallets=wallets, admitted=True)
        if held:
            house.hold(stock)
        house.settle()
        prepared = requests(house, stock)
        before = done(_count, stock)
        rate, answered = replay(house.port, prepared, seconds=SECONDS, connections=CLIENTS)
        _check_done(figure.name, done(_count, stock) - before, answered)
        expected["ours"] = _with_reserve(answered)
        return rate

    def reference() -> float:
        theirs = house.reference
        stock = theirs.stock(expected["reference"], wallets=wallets, held=held)
        before = reference_done(theirs.count, stock)
        rate, count, _ = pgbench(
            theirs.url, script, _variables(stock, CLIENTS), seconds=SECONDS, clients=CLIENTS
        )
        _check_done(figure.name, reference_done(theirs.count, stock) - before, count)
        expected["reference"] = _with_reserve(count)
        return rate

    return _in_turns(figure, ours, reference)


def hold_requests(house: House, stock: Stock) -> list[Request]:
    """Everybody holds a seat of their own."""
    return [seat_request(house, stock, index, "reservations") for index in range(stock.count)]


def seat_request(house: House, stock: Stock, index: int, what: str) -> Request:
    """What one of them says of their seat: ``reservations`` holds it, ``payments`` pays it."""
    performance, seat = stock.seat(index)
    return Request(
        "POST",
        f"/v1/concerts/{stock.concert_id}/seats/{seat}/{what}",
        house.queue_token(stock.first + index),
        b'{"performance_id":%d}' % performance,
    )


def _variables(stock: Stock, clients: int) -> dict[str, int]:
    return {
        "first": stock.first,
        "concerts": stock.performance_id,
        "share": stock.count // clients,
    }


def _with_reserve(answered: int) -> int:
    """How many to prepare for the next turn, which may be a good deal faster."""
    return int(answered * 1.7) + 2_000


def _check_done(name: str, done: int, answered: int) -> None:
    """What was answered was done. A load generator that stops leaves a few unanswered."""
    if not answered <= done <= answered + 2 * CONNECTIONS:
        raise LoadError(f"{name}: {answered} were answered, and {done} were done")


def _seats_of(statement: str) -> Done:
    def seats(count: Count, stock: Stock) -> int:
        return count(statement, stock.performance_id, stock.seat(stock.count - 1)[0])

    return seats


def _count(statement: str, *values: int) -> int:
    with connection() as link:
        row = link.execute(statement, values).fetchone()
    assert row is not None
    number: int = row[0]
    return number


# Latency.

P99_SECONDS = 5


def _hold_p99(house: House) -> list[Figure]:
    figure = Figure(
        "hold-p99",
        "p99 of a hold at half the peak rate",
        "p99 of its statements by pgbench at that rate",
        "ms",
        5.0,
        "at most",
    )
    stock = house.stock(12_000, admitted=True)
    house.settle()
    peak, _ = replay(house.port, hold_requests(house, stock), seconds=SECONDS, connections=CLIENTS)
    rate = peak / 2

    def ours() -> float:
        stock = house.stock(int(rate * P99_SECONDS), admitted=True)
        requests = hold_requests(house, stock)
        house.settle()
        return percentile(paced(house.port, requests, rate=rate), 0.99)

    def reference() -> float:
        stock = house.stock(int(rate * P99_SECONDS * 2) + 2_000)
        house.settle()
        latencies = pgbench(
            house.database_url,
            HOLD_SCRIPT,
            _variables(stock, CLIENTS),
            seconds=P99_SECONDS,
            clients=CLIENTS,
            rate=rate,
        )[2]
        return percentile(latencies, 0.99)

    return _in_turns(figure, ours, reference)


# A million people in line.

MANY, FEW = 1_000_000, 1_000
CALLS = 2_000
ADMITTED_AT_ONCE = 10


def _million(house: House) -> list[Figure]:
    for slug in ("many", "few"):
        create_room(slug, {"capacity": 1_000_000, "admit_per_minute": 1_000_000, "paused": True})
    memory = Figure(
        "memory", "Redis memory for each of 1,000,000 waiting", "", "bytes", 150, "at most"
    )
    memory.is_ratio = False
    for script in (JOIN, STATUS, ADMIT):
        script.load()
    _fill("few", range(-FEW, 0))
    before = _used_memory()
    _fill("many", range(-FEW - MANY, -FEW))
    memory.ours.append((_used_memory() - before) / MANY)

    figures = [memory]
    newcomers = iter(range(-FEW - MANY - 100 * CALLS, -FEW - MANY))
    for verb in ("join", "ask", "admit"):
        figure = Figure(
            f"{verb}-million",
            f"{verb} with 1,000,000 waiting",
            f"{verb} with 1,000 waiting",
            "µs in Redis",
            1.5,
            "at most",
        )
        for slug in ("many", "few"):
            change_room(slug, {"paused": verb != "admit"})

        def turn(slug: str, verb: str = verb) -> float:
            return _cost(slug, verb, newcomers)

        figures += _in_turns(figure, lambda: turn("many"), lambda: turn("few"))
    return figures


def _cost(slug: str, verb: str, newcomers: Any) -> float:
    """What a call of a verb costs Redis, in microseconds; the line is as long after it as before."""
    keys = room_keys(slug)
    client = redis()
    line = client.zrange(keys.waiting, 0, -1, withscores=True) if slug == "few" else None
    if verb == "join":
        people = [_person(next(newcomers)) for _ in range(FEW // 4)]
        calls = [(JOIN, (person,)) for person in people]
    elif verb == "ask":
        ranks = [index * client.zcard(keys.waiting) // CALLS for index in range(CALLS)]
        pipeline = client.pipeline(transaction=False)
        for rank in ranks:
            pipeline.zrange(keys.waiting, rank, rank, withscores=True)
        calls = [(STATUS, (found[0][0], int(found[0][1]))) for found in pipeline.execute()]
    else:
        calls = [(ADMIT, (ADMITTED_AT_ONCE,))] * (FEW // 4 // ADMITTED_AT_ONCE)
    pipeline = client.pipeline(transaction=False)
    for script, arguments in calls:
        script.queue(pipeline, keys, arguments)
    client.config_resetstat()
    pipeline.execute()
    cost = float(client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"])
    if verb == "join":
        client.zrem(keys.waiting, *people)
    if line is not None and verb == "admit":
        client.zadd(keys.waiting, dict(line))
    return cost


def _fill(slug: str, numbers: range) -> None:
    """Write down a line as so many joins in a row would leave it, in a hundredth of their time."""
    keys = room_keys(slug)
    sequence = int(datetime.now(UTC).timestamp() * 1e6) - len(numbers)
    for start in range(0, len(numbers), 10_000):
        people = numbers[start : start + 10_000]
        redis().zadd(
            keys.waiting, {_person(one): sequence + start + n for n, one in enumerate(people)}
        )
    counters = {"sequence": sequence + len(numbers), "joined": len(numbers)}
    redis().hset(keys.state, mapping=counters)  # type: ignore[arg-type]  # whole numbers are values, too


def _line_up(slug: str, numbers: Any) -> list[int]:
    """Let people join a room, in this order; returns their sequence numbers."""
    JOIN.load()
    sequences: list[int] = []
    pipeline = redis().pipeline(transaction=False)
    for index, number in enumerate(numbers, 1):
        JOIN.queue(pipeline, room_keys(slug), (_person(number),))
        if index % 5_000 == 0:
            sequences += [int(answer[1]) for answer in pipeline.execute()]
    return sequences + [int(answer[1]) for answer in pipeline.execute()]


def _person(number: int) -> bytes:
    return user_id(number).bytes


def _used_memory() -> int:
    """What Redis uses for its data: without the buffers of its append-only file."""
    found = redis().info("memory")
    return int(found["used_memory"]) - int(found["mem_aof_buffer"])


# The live process.

VIEWERS = 15_000
CHANGES = 15
MAP_VIEWERS = 1_000
SEAT_CHANGES = 40


def _live(house: House) -> list[Figure]:
    viewers = Figure("live-viewers", "viewers of one live process", "", "", VIEWERS, "at least")
    memory = Figure("live-memory", "memory of the live process a viewer", "", "KB", 26, "at most")
    lag = Figure(
        "live-p99", f"a change of place shown to {VIEWERS:,} viewers, p99", "", "s", 1.0, "at most"
    )
    for figure in (viewers, memory, lag):
        figure.is_ratio = False
    slug = f"crowd-{uuid4().hex[:8]}"
    create_room(slug, {"capacity": 1, "entry_seconds": 3600})
    first = -20_000_000
    numbers = range(first, first + 1 + CHANGES + VIEWERS)
    tokens = [
        QueueToken(user_id(number), slug, sequence)
        for number, sequence in zip(numbers, _line_up(slug, numbers), strict=True)
    ]
    leavers, watchers = tokens[1 : 1 + CHANGES], tokens[1 + CHANGES :]
    with live_process(house) as live, crowd(live.port) as some, crowd(live.port) as all_of_them:
        some.open(f"/live/rooms/{slug}", watchers[:FIRST_VIEWERS])
        before = live.memory()
        all_of_them.open(f"/live/rooms/{slug}", watchers[FIRST_VIEWERS:])
        memory.ours.append((live.memory() - before) / (VIEWERS - FIRST_VIEWERS) / 1024)
        viewers.ours.append(some.count + all_of_them.count)
        lags: list[float] = []
        for change, token in enumerate(leavers, 1):
            time.sleep(0.37)  # so that changes fall anywhere between two looks
            leave(token)
            changed = time.monotonic()
            for crowded in (some, all_of_them):
                told = crowded.told("look", change)
                lags += [max(0.0, at - changed) for at in told]
        lag.ours.append(percentile(lags, 0.99))
    return [viewers, memory, lag]


def _seat_told(house: House) -> list[Figure]:
    figure = Figure(
        "seat-told",
        f"a taken seat told to {MAP_VIEWERS:,} viewers of the map, p95",
        "",
        "ms",
        50,
        "at most",
    )
    figure.is_ratio = False
    stock = house.stock(MAP_VIEWERS + 1, admitted=True)
    performance = next(
        one
        for one in concert_of(stock.concert_id).performances
        if one.performance_id == stock.performance_id
    )
    taking, *looking = [
        QueueToken(user_id(stock.first + index), ROOM, stock.first + index + 1)
        for index in range(stock.count)
    ]
    with live_process(house) as live, crowd(live.port) as all_of_them:
        all_of_them.open(f"/live/performances/{stock.performance_id}", looking)
        lags: list[float] = []
        for seat_no in range(1, SEAT_CHANGES + 1):
            time.sleep(0.1)
            held = hold_seats(taking, ROOM, performance, [seat_no])
            committed = time.monotonic()
            told = all_of_them.told("seat", seat_no)
            lags += [max(0.0, at - committed) * 1000 for at in told]
            release_reservation(taking.user_id, held.reservation_id)
    figure.ours.append(percentile(lags, 0.95))
    return [figure]


def new_concert(room: str) -> Concert:
    """A concert of one date with 50 seats."""
    starts = datetime.now(UTC) + timedelta(days=30)
    return create_concert("Benchmark", "Hall", room, [NewDate(starts, 50_000)])
