"""The rules of the waiting room, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from concert.factory import ConcertApp, create_app
from concert.ground.database import Database, connection
from concert.ground.errors import BadRequest
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.waiting_room import ended, rooms, service
from concert.waiting_room.keys import room_keys
from concert.waiting_room.tokens import queue_token_of
from tests.sale import Fan, Sale

HOLD_SECONDS = 300
FULL = {"capacity": 1, "admit_per_minute": 1_000_000}


def line_up(sale: Sale, count: int) -> list[Fan]:
    """Fans who have joined one after the other."""
    fans = [sale.fan() for _ in range(count)]
    for fan in fans:
        assert fan.join().status_code == 200
    return fans


def statuses(fans: list[Fan]) -> list[str]:
    return [fan.place().json["status"] for fan in fans]


def positions(fans: list[Fan]) -> list[int | None]:
    return [fan.place().json["position"] for fan in fans]


@pytest.fixture
def full(sale: Sale) -> Sale:
    """A room for one."""
    sale.room(**FULL)
    return sale


# Joining.


def test_joining_again_while_waiting_returns_the_same_place(full: Sale) -> None:
    _, fan, behind = line_up(full, 3)
    before = queue_token_of(fan.queue_token)
    again = fan.join()
    assert queue_token_of(again.json["queue_token"]) == before
    assert (again.json["position"], again.json["waiting"]) == (1, 2)
    assert behind.place().json["position"] == 2


def test_joining_again_while_admitted_returns_the_same_place(full: Sale) -> None:
    fan = full.admitted_fan()
    before, until = queue_token_of(fan.queue_token), fan.place().json["admitted_until"]
    again = fan.join()
    assert queue_token_of(again.json["queue_token"]) == before
    assert (again.json["status"], again.json["admitted_until"]) == ("admitted", until)


def test_sequence_numbers_keep_rising_after_redis_has_lost_its_data(sale: Sale) -> None:
    before = queue_token_of(line_up(sale, 2)[1].queue_token).sequence
    redis().flushall()
    after = queue_token_of(line_up(sale, 1)[0].queue_token).sequence
    assert after > before


def test_sequence_numbers_keep_rising_where_the_clock_of_redis_is_behind(sale: Sale) -> None:
    last = queue_token_of(line_up(sale, 1)[0].queue_token).sequence + 3_600_000_000
    redis().hset(room_keys("main").state, "sequence", last)
    numbers = [queue_token_of(fan.queue_token).sequence for fan in line_up(sale, 2)]
    assert numbers == [last + 1, last + 2]


def test_joining_an_open_room_with_a_free_slot_admits_at_once(sale: Sale) -> None:
    assert statuses(line_up(sale, 1)) == ["admitted"]


def test_joining_before_the_room_opens_waits_and_nobody_enters_until_then(sale: Sale) -> None:
    sale.room(opens_at=(datetime.now(UTC) + timedelta(minutes=10)).isoformat())
    fans = line_up(sale, 2)
    assert sale.admit() == 0
    assert statuses(fans) == ["waiting", "waiting"]
    sale.let_time_pass(601)
    assert sale.admit() == 2


def test_joining_a_paused_room_waits_until_it_goes_on(sale: Sale) -> None:
    sale.room(paused=True)
    fans = line_up(sale, 2)
    assert sale.admit() == 0
    assert fans[0].place().json["paused"] is True
    sale.room(paused=False)
    assert sale.admit() == 2


def test_joining_a_full_room_waits(full: Sale) -> None:
    assert statuses(line_up(full, 2)) == ["admitted", "waiting"]


def test_joining_when_the_rate_is_used_up_waits(sale: Sale) -> None:
    sale.room(admit_per_minute=1)
    assert statuses(line_up(sale, 2)) == ["admitted", "waiting"]
    sale.let_time_pass(61)
    assert sale.admit() == 1


def test_joining_where_somebody_waits_never_overtakes_them(full: Sale) -> None:
    first, second = line_up(full, 2)
    assert first.call("DELETE", "/v1/enqueues").status_code == 204
    (third,) = line_up(full, 1)
    assert statuses([second, third]) == ["waiting", "waiting"]
    assert full.admit() == 1
    assert statuses([second, third]) == ["admitted", "waiting"]


# Turns.


def test_whoever_does_not_show_up_within_entry_seconds_loses_the_turn_to_the_next(
    full: Sale,
) -> None:
    full.room(entry_seconds=100)
    fans = line_up(full, 3)
    full.let_time_pass(99)
    assert full.admit() == 0
    full.let_time_pass(2)
    assert full.admit() == 1
    assert statuses(fans) == ["expired", "admitted", "waiting"]


def test_whoever_shows_up_in_time_keeps_the_turn_for_the_visit(full: Sale) -> None:
    full.room(entry_seconds=100, visit_seconds=400)
    concert, fan = full.concert(), full.admitted_fan()
    full.let_time_pass(99)
    assert fan.seats(concert).status_code == 200
    full.let_time_pass(399)
    assert fan.seats(concert).status_code == 200
    full.let_time_pass(2)
    assert fan.seats(concert).json["code"] == "not_admitted"


def test_admitting_ends_the_turns_that_are_over_and_counts_them(full: Sale) -> None:
    full.room(capacity=3)
    line_up(full, 3)
    full.let_time_pass(121)
    admission = service.admit("main")
    assert (admission.ended, admission.inside) == (3, 0)
    assert rooms.room_state("main").expired == 3
    assert service.admit("main").ended == 0


def test_joining_ends_turns_that_are_over(full: Sale) -> None:
    line_up(full, 1)
    full.let_time_pass(121)
    assert statuses(line_up(full, 1)) == ["admitted"]
    assert rooms.room_state("main").expired == 1


def test_a_turn_that_is_over_takes_no_slot_though_nobody_has_looked(full: Sale) -> None:
    full.room(capacity=30)
    for _ in range(30):
        service.join("main", uuid4())
    full.let_time_pass(121)
    full.room(capacity=5)
    assert statuses(line_up(full, 6)) == ["admitted"] * 5 + ["waiting"]


def test_asking_for_the_place_does_not_count_as_showing_up(full: Sale) -> None:
    full.room(entry_seconds=100)
    fan = full.admitted_fan()
    full.let_time_pass(90)
    assert fan.place().json["status"] == "admitted"
    full.let_time_pass(11)
    assert fan.place().json["status"] == "expired"


def test_whoever_merely_waits_loses_nothing_however_long(full: Sale) -> None:
    fans = line_up(full, 3)
    full.let_time_pass(6 * 3600)
    assert positions(fans[1:]) == [1, 2]
    assert full.admit() == 1
    assert statuses(fans[1:]) == ["admitted", "waiting"]


def test_whoever_missed_the_turn_lines_up_at_the_end(full: Sale) -> None:
    full.room(entry_seconds=100)
    fans = line_up(full, 3)
    full.let_time_pass(101)
    full.admit()
    assert fans[0].join().json["position"] == 2
    assert positions(fans) == [2, None, 1]


# Position and estimate.


def test_the_position_is_the_number_of_people_really_ahead_and_falls_when_they_leave(
    full: Sale,
) -> None:
    fans = line_up(full, 5)[1:]
    assert positions(fans) == [1, 2, 3, 4]
    assert fans[1].call("DELETE", "/v1/enqueues").status_code == 204
    assert positions([fans[0], fans[2], fans[3]]) == [1, 2, 3]
    assert fans[3].place().json["waiting"] == 3


def test_the_estimated_wait_is_null_until_a_pace_is_measured(full: Sale) -> None:
    _, fan = line_up(full, 2)
    assert fan.place().json["estimated_wait_seconds"] is None
    full.admit()  # Nobody could come in.
    assert fan.place().json["estimated_wait_seconds"] is None


def let_in_one_every(sale: Sale, seconds: int, times: int) -> None:
    """The room grows by one place, and somebody comes in, again and again."""
    for _ in range(times):
        for _ in range(seconds):
            sale.let_time_pass(1)
            sale.admit()
        capacity = rooms.room_of("main").capacity
        rooms.change_room("main", {"capacity": capacity + 1})
        assert sale.admit() == 1


def test_the_estimated_wait_follows_the_measured_pace(sale: Sale) -> None:
    sale.room(**FULL, entry_seconds=10_000)
    last = line_up(sale, 50)[-1]
    let_in_one_every(sale, 1, 15)
    quick = last.place().json
    assert quick["position"] == 34
    assert quick["estimated_wait_seconds"] == pytest.approx(34, rel=0.3)
    let_in_one_every(sale, 20, 6)
    slow = last.place().json
    assert slow["position"] == 28
    assert slow["estimated_wait_seconds"] > 4 * quick["estimated_wait_seconds"]


def test_whoever_is_further_back_is_asked_to_look_less_often() -> None:
    far_apart = [service.poll_after(position, 0, 0.5) for position in (1, 100, 1000, 10_000, 10**6)]
    assert far_apart == sorted(set(far_apart))
    assert max(service.poll_after(10**6, 0, 1), service.poll_after(1, 10**6, 1)) <= 30
    assert service.poll_after(1, 0, 0) >= 0.5


def test_whoever_has_hours_to_wait_is_asked_to_look_every_few_minutes() -> None:
    hour = 3600
    assert service.poll_after(10**6, 0, 0.5, wait=10 * hour) == 144
    assert service.poll_after(10**6, 0, 1, wait=100 * hour) <= 180
    # A twentieth of the wait: whoever is called sooner than expected has still time to show up.
    assert service.poll_after(10**6, 0, 0.5, wait=hour / 2) == 90
    # And never more than a long line makes it.
    assert service.poll_after(100, 0, 0.5, wait=10 * hour) == service.poll_after(100, 0, 0.5)


def test_whoever_stands_by_is_asked_to_look_rarely_and_in_time_to_show_up() -> None:
    intervals = [service.poll_after(one, 0, 0.5, standing_by=True) for one in (1, 50, 10**6)]
    assert intervals == [10.2, 22.5, 48]
    assert service.poll_after(10**6, 0, 1, standing_by=True) <= 60


def test_people_at_one_position_are_asked_to_look_at_different_moments(full: Sale) -> None:
    assert service.poll_after(100, 0, 0) < service.poll_after(100, 0, 1)
    _, fan = line_up(full, 2)
    assert len({fan.place().json["poll_after_seconds"] for _ in range(40)}) > 3


def test_the_time_to_ask_again_is_also_in_the_retry_after_header(full: Sale) -> None:
    _, fan = line_up(full, 2)
    place = fan.place()
    assert 0 <= int(place.headers["Retry-After"]) - place.json["poll_after_seconds"] < 1


# Visits and holds.


@pytest.fixture
def visiting(sale: Sale) -> Sale:
    """A room whose visits last a minute."""
    sale.room(visit_seconds=60)
    return sale


def test_a_visit_does_not_end_while_its_user_has_a_live_hold_and_ends_with_it(
    visiting: Sale,
) -> None:
    concert, fan = visiting.concert(), visiting.admitted_fan()
    assert fan.hold(concert, 1).status_code == 200
    visiting.let_time_pass(HOLD_SECONDS - 5)
    assert fan.seats(concert).status_code == 200
    visiting.let_time_pass(5 + service.GRACE_SECONDS)
    assert fan.seats(concert).json["code"] == "not_admitted"


def test_a_visit_outlasts_its_hold_by_a_moment(visiting: Sale) -> None:
    # The two ends are set by two clocks, and whoever may pay must not be out of the door.
    concert, fan = visiting.concert(), visiting.admitted_fan()
    held_until = datetime.fromisoformat(fan.hold(concert, 1).json["held_until"])
    until = datetime.fromisoformat(fan.place().json["admitted_until"])
    assert timedelta(seconds=2) < until - held_until < timedelta(seconds=10)


def test_a_hold_that_failed_does_not_lengthen_the_visit(visiting: Sale) -> None:
    concert, rival, fan = visiting.concert(), visiting.admitted_fan(), visiting.admitted_fan()
    assert rival.hold(concert, 1).status_code == 200
    assert fan.hold(concert, 1).json["code"] == "seat_taken"
    visiting.let_time_pass(61)
    assert fan.seats(concert).json["code"] == "not_admitted"


def test_a_hold_that_failed_takes_nothing_from_one_that_was_made_meanwhile(visiting: Sale) -> None:
    fan = visiting.admitted_fan()
    token = queue_token_of(fan.queue_token)
    failed = service.enter(token, "main", hold_seconds=HOLD_SECONDS)
    service.enter(token, "main", hold_seconds=HOLD_SECONDS + 60)
    until = fan.place().json["admitted_until"]
    service.end_failed_hold(failed)
    assert fan.place().json["admitted_until"] == until


def test_asking_again_for_the_seats_that_are_held_does_not_lengthen_the_visit(
    visiting: Sale,
) -> None:
    concert, fan = visiting.concert(), visiting.admitted_fan()
    held = fan.hold(concert, 1).json
    visiting.let_time_pass(50)
    assert fan.hold(concert, 1).json["reservation_id"] == held["reservation_id"]
    visiting.let_time_pass(HOLD_SECONDS - 50 + service.GRACE_SECONDS)
    assert fan.seats(concert).json["code"] == "not_admitted"


def test_repeating_a_hold_with_its_key_does_not_lengthen_the_visit(visiting: Sale) -> None:
    concert, fan = visiting.concert(), visiting.admitted_fan()
    key = {"Idempotency-Key": "once"}
    held = fan.hold(concert, 1, headers=key).json
    visiting.let_time_pass(50)
    assert fan.hold(concert, 1, headers=key).json["reservation_id"] == held["reservation_id"]
    visiting.let_time_pass(HOLD_SECONDS - 50 + service.GRACE_SECONDS)
    assert fan.seats(concert).json["code"] == "not_admitted"


def test_releasing_the_hold_gives_the_visit_its_own_end_back(visiting: Sale) -> None:
    concert, fan = visiting.concert(), visiting.admitted_fan()
    held = fan.hold(concert, 1).json
    assert fan.call("DELETE", f"/v1/reservations/{held['reservation_id']}").status_code == 204
    assert fan.seats(concert).status_code == 200
    visiting.let_time_pass(61)
    assert fan.seats(concert).json["code"] == "not_admitted"


def test_releasing_one_of_two_holds_lets_the_visit_last_for_the_other(visiting: Sale) -> None:
    concert, fan = visiting.concert(), visiting.admitted_fan()
    assert fan.hold(concert, 1).status_code == 200
    visiting.let_time_pass(50)
    held = fan.hold(concert, 2).json
    assert fan.call("DELETE", f"/v1/reservations/{held['reservation_id']}").status_code == 204
    visiting.let_time_pass(HOLD_SECONDS - 55)
    assert fan.seats(concert).status_code == 200
    visiting.let_time_pass(5 + service.GRACE_SECONDS)
    assert fan.seats(concert).json["code"] == "not_admitted"


def test_releasing_one_of_three_holds_lets_the_visit_last_for_the_longest(visiting: Sale) -> None:
    concert, fan = visiting.concert(), visiting.admitted_fan()
    assert fan.hold(concert, 1).status_code == 200
    visiting.let_time_pass(30)
    assert fan.hold(concert, 2).status_code == 200
    visiting.let_time_pass(20)
    held = fan.hold(concert, 3).json
    assert fan.call("DELETE", f"/v1/reservations/{held['reservation_id']}").status_code == 204
    visiting.let_time_pass(HOLD_SECONDS - 35)
    assert fan.seats(concert).status_code == 200
    visiting.let_time_pass(15 + service.GRACE_SECONDS)
    assert fan.seats(concert).json["code"] == "not_admitted"


def test_a_hold_behind_another_room_keeps_no_visit(visiting: Sale) -> None:
    visiting.room("hall", visit_seconds=60)
    concert, elsewhere = visiting.concert(), visiting.concert(room="hall")
    fan = visiting.admitted_fan(elsewhere)
    assert fan.hold(elsewhere, 1).status_code == 200
    fan.join(concert)
    held = fan.hold(concert, 1).json
    assert fan.call("DELETE", f"/v1/reservations/{held['reservation_id']}").status_code == 204
    visiting.let_time_pass(61, "main", "hall")
    assert fan.seats(concert).json["code"] == "not_admitted"


def test_no_further_hold_begins_after_the_visits_own_time_but_what_is_held_can_be_paid(
    visiting: Sale,
) -> None:
    concert, fan = visiting.concert(price=1000), visiting.admitted_fan(balance=1000)
    assert fan.hold(concert, 1).status_code == 200
    visiting.let_time_pass(61)
    assert fan.hold(concert, 2).json["code"] == "not_admitted"
    assert fan.pay(concert, 1).status_code == 200


# Redis loses its data.


def test_after_a_loss_the_tokens_put_the_places_back_in_their_order(full: Sale) -> None:
    fans = line_up(full, 5)
    redis().flushall()
    for fan in (fans[3], fans[1], fans[4], fans[0], fans[2]):
        assert fan.place().json["status"] == "waiting"
    assert positions(fans) == [1, 2, 3, 4, 5]


def test_a_server_that_has_forgotten_the_scripts_is_sent_them_again(full: Sale) -> None:
    fans = line_up(full, 2)
    redis().script_flush()
    assert statuses(fans) == ["admitted", "waiting"]


def test_after_a_loss_whoever_joins_anew_stands_behind_all_who_were_in_line(full: Sale) -> None:
    fans = line_up(full, 2)
    redis().flushall()
    (late,) = line_up(full, 1)
    assert positions([*fans, late]) == [1, 2, 3]


def test_after_a_loss_whoever_joins_stands_behind_all_even_if_the_clock_of_redis_is_behind(
    full: Sale,
) -> None:
    line_up(full, 1)
    last = queue_token_of(line_up(full, 1)[0].queue_token).sequence + 3_600_000_000
    redis().hset(room_keys("main")[6], "sequence", last)
    (fan,) = line_up(full, 1)
    redis().flushall()
    assert fan.place().json["status"] == "waiting"
    (late,) = line_up(full, 1)
    assert queue_token_of(late.queue_token).sequence > queue_token_of(fan.queue_token).sequence
    assert positions([fan, late]) == [1, 2]


def test_after_a_loss_nobody_is_let_in_until_all_could_come_back(full: Sale) -> None:
    fans = line_up(full, 2)
    redis().flushall()
    (late,) = line_up(full, 1)
    full.let_time_pass(rooms.room_of("main").recovery_seconds - 2)
    assert full.admit() == 0
    assert statuses([late, *fans]) == ["waiting"] * 3
    full.let_time_pass(3)
    assert full.admit() == 1
    assert statuses([*fans, late]) == ["admitted", "waiting", "waiting"]


def test_a_completed_place_stays_completed_after_a_loss(full: Sale) -> None:
    concert, fan = full.concert(price=1000), full.admitted_fan(balance=1000)
    fan.hold(concert, 1)
    assert fan.pay(concert, 1).status_code == 200
    redis().flushall()
    assert fan.place().json["code"] == "token_expired"
    assert fan.seats(concert).json["code"] == "token_expired"
    assert redis().zcard(room_keys("main").waiting) == 0


# Settings, instances, upkeep.


@pytest.fixture
def other_instance(settings: Settings) -> Iterator[ConcertApp]:
    """Another process of the service, as far as anything shared goes."""
    app = create_app(settings)
    yield app
    part(Database, app).pool.close()


def test_settings_that_are_changed_reach_every_instance_at_once(
    full: Sale, other_instance: ConcertApp
) -> None:
    elsewhere = Sale(other_instance)
    line_up(full, 2)
    elsewhere.room(capacity=2)
    assert full.admit() == 1
    full.room(paused=True)
    with other_instance.app_context():
        assert line_up(elsewhere, 1)[0].place().json["paused"] is True


def test_an_older_setting_never_replaces_a_newer_one(sale: Sale) -> None:
    older = rooms.room_of("main")
    newer = rooms.change_room("main", {"capacity": 5})
    rooms.mirror_room(older)
    assert int(redis().hget(room_keys("main").settings, "capacity")) == newer.capacity == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"capacity": 0},
        {"admit_per_minute": 1_000_001},
        {"entry_seconds": 0},
        {"visit_seconds": 86_401},
        {"opens_at": datetime(2030, 1, 1)},
        {"speed": 1},
    ],
    ids=str,
)
def test_no_door_can_set_what_a_room_cannot_be(sale: Sale, changes: dict[str, object]) -> None:
    before = rooms.room_of("main")
    for change in (rooms.change_room, rooms.create_room):
        with pytest.raises(BadRequest):
            change("main", changes)
    assert rooms.room_of("main") == before


def test_settings_changed_while_redis_had_lost_the_room_are_there_afterwards(sale: Sale) -> None:
    redis().flushall()
    rooms.change_room("main", {"capacity": 7})
    assert int(redis().hget(room_keys("main").settings, "capacity")) == 7


def test_admitting_again_changes_nothing(full: Sale) -> None:
    fans = line_up(full, 4)
    full.room(capacity=2)
    assert [full.admit() for _ in range(10)] == [1] + [0] * 9
    assert statuses(fans) == ["admitted", "admitted", "waiting", "waiting"]


def test_a_place_that_a_crash_left_open_after_a_payment_is_completed_by_the_job(sale: Sale) -> None:
    concert, fan = sale.concert(price=1000), sale.admitted_fan(balance=1000)
    fan.hold(concert, 1)
    token = queue_token_of(fan.queue_token)
    with connection() as link:
        link.execute(
            "INSERT INTO completed_places (room_slug, user_id, sequence) VALUES ('main', %s, %s)",
            (token.user_id, token.sequence),
        )
    assert fan.place().json["status"] == "admitted"
    assert ended.settle_paid() == 1
    assert fan.place().json["code"] == "token_expired"
    assert ended.settle_paid() == 0


def test_the_job_that_completes_paid_places_leaves_a_newer_place_alone(sale: Sale) -> None:
    concert, fan = sale.concert(price=1000), sale.admitted_fan(balance=1000)
    fan.hold(concert, 1)
    assert fan.pay(concert, 1).status_code == 200
    assert fan.join().json["status"] == "admitted"
    assert ended.settle_paid() == 1
    assert fan.place().json["status"] == "admitted"


def test_places_that_ended_longer_ago_than_their_tokens_are_forgotten(sale: Sale) -> None:
    fans = line_up(sale, 3)
    for fan in fans[:2]:
        fan.call("DELETE", "/v1/enqueues")
    key = room_keys("main").ended
    assert redis().hlen(key) == 2
    assert service.forget_ended("main", 3600) == 0
    long_ago = int((datetime.now(UTC) - timedelta(hours=2)).timestamp() * 1000)
    status = redis().hget(key, fans[0].user_id.bytes).decode().rpartition(":")[0]
    redis().hset(key, fans[0].user_id.bytes, f"{status}:{long_ago}")
    assert service.forget_ended("main", 3600) == 1
    assert redis().hkeys(key) == [fans[1].user_id.bytes]


def test_rooms_are_lines_of_their_own(full: Sale) -> None:
    full.room("hall", **FULL)
    concert = full.concert(room="hall")
    line_up(full, 2)
    fan = full.fan()
    assert fan.join(concert).json["status"] == "admitted"
    assert fan.join().json["status"] == "waiting"
