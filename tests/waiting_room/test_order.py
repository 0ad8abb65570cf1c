"""Order, capacity and rate with several instances at work at once."""

from __future__ import annotations

import random
from uuid import UUID, uuid4

import pytest

from concert.ground.database import connection
from concert.ground.redis_client import redis
from concert.waiting_room import rooms, scripts, service
from concert.waiting_room.keys import room_keys
from concert.waiting_room.tokens import QueueToken
from tests.races.crew import Altered, Crew
from tests.sale import Sale
from tests.waiting_room.conftest import altered
from tests.waiting_room.steps import admitting, joining, ticking, visiting

pytestmark = pytest.mark.races

ROOM = "main"
VERB = "concert.waiting_room.service"
ENTRY = 120
# Joining, and writing down beside it in which order Redis ran the joins.
JOIN_WITNESSED = altered(
    scripts.JOIN,
    ("ARGV[2] or ''\n", "ARGV[2] or ''\nredis.call('RPUSH', '{room:main}:ran', user)\n"),
)
HEEDLESS = {
    "capacity": altered(
        scripts.ADMIT, ("(room.capacity, inside", "(room.capacity + inside, inside")
    ),
    "seats, by the tick": altered(
        scripts.ADMIT, ("math.floor(tokens), seats_for_more(undecided)", "math.floor(tokens)")
    ),
    "seats, by joining": altered(
        scripts.JOIN, ("math.floor(tokens), seats_for_more(undecided)", "math.floor(tokens)")
    ),
    "rate": altered(
        scripts.ADMIT, ("local size = math.max(1, math.ceil(limit / 40))", "local size = limit")
    ),
}


def open_room(capacity: int, admit_per_minute: int, *, paused: bool = False) -> None:
    settings = {"capacity": capacity, "admit_per_minute": admit_per_minute, "paused": paused}
    rooms.change_room(ROOM, {**settings, "entry_seconds": ENTRY})


def join_from_everywhere(crew: Crew, count: int) -> dict[UUID, int]:
    """Users join through four processes at once; their sequence numbers."""
    users = [uuid4() for _ in range(count)]
    parts = [users[start : start + 50] for start in range(0, count, 50)]
    numbers = crew.storm([joining(ROOM, part) for part in parts], {(VERB, "JOIN"): JOIN_WITNESSED})
    return dict(zip(users, (number for part in numbers for number in part), strict=True))


def inside() -> dict[UUID, int]:
    """Who is in the room, with the deadline in ms."""
    found = redis().zrange(room_keys(ROOM).admitted, 0, -1, withscores=True)
    return {UUID(bytes=user): int(deadline) for user, deadline in found}


def test_two_thousand_joins_from_four_processes_are_numbered_as_redis_ran_them(
    sale: Sale, crew: Crew
) -> None:
    open_room(100, 1_000_000, paused=True)
    numbers = join_from_everywhere(crew, 2000)
    ran = [UUID(bytes=user) for user in redis().lrange("{room:main}:ran", 0, -1)]
    assert len(ran) == len(set(numbers.values())) == 2000
    assert sorted(numbers, key=numbers.__getitem__) == ran


