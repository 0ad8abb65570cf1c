"""What Redis loses, and what is known all the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from structlog import BoundLogger
from structlog.testing import capture_logs

from concert.ground.database import connection
from concert.ground.redis_client import redis
from concert.jobs import ticks
from concert.waiting_room import ended, rooms, service
from concert.waiting_room.keys import room_keys
from concert.waiting_room.tokens import queue_token_of
from tests.sale import Fan, Sale
from tests.waiting_room.conftest import Clock

FULL = {"capacity": 1, "admit_per_minute": 1_000_000}


@pytest.fixture
def full(sale: Sale) -> Sale:
    """A room for one."""
    sale.room(**FULL)
    return sale


def line_up(sale: Sale, count: int) -> list[Fan]:
    fans = [sale.fan() for _ in range(count)]
    for fan in fans:
        assert fan.join().status_code == 200
    return fans


def statuses(fans: list[Fan]) -> list[str]:
    return [fan.place().json["status"] for fan in fans]


def positions(fans: list[Fan]) -> list[int | None]:
    return [fan.place().json["position"] for fan in fans]


def number_of(fan: Fan) -> int:
    return queue_token_of(fan.queue_token).sequence


def older(fan: Fan, token: str) -> Fan:
    """The same user with an older token."""
    return Fan(fan.sale, fan.user_id, fan.user_token, token)


def leave(fan: Fan) -> None:
    assert fan.call("DELETE", "/v1/enqueues").status_code == 204


def let_the_pause_pass(sale: Sale) -> None:
    sale.let_time_pass(rooms.room_of("main").recovery_seconds + 1)


@contextmanager
def losing_what_happens_now() -> Iterator[None]:
    """Redis goes on with what it had before the block, as another run of the server."""
    kept = {key: redis().dump(key) for key in room_keys("main")}
    yield
    redis().flushall()
    for key, value in kept.items():
        if value is not None:
            redis().restore(key, 0, value)
    redis().hset(room_keys("main").state, "run_id", "another run")


# Ended places stay ended.


def test_after_a_loss_exactly_those_are_in_line_who_were_and_in_their_order(sale: Sale) -> None:
    chance = random.Random(500)
    sale.room(capacity=5, admit_per_minute=1_000_000, entry_seconds=60)
    concert = sale.concert(price=0)
    inside = [sale.admitted_fan(concert) for _ in range(5)]
    paying, missing = inside[:3], inside[3:]
    line = line_up(sale, 500)
    for seat, fan in enumerate(paying, 1):
        assert fan.hold(concert, seat).status_code == 200
    sale.room(paused=True)
    sale.let_time_pass(61)
    assert statuses(missing) == ["expired", "expired"]
    for seat, fan in enumerate(paying, 1):
        assert fan.pay(concert, seat).status_code == 200
    leaving = chance.sample(line, 40)
    spent = [older(fan, fan.queue_token) for fan in leaving]
    for fan in leaving:
        leave(fan)
        line.remove(fan)
    for fan in leaving[:20]:
        fan.join()
        line.append(fan)
    ticks.admit_everywhere()

    redis().flushall()

    asking = [*line, *spent, *paying, *missing]
    chance.shuffle(asking)
    answers = {id(fan): fan.place() for fan in asking}
    assert all(answers[id(fan)].json["status"] == "waiting" for fan in line)
    assert {answers[id(fan)].status_code for fan in paying} == {401}
    # A token that was left says so, or that there is a newer one by now.
    assert {answers[id(fan)].json.get("status") for fan in spent} <= {"left", 401}
    assert {fan.place().status_code for fan in spent[:20]} == {401}
    assert statuses(missing) == ["expired", "expired"]
    assert positions(line) == list(range(1, 481))
    assert redis().zcard(room_keys("main").waiting) == 480
    assert redis().zcard(room_keys("main").admitted) == 0

    sale.room(capacity=7, paused=False)
    let_the_pause_pass(sale)
    for start in range(0, 480, 7):
        ticks.admit_everywhere()
        let_in = redis().hgetall(room_keys("main").sequences)
        assert {fan.user_id.bytes for fan in line[start : start + 7]} == set(let_in)
        sale.let_time_pass(61)
    ticks.admit_everywhere()
    assert redis().zcard(room_keys("main").admitted) == 0


@pytest.mark.parametrize("ending", ["left", "expired", "completed"])
def test_a_place_that_is_over_stays_over_and_its_second_question_needs_no_database(
    full: Sale, ending: str
) -> None:
    concert, fan = full.concert(price=0), full.admitted_fan()
    if ending == "left":
        leave(fan)
    elif ending == "expired":
        full.let_time_pass(121)
    else:
        fan.hold(concert, 1)
        fan.pay(concert, 1)
    ticks.admit_everywhere()
    redis().flushall()
    first = fan.place()
    with connection() as link:
        link.execute("DELETE FROM ended_places; DELETE FROM completed_places")
    again = fan.place()
    assert (again.status_code, again.json.get("status")) == (
        first.status_code,
        first.json.get("status"),
    )
    assert fan.seats(concert).status_code in (401, 403)
    assert redis().zcard(room_keys("main").waiting) == 0


def test_whoever_leaves_is_written_down_at_once(full: Sale) -> None:
    _, fan = line_up(full, 2)
    leave(fan)
    redis().flushall()
    assert fan.place().json.get("status") != "waiting"
    assert redis().zcard(room_keys("main").waiting) == 0


def test_leaving_a_place_that_redis_has_lost_ends_it_for_good(full: Sale) -> None:
    _, fan = line_up(full, 2)
    redis().flushall()
    leave(fan)
    assert fan.place().json["status"] == "left"
    redis().flushall()
    assert fan.place().json["status"] == "left"


def test_a_place_that_was_not_saved_yet_is_known_until_it_is(full: Sale) -> None:
    fan, behind = line_up(full, 2)
    full.let_time_pass(121)
    full.admit()
    assert redis().hlen(room_keys("main").unsaved) == 1
    assert ended.save_unsaved("main") == 1
    assert redis().hlen(room_keys("main").unsaved) == 0
    assert ended.save_unsaved("main") == 0
    assert statuses([fan, behind]) == ["expired", "admitted"]


def test_many_places_that_ended_at_once_are_all_saved(sale: Sale) -> None:
    sale.room(capacity=2000, admit_per_minute=1_000_000)
    users = [sale.fan() for _ in range(3)]
    for fan in users:
        fan.join()
    key = room_keys("main").unsaved
    many = {bytes([one // 256, one % 256] * 8): f"expired:{one + 1}:1000" for one in range(1300)}
    redis().hset(key, mapping=many)  # type: ignore[arg-type]  # bytes are keys, too
    ticks.admit_everywhere()
    assert redis().hlen(key) == 0
    with connection() as link:
        row = link.execute("SELECT count(*) FROM ended_places").fetchone()
    assert row is not None and row[0] == 1300


def test_what_postgresql_remembers_of_ended_places_is_forgotten_with_their_tokens(
    sale: Sale,
) -> None:
    concert, paid, left = sale.concert(price=0), sale.admitted_fan(), sale.admitted_fan()
    paid.hold(concert, 1)
    paid.pay(concert, 1)
    leave(left)

    def remembered() -> int:
        with connection() as link:
            row = link.execute(
                "SELECT (SELECT count(*) FROM ended_places) + (SELECT count(*) FROM completed_places)"
            ).fetchone()
        assert row is not None
        return int(row[0])

    service.forget_ended("main", 3600)
    assert remembered() == 2
    sale.let_time_pass(3601)
    service.forget_ended("main", 3600)
    assert remembered() == 0


# The newest place wins, and whoever lines up again after a loss keeps the earlier one.


def test_whoever_lines_up_again_after_a_loss_gets_the_earlier_place_back_and_both_tokens_are_good(
    full: Sale,
) -> None:
    _, first, fan, last = line_up(full, 4)
    earlier = older(fan, fan.queue_token)
    redis().flushall()
    assert fan.join().json["status"] == "waiting"
    assert number_of(fan) > number_of(last)
    assert statuses([last, first]) == ["waiting", "waiting"]
    assert earlier.place().json["status"] == "waiting"
    assert positions([first, earlier, fan, last]) == [1, 2, 2, 3]
    assert queue_token_of(fan.join().json["queue_token"]).sequence == number_of(earlier)


@pytest.mark.parametrize("with_the_later_token", [True, False])
def test_a_place_with_two_tokens_ends_for_both_also_after_another_loss(
    full: Sale, with_the_later_token: bool
) -> None:
    concert = full.concert(price=0)
    _, fan = line_up(full, 2)
    earlier = older(fan, fan.queue_token)
    redis().flushall()
    fan.join()
    assert earlier.place().json["status"] == "waiting"
    leave(fan if with_the_later_token else earlier)
    assert statuses([fan, earlier]) == ["left", "left"]
    redis().flushall()
    for one in (earlier, fan):
        assert one.place().json.get("status") != "waiting"
        assert one.seats(concert).status_code == 401


@pytest.mark.parametrize("with_the_later_token", [True, False])
def test_a_payment_ends_a_place_with_two_tokens_for_both(
    full: Sale, with_the_later_token: bool
) -> None:
    concert = full.concert(price=0)
    _, fan = line_up(full, 2)
    earlier = older(fan, fan.queue_token)
    redis().flushall()
    fan.join()
    earlier.place()
    let_the_pause_pass(full)
    ticks.admit_everywhere()
    paying = fan if with_the_later_token else earlier
    assert paying.hold(concert, 1).status_code == 200
    assert paying.pay(concert, 1).status_code == 200
    ticks.admit_everywhere()
    assert {one.seats(concert).status_code for one in (fan, earlier)} == {401}
    redis().flushall()
    assert {one.seats(concert).status_code for one in (fan, earlier)} == {401}


def test_lining_up_with_an_earlier_token_brings_its_place_back(full: Sale) -> None:
    _, fan, last = line_up(full, 3)
    redis().flushall()
    assert statuses([last]) == ["waiting"]
    place = service.join("main", fan.user_id, queue_token_of(fan.queue_token))
    assert (place.position, place.token.sequence) == (1, number_of(fan))


def test_lining_up_with_a_token_that_is_over_means_the_end_of_the_line(full: Sale) -> None:
    _, fan, last = line_up(full, 3)
    leave(fan)
    redis().flushall()
    assert statuses([last]) == ["waiting"]
    place = service.join("main", fan.user_id, queue_token_of(fan.queue_token))
    assert (place.position, place.token.sequence > number_of(last)) == (2, True)


def test_of_two_tokens_from_before_a_loss_the_newer_is_the_place(full: Sale) -> None:
    _, fan = line_up(full, 2)
    earlier = older(fan, fan.queue_token)
    leave(fan)
    fan.join()
    redis().flushall()
    with connection() as link:
        link.execute("DELETE FROM ended_places")  # It could not be written down.
    assert earlier.place().json["status"] == "waiting"
    assert fan.place().json["status"] == "waiting"
    assert earlier.place().json["status"] != "waiting"
    assert redis().zscore(room_keys("main").waiting, fan.user_id.bytes) == number_of(fan)


def test_numbers_go_on_above_those_from_before_though_the_clock_is_behind(
    full: Sale, clock: Clock
) -> None:
    fans = line_up(full, 2)
    ticks.admit_everywhere()
    redis().flushall()
    clock.move(-3600)
    (late,) = line_up(full, 1)
    assert number_of(late) > max(number_of(fan) for fan in fans)


# Admitted people stay admitted.


def test_whoever_was_let_in_stays_inside_after_a_loss_and_the_others_wait(full: Sale) -> None:
    concert, (inside, waiting) = full.concert(), line_up(full, 2)
    ticks.admit_everywhere()
    redis().flushall()
    assert inside.seats(concert).status_code == 200
    assert waiting.seats(concert).json["code"] == "not_admitted"
    assert statuses([inside, waiting]) == ["admitted", "waiting"]


def test_whoever_holds_a_seat_stays_inside_after_a_loss_as_long_as_the_hold_lasts(
    full: Sale,
) -> None:
    full.room(visit_seconds=60)
    concert = full.concert()
    fan = full.admitted_fan(concert, balance=50_000)
    assert fan.hold(concert, 7).status_code == 200
    redis().flushall()
    assert fan.seats(concert).status_code == 200
    full.let_time_pass(290)
    assert fan.seats(concert).status_code == 200
    assert fan.pay(concert, 7).status_code == 200
    full.let_time_pass(20)
    assert fan.seats(concert).status_code == 401


def test_a_turn_that_must_be_over_by_now_is_not_given_again_after_a_loss(
    sale: Sale, clock: Clock
) -> None:
    sale.room(**FULL, entry_seconds=60, visit_seconds=100)
    inside, waiting = line_up(sale, 2)
    ticks.admit_everywhere()
    redis().flushall()
    clock.move(1)
    assert statuses([waiting]) == ["waiting"]
    clock.move(101)
    assert statuses([inside, waiting]) == ["expired", "waiting"]


# A loss of the last moments only.


def test_a_restart_that_lost_the_last_moments_lets_nobody_in_until_those_could_come_back(
    full: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests' own log level would leave warnings out.
    monkeypatch.setattr(service, "log", structlog.wrap_logger(None, wrapper_class=BoundLogger))
    inside, ahead = line_up(full, 2)
    with losing_what_happens_now():
        (lost,) = line_up(full, 1)
    (behind,) = line_up(full, 1)
    leave(inside)
    with capture_logs() as logs:
        for _ in range(2):
            ticks.admit_everywhere()
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["redis_restarted"]
    assert statuses([ahead, behind]) == ["waiting", "waiting"]
    full.room(capacity=2)
    assert full.admit() == 0
    assert positions([ahead, lost, behind]) == [1, 2, 3]
    let_the_pause_pass(full)
    ticks.admit_everywhere()
    assert statuses([ahead, lost, behind]) == ["admitted", "admitted", "waiting"]


def test_after_a_restart_joining_lets_nobody_in_at_once(sale: Sale) -> None:
    line_up(sale, 1)
    with losing_what_happens_now():
        pass
    assert statuses(line_up(sale, 1)) == ["waiting"]


def test_what_ended_in_the_last_moments_before_a_restart_stays_ended(full: Sale) -> None:
    concert = full.concert(price=0)
    inside, leaving, staying = line_up(full, 3)
    inside.hold(concert, 1)
    with losing_what_happens_now():
        inside.pay(concert, 1)
        ended.settle_paid()  # Now Redis has been told; and it forgets.
        leave(leaving)
    ticks.admit_everywhere()
    assert statuses([leaving, staying]) == ["left", "waiting"]
    assert inside.seats(concert).status_code == 401
    assert redis().zcard(room_keys("main").admitted) == 0


def test_whoever_was_let_in_in_the_last_moments_before_a_restart_stays_inside(full: Sale) -> None:
    concert, (inside, next_one, last) = full.concert(), line_up(full, 3)
    with losing_what_happens_now():
        leave(inside)
        ticks.admit_everywhere()
        assert statuses([next_one, last]) == ["admitted", "waiting"]
    ticks.admit_everywhere()
    assert next_one.seats(concert).status_code == 200
    assert statuses([next_one, last]) == ["admitted", "waiting"]


# The pause, and what people are told of it.


def test_the_pause_is_as_long_as_anybody_in_line_may_have_been_told_to_wait(full: Sale) -> None:
    short = rooms.room_of("main").recovery_seconds
    line_up(full, 2)
    ticks.admit_everywhere()
    assert rooms.room_of("main").recovery_seconds == short
    many = {b"%016d" % one: 1_000_000_000_000_000 + one for one in range(5000)}
    redis().zadd(room_keys("main").waiting, many)
    ticks.admit_everywhere()
    long = rooms.room_of("main").recovery_seconds
    assert long > service.poll_after(5001, 0, 1) > short
    # It stays so for as long as those who were told so may take to come back.
    redis().zrem(room_keys("main").waiting, *many)
    ticks.admit_everywhere()
    full.let_time_pass(service.poll_after(5001, 0, 1) - 1)
    ticks.admit_everywhere()
    assert rooms.room_of("main").recovery_seconds == long
    full.let_time_pass(3)
    ticks.admit_everywhere()
    assert rooms.room_of("main").recovery_seconds == short


def test_the_pause_is_as_long_as_anybody_may_have_been_told_to_wait_however_long_the_line_is(
    full: Sale,
) -> None:
    line_up(full, 1)
    many = {b"%016d" % one: 1_000_000_000_000_000 + one for one in range(60_000)}
    redis().zadd(room_keys("main").waiting, many)
    ticks.admit_everywhere()
    longest = service.poll_after(60_000, 0, 1, wait=100_000)
    assert rooms.room_of("main").recovery_seconds > longest > 60


def test_the_pause_is_as_long_as_those_who_stand_by_were_told_to_wait(sale: Sale) -> None:
    concert = sale.concert(capacity=1, price=0)
    fan = sale.admitted_fan(concert)
    fan.hold(concert, 1)
    fan.pay(concert, 1)
    for _ in range(3):
        sale.fan().join(concert)
    ticks.admit_everywhere()
    longest = service.poll_after(3, 0, 1, standing_by=True)
    assert rooms.room_of("main").recovery_seconds > longest > 10


def test_the_pause_lasts_longer_than_the_longest_time_to_ask_again(full: Sale) -> None:
    opens = datetime.now(UTC) + timedelta(hours=1)
    full.room(opens_at=opens.isoformat())
    line_up(full, 1)
    ticks.admit_everywhere()
    assert service.poll_after(10**7, 10**7, 1) < rooms.room_of("main").recovery_seconds


def test_the_place_says_when_people_are_let_in_again_after_a_loss(full: Sale) -> None:
    _, fan = line_up(full, 2)
    assert fan.place().json["resumes_at"] is None
    redis().flushall()
    place = fan.place().json
    ahead = datetime.fromisoformat(place["resumes_at"]) - datetime.now(UTC)
    assert 0 < ahead.total_seconds() <= rooms.room_of("main").recovery_seconds + 1
    let_the_pause_pass(full)
    assert fan.place().json["resumes_at"] is None


# The clock steps back.


def test_a_clock_that_steps_back_stops_neither_admission_nor_the_pace(
    sale: Sale, clock: Clock
) -> None:
    sale.room(capacity=1000, admit_per_minute=60, paused=True)
    line = line_up(sale, 40)
    sale.room(paused=False)
    for _ in range(4):
        clock.move(1)
        sale.admit()
    before = statuses(line).count("admitted")
    clock.move(-3600)
    for _ in range(4):
        clock.move(1)
        sale.admit()
    assert statuses(line).count("admitted") >= before + 3
    estimated = line[-1].place().json["estimated_wait_seconds"]
    assert estimated is not None and 5 < estimated < 600


def test_a_clock_that_steps_back_does_not_make_the_pause_longer_than_it_is(
    full: Sale, clock: Clock
) -> None:
    fans = line_up(full, 1)
    redis().flushall()
    clock.move(1)
    assert statuses(fans) == ["waiting"]
    clock.move(-3600)
    full.admit()
    clock.move(rooms.room_of("main").recovery_seconds + 1)
    assert full.admit() == 1
