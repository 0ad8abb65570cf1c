"""Mistakes that services of this kind really make; each was seen in one by running it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from concert.ground.database import connection
from tests.sale import Fan, Sale


def test_a_seat_number_can_be_used_once_per_performance_not_once_in_the_world(sale: Sale) -> None:
    one, two = sale.concert(dates=2), sale.concert()
    for concert, date in ((one, "2030-12-31"), (one, "2031-01-01"), (two, "2030-12-31")):
        fan = sale.admitted_fan(concert, balance=50_000)
        assert fan.hold(concert, 7, date=date).status_code == 200
        assert fan.pay(concert, 7, date=date).status_code == 200


def test_a_seat_cannot_be_paid_at_another_concerts_price(sale: Sale) -> None:
    dear, cheap = sale.concert(price=90_000), sale.concert(price=1)
    fan = sale.admitted_fan(balance=100_000)
    fan.hold(dear, 7)
    missed = fan.pay(cheap, 7)
    assert (missed.status_code, missed.json["code"]) == (404, "not_found")
    cheap_performance = sale.call("GET", f"/v1/concerts/{cheap}").json["dates"][0]["performance_id"]
    crossed = fan.pay(dear, 7, performance_id=cheap_performance)
    assert (crossed.status_code, crossed.json["code"]) == (400, "bad_request")
    assert fan.balance() == 100_000
    assert fan.pay(dear, 7).json["amount"] == 90_000


def test_after_paying_the_same_queue_token_opens_nothing_not_even_after_lining_up_again(
    sale: Sale,
) -> None:
    concert = sale.concert(price=10)
    fan = sale.admitted_fan(concert, balance=10)
    fan.hold(concert, 1)
    fan.pay(concert, 1)
    spent = fan.queue_token
    assert fan.hold(concert, 2).status_code == 401
    fan.join(concert)
    for method, path in (
        ("GET", f"/v1/concerts/{concert}/seats"),
        ("POST", f"/v1/concerts/{concert}/seats/2/reservations"),
        ("GET", "/v1/enqueues"),
        ("DELETE", "/v1/enqueues"),
    ):
        assert sale.call(method, path, token=spent).status_code == 401
    assert fan.hold(concert, 2).status_code == 200


def test_waiting_numbers_fall_when_people_leave(sale: Sale) -> None:
    sale.room(paused=True)
    line = [sale.fan() for _ in range(4)]
    for fan in line:
        fan.join()
    assert [fan.place().json["position"] for fan in line] == [1, 2, 3, 4]
    line[0].call("DELETE", "/v1/enqueues")
    line[2].call("DELETE", "/v1/enqueues")
    assert [line[1].place().json["position"], line[3].place().json["position"]] == [1, 2]
    assert line[3].place().json["waiting"] == 2


def test_a_failed_hold_leaves_the_seats_and_the_limit_as_they_were(sale: Sale) -> None:
    concert = sale.concert()
    sale.admitted_fan(concert).hold(concert, 1)
    fan = sale.admitted_fan(concert)
    for _ in range(10):
        assert fan.hold(concert, 1, 2, 3, 4).status_code == 409
    assert fan.hold(concert, 2, 3, 4, 5).status_code == 200


def test_hundreds_of_requests_at_once_leave_no_lock_behind_and_no_seat_stuck(sale: Sale) -> None:
    sale.something_else()
    concert = sale.concert(price=10, capacity=8)
    fans = [sale.admitted_fan(concert, balance=100) for _ in range(20)]

    def hurry(fan: Fan) -> list[int]:
        found = []
        for seat in range(1, 9):
            found.append(fan.hold(concert, seat).status_code)
            found.append(fan.hold(concert, seat, seat % 8 + 1).status_code)
        return found

    with ThreadPoolExecutor(20) as pool:
        statuses = {status for found in pool.map(hurry, fans) for status in found}
    assert statuses <= {200, 409}
    with connection() as link:
        waiting = link.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        busy = link.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        ).fetchone()
    assert (waiting, busy) == ((0,), (0,))
    sale.let_time_pass(301)
    for number in range(4):
        fan = sale.admitted_fan(concert, balance=20)
        assert fan.hold(concert, 2 * number + 1, 2 * number + 2).status_code == 200
        assert fan.pay(concert, 2 * number + 1).status_code == 200


@pytest.mark.parametrize(
    "amount", ["-1", "0", "0.5", "1e-3", "true", '"5"', "99999999999", "null", "[]"]
)
def test_a_strange_amount_is_400_and_changes_nothing(sale: Sale, amount: str) -> None:
    fan = sale.fan(balance=3)
    body = f'{{"amount": {amount}}}'
    refused = fan.call_as_user("PATCH", "/v1/charges", data=body, content_type="application/json")
    assert (refused.status_code, fan.balance()) == (400, 3)


def test_one_who_is_let_in_gets_the_turn_of_one_who_never_shows_up(sale: Sale) -> None:
    sale.room(capacity=1, entry_seconds=60)
    late, next_one = sale.admitted_fan(), sale.fan()
    assert next_one.join().json["status"] == "waiting"
    sale.let_time_pass(61)
    sale.admit()
    assert next_one.place().json["status"] == "admitted"
    assert late.place().json["status"] == "expired"


def test_a_user_token_alone_buys_nothing(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.fan(balance=50_000)
    for path in (
        f"/v1/concerts/{concert}/seats/1/reservations",
        f"/v1/concerts/{concert}/seats/1/payments",
    ):
        assert fan.call_as_user("POST", path, json={}).status_code == 401
    assert fan.balance() == 50_000