def test_admissions_come_out_in_exactly_the_order_of_joining(sale: Sale, crew: Crew) -> None:
    open_room(150, 1_000_000, paused=True)
    numbers = join_from_everywhere(crew, 2000)
    line = sorted(numbers, key=numbers.__getitem__)
    open_room(150, 1_000_000)
    chance, let_in, rejoined = random.Random(2000), set[UUID](), set[UUID]()
    while line:
        for user in chance.sample(line, min(20, len(line) // 10)):
            service.leave(QueueToken(user, ROOM, numbers[user]))
            line.remove(user)
            if user not in rejoined and chance.random() < 0.5:
                rejoined.add(user)
                numbers[user] = service.join(ROOM, user).token.sequence
                line.append(user)
        service.admit(ROOM)
        came = inside()
        new = sorted(set(came) - let_in, key=numbers.__getitem__)
        assert new, "somebody is waiting, and nobody comes in"
        assert new == line[: len(new)]
        del line[: len(new)]
        let_in |= set(came)
        # Some pay at once; the turns of the others run out, and some of those line up again.
        for user in chance.sample(new, len(new) // 2):
            service.complete(QueueToken(user, ROOM, numbers[user]))
        sale.let_time_pass(ENTRY + 1)
        for user in new:
            if user not in rejoined and chance.random() < 0.1:
                rejoined.add(user)
                let_in.discard(user)
                numbers[user] = service.join(ROOM, user).token.sequence
                if service.place_of(QueueToken(user, ROOM, numbers[user])).status == "waiting":
                    line.append(user)
                else:
                    let_in.add(user)
    assert len(rejoined) > 100


def admit_from_everywhere(
    sale: Sale, crew: Crew, replaced: Altered, minutes: float, leaving: float
) -> tuple[list[float], int]:
    """Four admitters run while time moves on and a part of the people inside leave.

    Returns the moments (seconds) at which people were let in, and the most at once.
    """
    chance, passed, most = random.Random(60), 0.0, 0
    moments: dict[UUID, float] = {}
    while passed < minutes * 60:
        crew.storm([admitting(ROOM, 5)] * 8, replaced)
        now_inside = inside()
        most = max(most, len(now_inside))
        for user, deadline in now_inside.items():
            moments.setdefault(user, deadline / 1000 - ENTRY + passed)
        sequences = redis().hgetall(room_keys(ROOM).sequences)
        for user in chance.sample(sorted(now_inside), round(len(now_inside) * leaving)):
            service.leave(QueueToken(user, ROOM, int(sequences[user.bytes])))
        seconds = chance.uniform(0.3, 1)
        sale.let_time_pass(seconds)
        passed += round(seconds * 1000) / 1000
    return sorted(moments.values()), most


def most_in_a_minute(moments: list[float]) -> int:
    """The most people let in within any sixty seconds, wherever they begin."""
    first = most = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 60:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_four_admitters_at_once_never_let_more_in_than_the_capacity(sale: Sale, crew: Crew) -> None:
    open_room(20, 1_000_000, paused=True)
    join_from_everywhere(crew, 400)
    open_room(20, 1_000_000)
    moments, most = admit_from_everywhere(sale, crew, {}, minutes=0.5, leaving=0.5)
    assert most == 20
    assert len(moments) > 40


def test_control_admitters_that_do_not_count_pass_the_capacity(sale: Sale, crew: Crew) -> None:
    open_room(20, 1_000_000, paused=True)
    join_from_everywhere(crew, 400)
    open_room(20, 1_000_000)
    heedless = {(VERB, "ADMIT"): HEEDLESS["capacity"]}
    _, most = admit_from_everywhere(sale, crew, heedless, minutes=0.1, leaving=0)
    assert most > 20


@pytest.mark.parametrize("admit_per_minute", [1, 7, 60, 200])
def test_four_admitters_at_once_never_let_more_in_than_the_rate_in_any_minute(
    sale: Sale, crew: Crew, admit_per_minute: int
) -> None:
    open_room(10_000, admit_per_minute, paused=True)
    join_from_everywhere(crew, 600)
    open_room(10_000, admit_per_minute)
    moments, _ = admit_from_everywhere(sale, crew, {}, minutes=1.3, leaving=1)
    assert most_in_a_minute(moments) <= admit_per_minute
    # It lets in nearly as many as it may, too.
    assert len(moments) >= admit_per_minute * 0.9


def test_control_a_bucket_as_large_as_the_rate_passes_the_rate(sale: Sale, crew: Crew) -> None:
    open_room(10_000, 60, paused=True)
    join_from_everywhere(crew, 600)
    open_room(10_000, 60)
    # A bucket that is full when the minute begins, and fills again within it.
    full = HEEDLESS["rate"]
    refilled = altered(full, ("(limit - size + 1)", "limit"))
    moments, _ = admit_from_everywhere(
        sale, crew, {(VERB, "ADMIT"): refilled}, minutes=1, leaving=1
    )
    assert most_in_a_minute(moments) > 60


def test_admitting_by_many_at_once_lets_in_as_many_as_admitting_once(
    sale: Sale, crew: Crew
) -> None:
    open_room(30, 1_000_000, paused=True)
    numbers = join_from_everywhere(crew, 100)
    open_room(30, 1_000_000)
    assert sum(crew.storm([admitting(ROOM, 2)] * 12)) == 30
    assert set(inside()) == set(sorted(numbers, key=numbers.__getitem__)[:30])
    assert sum(crew.storm([admitting(ROOM, 1)] * 10)) == 0


def test_a_room_that_redis_meets_for_the_first_time_lets_the_first_ones_in(
    sale: Sale, crew: Crew
) -> None:
    for number in range(5):
        slug = f"fresh-{number}"
        sale.room(slug, capacity=1000, admit_per_minute=1_000_000)
        redis().delete(*room_keys(slug))
        sale_begins_anew(slug)
        crew.storm([joining(slug, [uuid4()]) for _ in range(24)])
        assert redis().zcard(room_keys(slug).waiting) == 0, "somebody waits in an empty room"


def sale_begins_anew(slug: str) -> None:
    """Make PostgreSQL believe that Redis has never known the room."""
    with rooms.connection() as link:
        link.execute("UPDATE rooms SET epoch = 0 WHERE slug = %s", (slug,))


# Joining, ticks, holding, giving back and leaving, all at once.


def rush(sale: Sale, crew: Crew, altered: Altered | None = None) -> tuple[int, int]:
    """How many people are inside and hold nothing, and how many seats are free, after a storm of them all."""
    sale.room(capacity=1000, admit_per_minute=1_000_000)
    concert = sale.concert(capacity=20)
    fans = [sale.fan() for _ in range(96)]
    users = [(fan.user_id, fan.user_token) for fan in fans]
    visits = [
        visiting(concert, users[start : start + 12], luck=start) for start in range(0, 96, 12)
    ]
    held = crew.storm([*visits, *[ticking(8)] * 4], altered or {})
    assert sum(one for one in held if one) > 20
    with connection() as link:
        row = link.execute(FREE).fetchone()
        holders = {user for (user,) in link.execute(HOLDERS).fetchall()}
    assert row is not None
    return len(inside().keys() - holders), row[0]


FREE = "SELECT count(*) FROM seats WHERE sold_at IS NULL AND held_until IS NULL"
HOLDERS = "SELECT user_id FROM reservations WHERE status = 'held'"


def test_in_a_storm_of_joins_holds_releases_and_ticks_nobody_is_let_in_for_nothing(
    sale: Sale, crew: Crew
) -> None:
    # Each takes one seat, so this is true at every moment, and not only when somebody is let in.
    undecided, free = rush(sale, crew)
    assert undecided <= free


def test_control_without_the_count_of_seats_people_are_let_in_for_nothing(
    sale: Sale, crew: Crew
) -> None:
    heedless = {
        (VERB, "ADMIT"): HEEDLESS["seats, by the tick"],
        (VERB, "JOIN"): HEEDLESS["seats, by joining"],
    }
    undecided, free = rush(sale, crew, heedless)
    assert undecided > free
