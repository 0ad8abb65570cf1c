"""The scripts against a plain model of the line, in any order of events."""

from __future__ import annotations

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
from concert.waiting_room import rooms, scripts, service
from concert.waiting_room.keys import room_keys
from concert.waiting_room.tokens import QueueToken
from tests.sale import Sale, empty_everything
from tests.waiting_room.conftest import Clock, altered
from tests.waiting_room.line import Line

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
        self.tokens: dict[str, QueueToken] = {}
        self.older: dict[str, QueueToken] = {}
        self.sequences: list[int] = []

    def _keep_time(self) -> None:
        self.line.now, self.line.now_us = self.clock.now_ms, self.clock.now_us

    @rule(name=names)
    def join(self, name: str) -> None:
        status, sequence = self.line.join(name)
        place = service.join(ROOM, self.users[name])
        assert (place.status, place.token.sequence) == (status, sequence)
        if status == "waiting":
            assert place.position == self.line.in_order().index(name) + 1
        if name not in self.tokens or self.tokens[name].sequence != sequence:
            # A new place: its number is larger than every number before, whatever was lost.
            assert not self.sequences or sequence > max(self.sequences)
            self.sequences.append(sequence)
            if name in self.tokens:
                self.older[name] = self.tokens[name]
        self.tokens[name] = place.token

    @rule(name=names)
    def ask(self, name: str) -> None:
        self._ask(self.tokens.get(name), name)

    @rule(name=names)
    def ask_with_an_older_token(self, name: str) -> None:
        # After a loss nobody can tell the older from the newer token before the newer is shown.
        if name in self.older and self.line.standing(name, self.tokens[name].sequence) != "unknown":
            self._ask(self.older[name], name)

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
        assert place.waiting == len(self.line.waiting)
        if expected == "waiting":
            assert place.position == self.line.in_order().index(name) + 1
        if expected == "admitted":
            assert place.admitted_until is not None
            assert place.admitted_until.timestamp() * 1000 == self.line.admitted[name].deadline

    @rule(name=names, holding=st.booleans())
    def enter(self, name: str, holding: bool) -> None:
        self._enter(name, HOLD if holding else 0)

    @rule(name=names)
    def fail_to_hold(self, name: str) -> None:
        visit = self._enter(name, HOLD, keep=False)
        if visit is not None:
            service.end_failed_hold(visit)

    def _enter(self, name: str, hold: int, keep: bool = True) -> service.Visit | None:
        token = self.tokens.get(name)
        if token is None:
            return None
        lasting = (hold + service.GRACE_SECONDS) * 1000 if hold else 0
        expected = self.line.enter(name, token.sequence)
        before = self.line.admitted[name].deadline if expected == "admitted" else None
        expected = self.line.enter(name, token.sequence, lasting)
        try:
            visit = service.enter(token, ROOM, hold_seconds=hold)
        except DomainError as error:
            assert expected != "admitted"
            assert error.code == CODES[expected]
            return None
        assert expected == "admitted"
        assert visit.ends_ms == self.line.admitted[name].deadline
        if not keep and before is not None:
            self.line.admitted[name].deadline = before
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
        service.end_hold(ROOM, self.users[name], until)

    @rule(name=names)
    def leave(self, name: str) -> None:
        token = self.tokens.get(name)
        if token is None:
            return
        before = self.line.end(name, token.sequence, "left")
        try:
            service.leave(token)
        except DomainError as error:
            assert before in ("completed", "superseded")
            assert error.code == CODES[before]
        else:
            assert before not in ("completed", "superseded")

    @precondition(lambda self: self.line.inside())
    @rule(data=st.data())
    def pay(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.line.inside())))
        token = self.tokens[name]
        with connection() as link:
            link.execute(
                "INSERT INTO completed_places (room_slug, user_id, sequence) VALUES (%s, %s, %s)",
                (ROOM, token.user_id, token.sequence),
            )
        self.line.paid.add((name, token.sequence))
        self.line.end(name, token.sequence, "completed")
        service.complete(token)

    @rule()
    def admit(self) -> None:
        line_before = self.line.in_order()
        front = self.line.admit()
        assert front == line_before[: len(front)]
        admission = service.admit(ROOM)
        assert admission.admitted == len(front)
        assert admission.waiting == len(self.line.waiting)
        assert admission.inside == len(self.line.admitted)

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
        rooms.mirror_room(rooms.room_of(ROOM))
        self.line.lose_everything()
        self.older.clear()

    @invariant()
    def redis_and_the_model_agree(self) -> None:
        waiting, admitted = room_keys(ROOM).waiting, room_keys(ROOM).admitted
        known = {user_id.bytes: name for name, user_id in self.users.items()}
        in_line = redis().zrange(waiting, 0, -1, withscores=True)
        assert [(known[user], int(score)) for user, score in in_line] == [
            (name, self.line.waiting[name]) for name in self.line.in_order()
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
    run_machine(sale, clock, max_examples=30)


# Short stories in which a script with a broken rule does what the model does not.
TWO_WAIT = [("join", "A"), ("join", "B"), ("join", "C"), ("join", "D")]
ONE_WAITS_AND_A_SLOT_IS_FREE = [*TWO_WAIT[:3], ("change_capacity", 3), ("join", "D")]
LOST = [*TWO_WAIT, ("lose_redis",), ("ask", "D"), ("ask", "C")]


@pytest.mark.parametrize(
    ("script", "right", "wrong", "story"),
    [
        (scripts.ADMIT, "'ZPOPMIN'", "'ZPOPMAX'", [*TWO_WAIT, ("change_capacity", 3), ("admit",)]),
        (scripts.JOIN, "redis.call('ZCARD', WAITING) == 0", "true", ONE_WAITS_AND_A_SLOT_IS_FREE),
        (scripts.LEAVE, "end_place(user, 'left', sequence)", "end_place(user, 'expired', sequence)",
         [("join", "A"), ("leave", "A"), ("ask", "A")]),
        (scripts.RESTORE, "redis.call('ZADD', WAITING, sequence, user)",
         "redis.call('ZADD', WAITING, whole(now_us), user)", LOST),
    ],
    ids=["admit", "join", "leave", "restore"],
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
