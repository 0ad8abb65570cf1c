"""The line knows the seats: nobody is let in for nothing, and everybody in line knows how it stands."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from concert.ground.database import connection
from concert.ground.events import ROOMS
from concert.ground.fanout import facts
from concert.ground.redis_client import redis
from concert.jobs import ticks
from concert.waiting_room.keys import room_keys
from concert.waiting_room.seats import Moved, tell_moved
from tests.sale import Fan, Sale

NOBODY: dict[str, Any] = {"free": 0, "held": 0, "sold": 0, "state": "open"}
MESSAGE = {"ko": "곧 열려요.", "en": "We open soon."}


def tick(sale: Sale) -> None:
    """Do what happens every second."""
    with sale.app.app_context():
        ticks.admit_everywhere()


def a_line(sale: Sale, concert: int, people: int, *, balance: int = 0) -> list[Fan]:
    """People who have lined up while nobody was let in, in their order."""
    sale.room(paused=True)
    line = [sale.fan(balance=balance) for _ in range(people)]
    for fan in line:
        fan.join(concert)
    sale.room(paused=False)
    return line


def statuses(line: list[Fan]) -> list[str]:
    return [fan.place().json["status"] for fan in line]


def inside(line: list[Fan]) -> int:
    return statuses(line).count("admitted")


def test_thirty_slots_and_five_seats_let_five_people_in_and_not_one_more(sale: Sale) -> None:
    sale.room(capacity=30)
    concert = sale.concert(capacity=5)
    line = a_line(sale, concert, 12)
    for _ in range(3):
        tick(sale)
        assert statuses(line) == ["admitted"] * 5 + ["waiting"] * 7


def test_whoever_joins_with_nobody_waiting_is_let_in_only_while_a_seat_is_free_for_them(
    sale: Sale,
) -> None:
    sale.room(capacity=30)
    concert = sale.concert(capacity=5)
    fans = [sale.fan() for _ in range(8)]
    assert [fan.join(concert).json["status"] for fan in fans] == ["admitted"] * 5 + ["waiting"] * 3


def test_seats_that_were_taken_since_the_count_are_nobodys_reason_to_be_let_in(sale: Sale) -> None:
    sale.room(capacity=30)
    concert = sale.concert(capacity=5)
    first, second, third = (sale.fan() for _ in range(3))
    first.join(concert)
    assert first.hold(concert, 1, 2, 3, 4).status_code == 200
    assert second.join(concert).json["status"] == "admitted"
    assert third.join(concert).json["status"] == "waiting"
    tick(sale)
    assert third.place().json["status"] == "waiting"


def test_seats_that_come_back_let_in_the_next_in_line_in_order(sale: Sale) -> None:
    sale.room(capacity=30)
    concert = sale.concert(capacity=2, price=10)
    line = a_line(sale, concert, 6, balance=20)
    tick(sale)
    held = line[0].hold(concert, 1, 2).json["reservation_id"]
    tick(sale)
    assert statuses(line) == ["admitted"] * 2 + ["waiting"] * 4
    line[0].call("DELETE", f"/v1/reservations/{held}")
    tick(sale)
    # The two inside hold nothing, and may take what is free.
    assert statuses(line) == ["admitted"] * 2 + ["waiting"] * 4
    line[1].call("DELETE", "/v1/enqueues")
    tick(sale)
    assert statuses(line) == ["admitted", "left", "admitted", "waiting", "waiting", "waiting"]


def test_a_hold_that_lapses_lets_in_the_next_in_line_though_nothing_has_tidied_it_up(
    sale: Sale,
) -> None:
    sale.room(capacity=30, visit_seconds=100, entry_seconds=1000)
    concert = sale.concert(capacity=1)
    line = a_line(sale, concert, 3)
    tick(sale)
    line[0].hold(concert, 1)
    tick(sale)
    assert statuses(line) == ["admitted", "waiting", "waiting"]
    sale.let_time_pass(306)
    tick(sale)
    assert statuses(line) == ["expired", "admitted", "waiting"]


def test_whoever_holds_a_seat_needs_no_other_and_keeps_nobody_out(sale: Sale) -> None:
    sale.room(capacity=30)
    concert = sale.concert(capacity=3)
    line = a_line(sale, concert, 5)
    tick(sale)
    assert inside(line) == 3
    line[0].hold(concert, 1)
    tick(sale)
    assert inside(line) == 3  # two seats are free, for two people inside
    line[1].call("DELETE", "/v1/enqueues")
    tick(sale)
    assert statuses(line) == ["admitted", "left", "admitted", "admitted", "waiting"]


def test_whoever_holds_a_seat_needs_no_other_between_two_counts_either(sale: Sale) -> None:
    sale.room(capacity=30)
    concert = sale.concert(capacity=3)
    first, second, third = (sale.fan() for _ in range(3))
    first.join(concert)
    first.hold(concert, 1)
    assert second.join(concert).json["status"] == "admitted"
    # One of the two free seats is for the second; the first has one already.
    assert third.join(concert).json["status"] == "admitted"


def test_somebody_who_holds_a_seat_and_is_not_inside_makes_no_room_for_another(sale: Sale) -> None:
    sale.room(capacity=30, visit_seconds=100)
    concert = sale.concert(capacity=3)
    gone = sale.admitted_fan(concert)
    gone.hold(concert, 1)
    redis().zadd(room_keys("main").admitted, {gone.user_id.bytes: 1})
    line = a_line(sale, concert, 4)
    tick(sale)
    assert inside(line) == 2


def test_a_change_of_the_state_is_told_at_once_though_nobody_was_let_in(sale: Sale) -> None:
    concert = sale.concert(capacity=1, price=0)
    fan = sale.admitted_fan(concert)
    waiting = sale.fan()
    waiting.join(concert)
    tick(sale)
    with facts(ROOMS, 10) as told:
        fan.hold(concert, 1)
        tick(sale)
        while (fact := next(told)) is not None and fact.kind == "resync":
            pass
        assert fact is not None
        assert fact.kind == "moved"
    assert waiting.place().json["seats"]["state"] == "all_held"
    assert fan.place().json["status"] == "admitted"


def test_somebody_who_pays_leaves_and_makes_room_for_nobody_where_nothing_is_free(
    sale: Sale,
) -> None:
    concert = sale.concert(capacity=2, price=10)
    line = a_line(sale, concert, 4, balance=20)
    tick(sale)
    line[0].hold(concert, 1)
    line[0].pay(concert, 1)
    line[1].hold(concert, 2)
    tick(sale)
    assert [fan.place().json["status"] for fan in line[1:]] == ["admitted", "waiting", "waiting"]


def test_everybody_is_told_what_is_free_held_and_sold_as_it_changes(sale: Sale) -> None:
    sale.room(capacity=2)
    concert = sale.concert(capacity=4, price=10)
    line = a_line(sale, concert, 3, balance=100)
    tick(sale)

    def seats() -> Any:
        return line[2].place().json["seats"]

    assert seats() == {"free": 4, "held": 0, "sold": 0, "state": "open"}
    held = line[0].hold(concert, 1, 2).json["reservation_id"]
    assert seats() == {"free": 2, "held": 2, "sold": 0, "state": "open"}
    line[0].call("DELETE", f"/v1/reservations/{held}")
    assert seats() == {"free": 4, "held": 0, "sold": 0, "state": "open"}
    line[0].hold(concert, 1, 2)
    line[1].hold(concert, 3, 4)
    assert seats() == {"free": 0, "held": 4, "sold": 0, "state": "all_held"}
    line[0].pay(concert, 1)
    tick(sale)
    assert seats() == {"free": 0, "held": 2, "sold": 2, "state": "all_held"}
    line[1].pay(concert, 3)
    tick(sale)
    assert seats() == {"free": 0, "held": 0, "sold": 4, "state": "sold_out"}


def told_twice(sale: Sale, *facts: tuple[Moved, int]) -> dict[str, Any]:
    """What a line of four seats, of which two are held, is told where facts come after a count that has them."""
    sale.room(capacity=2)
    concert = sale.concert(capacity=4, price=0)
    holder, other = a_line(sale, concert, 2)
    tick(sale)
    holder.hold(concert, 1, 2)
    tick(sale)
    for kind, seats in facts:
        tell_moved("main", kind, seats)
    told: dict[str, Any] = other.place().json["seats"]
    return told


@pytest.mark.parametrize("kind", ["taken", "given"])
def test_a_fact_that_a_count_has_already_never_makes_more_seats_than_there_are(
    sale: Sale, kind: Moved
) -> None:
    told = told_twice(sale, (kind, 3))
    assert told["free"] + told["held"] + told["sold"] == 4
    assert min(told["free"], told["held"], told["sold"]) >= 0


def test_nobody_is_told_that_all_is_sold_before_it_is_counted(sale: Sale) -> None:
    assert told_twice(sale, ("taken", 4))["state"] == "all_held"


def test_a_count_agrees_with_what_was_told_before_it(sale: Sale) -> None:
    concert = sale.concert(capacity=9, price=0)
    fan, other = sale.admitted_fan(concert), sale.admitted_fan(concert)
    fan.hold(concert, 1, 2)
    told = other.place().json["seats"]
    for _ in range(2):
        tick(sale)
        assert other.place().json["seats"] == told
    fan.pay(concert, 1)
    assert other.place().json["seats"] == told
    tick(sale)
    assert other.place().json["seats"] == {"free": 7, "held": 0, "sold": 2, "state": "open"}


def test_a_room_in_front_of_no_date_lets_people_in_as_its_slots_allow(sale: Sale) -> None:
    sale.room(capacity=2)
    fans = [sale.fan() for _ in range(3)]
    places = [fan.join().json for fan in fans]
    assert [place["status"] for place in places] == ["admitted", "admitted", "waiting"]
    assert places[2]["seats"] == NOBODY
    assert places[2]["chance"] is None


def test_nobody_is_let_in_before_a_sale_has_opened_and_then_the_line_moves(sale: Sale) -> None:
    opens = datetime.now().astimezone() + timedelta(minutes=1)
    concert = sale.concert(capacity=5, sales_open_at=opens.isoformat())
    fan = sale.fan()
    place = fan.join(concert).json
    assert (place["status"], place["estimated_wait_seconds"]) == ("waiting", None)
    assert place["seats"] == {"free": 5, "held": 0, "sold": 0, "state": "open"}
    tick(sale)
    assert fan.place().json["status"] == "waiting"
    sale.let_time_pass(61)
    tick(sale)
    assert fan.place().json["status"] == "admitted"


def test_joining_a_line_whose_sale_has_ended_is_409_sales_ended(sale: Sale) -> None:
    closes = datetime.now().astimezone() + timedelta(minutes=1)
    concert = sale.concert(sales_close_at=closes.isoformat())
    sale.let_time_pass(61)
    refused = sale.fan().join(concert)
    assert (refused.status_code, refused.json["code"]) == (409, "sales_ended")
    sale.concert(dates=2)
    assert sale.fan().join(concert).json["status"] == "admitted"


def test_when_the_sale_ends_the_line_closes_and_every_place_is_told(sale: Sale) -> None:
    closes = datetime.now().astimezone() + timedelta(minutes=1)
    concert = sale.concert(capacity=1, sales_close_at=closes.isoformat())
    line = a_line(sale, concert, 3)
    tick(sale)
    assert statuses(line) == ["admitted", "waiting", "waiting"]
    sale.let_time_pass(61)
    tick(sale)
    for fan in line[1:]:
        place = fan.place().json
        assert (place["status"], place["seats"]["state"]) == ("expired", "ended")
        assert fan.join(concert).json["code"] == "sales_ended"
    assert redis().zcard(room_keys("main").waiting) == 0


def test_standing_by_in_a_sold_out_line_is_allowed_and_keeps_the_order(sale: Sale) -> None:
    concert = sale.concert(capacity=1, price=0)
    fan = sale.admitted_fan(concert)
    fan.hold(concert, 1)
    fan.pay(concert, 1)
    tick(sale)
    standing_by = [sale.fan() for _ in range(3)]
    for number, other in enumerate(standing_by, 1):
        place = other.join(concert).json
        assert (place["status"], place["position"]) == ("waiting", number)
        assert (place["seats"]["state"], place["chance"]) == ("sold_out", "none")
    tick(sale)
    assert inside(standing_by) == 0
    with connection() as link:  # as a refund does
        link.execute("UPDATE seats SET sold_at = NULL, reservation_id = NULL")
    tick(sale)
    assert statuses(standing_by) == ["admitted", "waiting", "waiting"]


def test_without_a_count_for_long_nobody_is_let_in(sale: Sale) -> None:
    concert = sale.concert(capacity=50)
    sale.admitted_fan(concert)
    state = room_keys("main").state
    redis().hincrby(state, "counted_at", -31_000)
    fan = sale.fan()
    assert fan.join(concert).json["status"] == "waiting"
    assert sale.admit() == 0
    tick(sale)
    assert fan.place().json["status"] == "admitted"


def test_after_a_loss_of_redis_the_seats_are_counted_before_anybody_is_let_in(sale: Sale) -> None:
    concert = sale.concert(capacity=1, price=0)
    fan = sale.admitted_fan(concert)
    fan.hold(concert, 1)
    redis().flushall()
    late = sale.fan()
    place = late.join(concert).json
    assert place["status"] == "waiting"
    assert place["seats"] == {"free": 0, "held": 1, "sold": 0, "state": "all_held"}


def test_the_chance_falls_with_the_people_ahead_and_the_seats_left(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert(capacity=20)
    line = a_line(sale, concert, 16)
    tick(sale)
    # One person is inside and undecided; a visit is taken for one of two seats.
    chances = [fan.place().json["chance"] for fan in line]
    assert chances == [None] + ["likely"] * 7 + ["maybe"] * 2 + ["unlikely"] * 6


def test_the_estimated_wait_has_a_range_that_holds_it(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    line = a_line(sale, concert, 4)
    tick(sale)
    line[0].call("DELETE", "/v1/enqueues")
    sale.let_time_pass(1)
    tick(sale)
    place = line[3].place().json
    low, high = place["estimated_wait_range"]
    assert 0 <= low < place["estimated_wait_seconds"] < high
    assert line[1].place().json["estimated_wait_range"] is None


def test_the_organisers_message_reaches_everybody_in_line_until_it_is_taken_away(
    sale: Sale,
) -> None:
    sale.room(capacity=1, message=MESSAGE)
    concert = sale.concert()
    sale.admitted_fan(concert)
    fan = sale.fan()
    assert fan.join(concert).json["message"] == MESSAGE
    assert sale.call("GET", "/v1/rooms/main").json["message"] == MESSAGE
    sale.room(capacity=2)
    assert fan.place().json["message"] == MESSAGE
    changed = sale.organise("PATCH", "/v1/rooms/main", json={"message": None})
    assert changed.json["message"] is None
    assert fan.place().json["message"] is None


def test_a_message_is_said_in_both_languages_and_is_not_endless(sale: Sale) -> None:
    for message in (
        {"ko": "곧"},
        {"ko": "곧", "en": ""},
        {"ko": "곧", "en": "x" * 501},
        {"ko": "곧", "en": " "},
        {"ko": "곧", "en": "soon", "fr": "bientôt"},
        "soon",
    ):
        refused = sale.organise("PATCH", "/v1/rooms/main", json={"message": message})
        assert refused.status_code == 400, message


def called(sale: Sale, came: int, missed: int) -> None:
    """So many were called before, and came or did not."""
    redis().hset(room_keys("main").state, mapping={"came": came, "missed": missed})


def test_where_many_do_not_come_more_are_called_and_those_who_come_fit_all_the_same(
    sale: Sale,
) -> None:
    sale.room(capacity=100, admit_per_minute=1_000_000, entry_seconds=50)
    concert = sale.concert(capacity=1000)
    users = {b"%016d" % one: 1_000_000_000_000_000 + one for one in range(700)}
    redis().zadd(room_keys("main").waiting, users)
    tick(sale)
    assert redis().zcard(room_keys("main").admitted) == 100
    # Nobody of the first hundred comes: of the next, half at the most are taken for absent.
    sale.let_time_pass(51)
    tick(sale)
    calls = redis().zcard(room_keys("main").admitted)
    # Of 161 half would come, and three times the spread are 19 more; without it there were 200.
    assert 150 < calls < 170
    assert sale.fan().join(concert).json["status"] == "waiting"


def test_where_everybody_comes_nobody_more_is_called(sale: Sale) -> None:
    sale.room(capacity=100, admit_per_minute=1_000_000)
    concert = sale.concert(capacity=1000)
    called(sale, came=0, missed=8)
    fans = [sale.admitted_fan(concert) for _ in range(10)]
    before = float(redis().hget(room_keys("main").state, "came") or 0)
    for fan in fans:
        fan.seats(concert)
    # A visit begins once, however often somebody looks.
    fans[0].seats(concert)
    assert before + 9 < float(redis().hget(room_keys("main").state, "came") or 0) <= before + 10


def test_more_people_are_called_for_those_who_do_not_come_but_never_more_than_seats(
    sale: Sale,
) -> None:
    sale.room(capacity=100, admit_per_minute=1_000_000)
    sale.concert(capacity=110)
    called(sale, came=0, missed=200)
    users = {b"%016d" % one: 1_000_000_000_000_000 + one for one in range(300)}
    redis().zadd(room_keys("main").waiting, users)
    tick(sale)
    assert redis().zcard(room_keys("main").admitted) == 110


def test_a_place_with_hours_to_wait_is_asked_about_rarely(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert(capacity=50)
    fan = sale.admitted_fan(concert)
    users = {b"%016d" % one: 1_000_000_000_000_000 + one for one in range(100_000)}
    redis().zadd(room_keys("main").waiting, users)
    late = sale.fan()
    late.join(concert)
    assert late.place().json["poll_after_seconds"] <= 30
    tick(sale)
    fan.call("DELETE", "/v1/enqueues")
    sale.let_time_pass(1)
    tick(sale)
    place = late.place().json
    assert place["estimated_wait_range"][0] > 3600
    assert 45 < place["poll_after_seconds"] < 90


def test_standing_by_in_a_sold_out_line_is_asked_about_rarely(sale: Sale) -> None:
    concert = sale.concert(capacity=1, price=0)
    fan = sale.admitted_fan(concert)
    waiting = sale.fan()
    assert waiting.join(concert).json["poll_after_seconds"] < 2
    fan.hold(concert, 1)
    assert waiting.place().json["poll_after_seconds"] < 2
    fan.pay(concert, 1)
    tick(sale)
    assert 7 < waiting.place().json["poll_after_seconds"] < 13
