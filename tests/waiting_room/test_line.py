"""The scripts against a plain model of the line, in any order of events."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from concert.ground.database import connection
from concert.ground.errors import DomainError
from concert.ground.redis_client import Script, redis
from concert.waiting_room import ended, rooms, scripts, service
from concert.waiting_room.keys import room_keys
from concert.waiting_room.mirror import mirror_room
from concert.waiting_room.seats import FACTS, Count, Taker, hand_in, tell_moved
from concert.waiting_room.tokens import QueueToken
from tests.sale import Sale, empty_everything
from tests.waiting_room.conftest import Clock, altered
from tests.waiting_room.line import Known, Line

ROOM = "main"
NAMES = "ABCDE"
# A hold outlasts a visit, so that every rule about the two is met soon.
ENTRY, VISIT, HOLD = 120, 80, 90
names = st.sampled_from(NAMES)

# How the service refuses what the model calls so.
CODES = {
    "waiting": "not_admitted",
    "expired": "not_admitted",
    "over": "not_admitted",
    "completed": "token_expired",
    "left": "token_invalid",
    "superseded": "token_invalid",
}


class RoomMachine(RuleBasedStateMachine):
    """People who join, ask, enter, hold, leave and pay while the room changes around them."""

    def __init__(self, sale: Sale, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        empty_everything(sale.app)
        clock.show()
        self.users: dict[str, UUID] = {name: uuid4() for name in NAMES}
        with connection() as link:
            for user_id in self.users.values():
                link.execute("INSERT INTO users (id) VALUES (%s)", (user_id,))
        rooms.change_room(
            ROOM,
            {
                "capacity": 2,
                "admit_per_minute": 1_000_000,
                "entry_seconds": ENTRY,
                "visit_seconds": VISIT,
            },
        )
        self.line = Line(2, ENTRY * 1000, VISIT * 1000)
        self._keep_time()
        self.tokens: dict[str, list[QueueToken]] = {name: [] for name in NAMES}
        self.sequences: list[int] = []
        self.as_it_was: tuple[dict[bytes, bytes], Known] | None = None

    def _keep_time(self) -> None:
        self.line.now, self.line.now_us = self.clock.now_ms, self.clock.now_us

    def _token(self, name: str, age: int = 0) -> QueueToken | None:
        """One of the tokens that somebody was given, 0 for the newest."""
        tokens = self.tokens[name]
        return tokens[-1 - age] if len(tokens) > age else None

    @rule(name=names, age=st.sampled_from([None, None, 0, 1]))
    def join(self, name: str, age: int | None = None) -> None:
        """Somebody lines up, with an earlier token or without."""
        earlier = None if age is None else self._token(name, age)
        status, sequence, new = self.line.join(name, earlier and earlier.sequence)
        place = service.join(ROOM, self.users[name], earlier)
        assert (place.status, place.token.sequence) == (status, sequence)
        if status == "waiting":
            assert place.position == self.line.in_order().index(name) + 1
        if new:
            # Its number is larger than every number before, whatever was lost.
            assert not self.sequences or sequence > max(self.sequences)
            self.sequences.append(sequence)
            self.tokens[name].append(place.token)

    @rule(name=names)
    def ask(self, name: str) -> None:
        self._ask(self._token(name), name)

    @rule(name=names, age=st.integers(1, 3))
    def ask_with_an_older_token(self, name: str, age: int = 1) -> None:
        self._ask(self._token(name, age), name)

    def _ask(self, token: QueueToken | None, name: str) -> None:
        if token is None:
            return
        expected = self.line.ask(name, token.sequence)
        try:
            place = service.place_of(token)
        except DomainError as error:
            assert expected in ("completed", "superseded")
            assert error.code == CODES[expected]
            return
        assert place.status == expected
        assert place.waiting == len(self.line.known.waiting)
        if expected == "waiting":
            assert place.position == self.line.in_order().index(name) + 1
        if expected == "admitted":
            assert place.admitted_until is not None
            deadline = self.line.known.admitted[name].deadline
            assert round(place.admitted_until.timestamp() * 1000) == deadline

    @rule(name=names, holding=st.booleans())
    def enter(self, name: str, holding: bool) -> None:
        self._enter(name, HOLD if holding else 0)

    @rule(name=names)
    def fail_to_hold(self, name: str) -> None:
        visit = self._enter(name, HOLD, keep=False)
        if visit is not None:
            service.end_failed_hold(visit)

    def _enter(self, name: str, hold: int, keep: bool = True) -> service.Visit | None:
        token = self._token(name)
        if token is None:
            return None
        lasting = (hold + service.GRACE_SECONDS) * 1000 if hold else 0
        expected = self.line.enter(name, token.sequence)
        before = self.line.known.admitted[name].deadline if expected == "admitted" else None
        expected = self.line.enter(name, token.sequence, lasting)
        try:
            visit = service.enter(token, ROOM, hold_seconds=hold)
        except DomainError as error:
            assert expected != "admitted"
            assert error.code == CODES[expected]
            return None
        assert expected == "admitted"
        assert visit.ends_ms == self.line.known.admitted[name].deadline
        if not keep and before is not None:
            self.line.known.admitted[name].deadline = before
        return visit

    @rule(name=names, others=st.sampled_from([None, 30, 80]))
    def release(self, name: str, others: int | None) -> None:
        until = None
        if others is not None:
            # Another hold that lasts so long was seen by the room when it was made.
            if self._enter(name, HOLD) is None:
                return
            until = datetime.fromtimestamp(self.clock.now_us // 1_000_000 + others, UTC)
        elif name not in self.line.inside():
            return
        grace = timedelta(seconds=service.GRACE_SECONDS)
        self.line.end_hold(name, int((until + grace).timestamp()) * 1000 if until else 0)
        service.end_hold(ROOM, self.users[name], until, 0)

    @rule(name=names, age=st.sampled_from([0, 0, 0, 1]))
    def leave(self, name: str, age: int = 0) -> None:
        token = self._token(name, age)
        if token is None:
            return
        before = self.line.leave(name, token.sequence)
        try:
            service.leave(token)
        except DomainError as error:
            assert before in ("completed", "superseded")
            assert error.code == CODES[before]
        else:
            assert before not in ("completed", "superseded")

    @precondition(lambda self: self.line.inside())
    @rule(data=st.data(), told=st.booleans())
    def pay(self, data: Any, told: bool) -> None:
        """Somebody inside pays; Redis is told at once, or is away just then."""
        name = data.draw(st.sampled_from(sorted(self.line.inside())))
        paying = [token for token in self.tokens[name] if self._opens(name, token)]
        if not paying:
            return
        token = data.draw(st.sampled_from(paying))
        with connection() as link:
            link.execute(
                "INSERT INTO completed_places (room_slug, user_id, sequence) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (ROOM, token.user_id, token.sequence),
            )
        if (name, token.sequence) not in self.line.written.paid:
            self.line.pay(name, token.sequence, told)
            if told:
                service.complete(token)

    def _opens(self, name: str, token: QueueToken) -> bool:
        return self.line.standing(name, token.sequence) == "admitted"

    @rule(bookable=st.integers(0, 4))
    def count_seats(self, bookable: int) -> None:
        count = Count(True, True, bookable, 0, 0, bookable, (), self._told())
        hand_in(ROOM, count)
        self.line.count_seats(bookable)

    @rule(name=names, seats=st.integers(1, 4))
    def take_seats(self, name: str, seats: int) -> None:
        until = self.line.now + HOLD * 1000
        tell_moved(ROOM, "taken", seats, [Taker(self.users[name], until)])
        self.line.take_seats(name, seats, until)

    def _told(self) -> tuple[int, ...]:
        told = redis().hmget(room_keys(ROOM).state, *(f"{kind}_told" for kind in FACTS))
        return tuple(int(one or 0) for one in told)

    @rule()
    def admit(self) -> None:
        self.line.recovery_ms = self._recovery_ms()
        line_before = self.line.in_order()
        front = self.line.admit()
        assert front == line_before[: len(front)]
        self._compare(service.admit(ROOM), front)

    @rule()
    def tick(self) -> None:
        """A tick, which also tells PostgreSQL and Redis what the other one knows."""
        self.line.recovery_ms = self._recovery_ms()
        front = self.line.tick()
        ended.settle_paid()
        admission = service.tend(rooms.room_of(ROOM))
        assert admission.admitted == len(front)

    def _compare(self, admission: service.Admission, front: list[str]) -> None:
        assert admission.admitted == len(front)
        assert admission.waiting == len(self.line.known.waiting)
        assert admission.inside == len(self.line.known.admitted)

    def _recovery_ms(self) -> int:
        """How long the pause is that Redis would begin now."""
        return int(redis().hget(room_keys(ROOM).settings, "recovery_ms") or 0)

    @rule(seconds=st.sampled_from([0.001, 1, 29.5, 90, ENTRY, VISIT, 1000]))
    def time_passes(self, seconds: float) -> None:
        self.clock.move(seconds)
        self._keep_time()

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        rooms.change_room(ROOM, {"paused": paused})
        self.line.paused = paused

    @rule(capacity=st.integers(1, 5))
    def change_capacity(self, capacity: int) -> None:
        rooms.change_room(ROOM, {"capacity": capacity})
        self.line.capacity = capacity

    @rule(minutes=st.sampled_from([None, 1, 5]))
    def change_opening(self, minutes: int | None) -> None:
        opens = None
        if minutes is not None:
            opens = datetime.fromtimestamp(self.clock.now_us / 1_000_000, UTC)
            opens += timedelta(minutes=minutes)
        rooms.change_room(ROOM, {"opens_at": opens})
        self.line.opens_at = int(opens.timestamp() * 1000) if opens else 0

    @rule()
    def lose_redis(self) -> None:
        redis().flushall()
        self.clock.move(1)  # It takes a moment to come back.
        self._keep_time()
        self.line.recovery_ms = rooms.room_of(ROOM).recovery_seconds * 1000
        mirror_room(rooms.room_of(ROOM))
        self.line.lose_everything()
        self.as_it_was = None

    @rule()
    def write_redis_down(self) -> None:
        """What is on the disk, or on a replica, from here on."""
        kept = {key: redis().dump(key) for key in room_keys(ROOM)}
        found = {key.encode(): value for key, value in kept.items() if value is not None}
        self.as_it_was = found, deepcopy(self.line.known)

    @precondition(lambda self: self.as_it_was)
    @rule()
    def lose_the_last_moments(self) -> None:
        """Another run of the server, with what was written down."""
        assert self.as_it_was is not None
        written, known = self.as_it_was
        settings = redis().dump(room_keys(ROOM).settings)
        redis().flushall()
        for key, value in written.items():
            redis().restore(key, 0, value)
        # The model has no older settings.
        redis().restore(room_keys(ROOM).settings, 0, settings, replace=True)
        redis().hset(room_keys(ROOM).state, "run_id", "another run")
        self.clock.move(1)
        self._keep_time()
        self.line.lose_what_is_newer_than(known)
        self.as_it_was = None

    @invariant()
    def redis_and_the_model_agree(self) -> None:
        waiting, admitted = room_keys(ROOM).waiting, room_keys(ROOM).admitted
        known = {user_id.bytes: name for name, user_id in self.users.items()}
        in_line = redis().zrange(waiting, 0, -1, withscores=True)
        assert [(known[user], int(score)) for user, score in in_line] == [
            (name, self.line.known.waiting[name]) for name in self.line.in_order()
        ]
        inside = redis().zrangebyscore(admitted, f"({self.line.now}", "+inf", withscores=True)
        assert {known[user]: int(score) for user, score in inside} == self.line.inside()


def run_machine(sale: Sale, clock: Clock, **options: Any) -> None:
    run_state_machine_as_test(
        lambda: RoomMachine(sale, clock),
        settings=settings(
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            **options,
        ),
    )


def test_the_scripts_agree_with_a_plain_model_of_the_line(sale: Sale, clock: Clock) -> None:
    run_machine(sale, clock, max_examples=60)


# Short stories in which a script with a broken rule does what the model does not.
TWO_WAIT = [("join", "A"), ("join", "B"), ("join", "C"), ("join", "D")]
ONE_WAITS_AND_A_SLOT_IS_FREE = [*TWO_WAIT[:3], ("change_capacity", 3), ("join", "D")]
# Somebody has two tokens for one place.
TWICE = [
    ("pause", True),
    ("join", "A"),
    ("lose_redis",),
    ("join", "A"),
    ("ask_with_an_older_token", "A", 1),
]
LOST = [*TWO_WAIT, ("lose_redis",), ("ask", "D"), ("ask", "C")]


@pytest.mark.parametrize(
    ("script", "right", "wrong", "story"),
    [
        (scripts.ADMIT, "'ZPOPMIN'", "'ZPOPMAX'", [*TWO_WAIT, ("change_capacity", 3), ("admit",)]),
        (scripts.JOIN, "redis.call('ZCARD', WAITING) == 0", "true", ONE_WAITS_AND_A_SLOT_IS_FREE),
        (scripts.LEAVE, "end_place(user, 'left', own)", "end_place(user, 'expired', own)",
         [("join", "A"), ("leave", "A"), ("ask", "A")]),
        (scripts.RESTORE, "redis.call('ZADD', WAITING, own, user)",
         "redis.call('ZADD', WAITING, whole(now_us), user)", LOST),
        (scripts.ADMIT, "if not same then", "if false then",
         [*TWO_WAIT, ("write_redis_down",), ("lose_the_last_moments",), ("change_capacity", 3), ("admit",)]),
        (scripts.ADMIT, "math.floor(tokens), seats_for_more(undecided)", "math.floor(tokens)",
         [*TWO_WAIT, ("count_seats", 2), ("change_capacity", 5), ("admit",)]),
        (scripts.JOIN, "- tonumber(count[3] or '0') + tonumber(count[4]) - undecided", "- undecided",
         [("count_seats", 4), ("join", "A"), ("take_seats", "A", 4), ("join", "B")]),
        (scripts.JOIN, "slots > 0 and same_server()", "slots > 0",
         [("join", "A"), ("write_redis_down",), ("lose_the_last_moments",), ("join", "B")]),
        (scripts.STATUS, "number > tonumber(redis.call('HGET', STATE, 'begins') or '0')", "true",
         [("join", "A"), ("lose_redis",), ("join", "A"), ("ask_with_an_older_token", "A", 1)]),
        (scripts.RESTORE, "add_alias(current)", "", [*TWICE, ("leave", "A", 1), ("ask", "A")]),
        (scripts.RESTORE, "local was_inside, held_until = ARGV[3] == '1'", "local was_inside, held_until = false",
         [("join", "A"), ("tick",), ("lose_redis",), ("ask", "A")]),
        (scripts.RESTORE, "other <= loss_after", "false",
         [("join", "A"), ("time_passes", 1000), ("join", "A"), ("lose_redis",), ("ask", "A"),
          ("ask_with_an_older_token", "A", 1)]),
        (scripts.LEAVE, "greatest = greatest_of(sequence, aliases)", "",
         [*TWICE, ("leave", "A"), ("lose_redis",), ("ask", "A")]),
        (scripts.READMIT, "let_in(room, front[index], whole(tonumber(front[index + 1])))", "",
         [*TWO_WAIT, ("write_redis_down",), ("leave", "A"), ("tick",), ("lose_the_last_moments",), ("tick",)]),
        (scripts.SETTLE, "if tonumber(current) > number then", "if true then",
         [*TWO_WAIT, ("write_redis_down",), ("leave", "C"), ("lose_the_last_moments",), ("tick",)]),
    ],
    ids=["admit", "join", "leave", "restore", "admit-restart", "admit-seats", "join-seats", "join-restart", "status-begins", "restore-alias",
         "restore-inside", "restore-newest", "leave-alias", "readmit", "settle"],
)  # fmt: skip
def test_control_the_model_notices_a_script_that_breaks_a_rule(
    sale: Sale,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    right: str,
    wrong: str,
    story: list[tuple[str, ...]],
) -> None:
    tell(RoomMachine(sale, clock), story)

    broken = altered(script, (right, wrong))
    monkeypatch.setattr(script, "text", broken.text)
    monkeypatch.setattr(script, "digest", broken.digest)
    empty_everything(sale.app)
    with pytest.raises(AssertionError):
        tell(RoomMachine(sale, clock), story)


def tell(machine: RoomMachine, story: list[tuple[str, ...]]) -> None:
    for name, *arguments in story:
        getattr(machine, name)(*arguments)
        machine.redis_and_the_model_agree()
