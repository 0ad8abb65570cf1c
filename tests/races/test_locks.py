"""The locking law, step by step: who waits at one lock has those before it, and none after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from werkzeug.test import TestResponse

from concert.ground.settings import Settings
from concert.payments import service as payments
from concert.reservations.service import tidy_expired
from concert.waiting_room.tokens import queue_token_of
from tests.sale import Fan, Sale
from tests.waiting import wait_until

SEAT = "SELECT 1 FROM seats WHERE seat_no = %s"
USER = "SELECT 1 FROM users WHERE id = %s"
RESERVATION = "SELECT 1 FROM reservations WHERE user_id = %s"
WALLET = "SELECT 1 FROM wallets WHERE user_id = %s"
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""


class Onlooker:
    """Somebody else at the database, who locks a row and sees which others are locked."""

    def __init__(self, link: psycopg.Connection[Any], looking: psycopg.Connection[Any]) -> None:
        self._link, self._looking = link, looking

    @contextmanager
    def in_the_way(self, row: str, value: object) -> Iterator[None]:
        """Keep a row locked meanwhile."""
        with self._link.transaction():
            assert self._link.execute(f"{row} FOR UPDATE".encode(), (value,)).fetchone()
            yield

    def waits(self, count: int = 1) -> None:
        """Return when so many wait for a lock."""
        wait_until(lambda: self._looking.execute(WAITING).fetchone() == (count,), seconds=4)

    def is_locked(self, row: str, value: object) -> bool:
        """Whether somebody has the row locked."""
        found = self._looking.execute(f"{row} FOR UPDATE SKIP LOCKED".encode(), (value,))
        return found.fetchone() is None


@pytest.fixture
def onlooker(sale: Sale, settings: Settings) -> Iterator[Onlooker]:
    url = settings.database_url
    with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as two:
        yield Onlooker(one, two)


@pytest.fixture
def meanwhile() -> Iterator[Callable[..., Any]]:
    """Lets something happen in a thread of its own."""
    with ThreadPoolExecutor(4) as threads:
        yield threads.submit


def buyer(sale: Sale) -> tuple[int, Fan]:
    concert = sale.concert(price=1000)
    return concert, sale.admitted_fan(concert, balance=10_000)


def holder(sale: Sale) -> tuple[int, Fan, str]:
    """Somebody who holds seats 2, 3 and 4, and the address of the reservation."""
    concert, fan = buyer(sale)
    held = fan.hold(concert, 2, 3, 4)
    assert held.status_code == 200
    return concert, fan, f"/v1/reservations/{held.json['reservation_id']}"


def answered(future: Any, status: int) -> TestResponse:
    response: TestResponse = future.result(10)
    assert response.status_code == status, response.text
    return response


def test_a_hold_locks_its_seats_in_number_order(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    concert, fan = buyer(sale)
    with onlooker.in_the_way(SEAT, 3):
        hold = meanwhile(fan.hold, concert, 4, 3, 2)
        onlooker.waits()
        assert [onlooker.is_locked(SEAT, seat) for seat in (2, 3, 4)] == [True, True, False]
    answered(hold, 200)


@pytest.mark.parametrize("wanted", [(3,), (3, 4)], ids=["alone", "with another"])
def test_of_two_holds_that_wait_for_one_seat_one_gets_it(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any], wanted: tuple[int, ...]
) -> None:
    concert, fan = buyer(sale)
    other = sale.admitted_fan(concert)
    with onlooker.in_the_way(SEAT, 3):
        holds = [meanwhile(one.hold, concert, *wanted) for one in (fan, other)]
        onlooker.waits(2)
    assert sorted(hold.result(10).status_code for hold in holds) == [200, 409]


def test_the_best_seats_that_nobody_is_taking_are_held_without_waiting(
    sale: Sale, onlooker: Onlooker
) -> None:
    concert, fan = buyer(sale)
    # The best two are 5 and 6; somebody is taking one of them at this moment.
    with onlooker.in_the_way(SEAT, 6):
        held = fan.call("POST", f"/v1/concerts/{concert}/reservations", json={"best": 2})
    assert held.status_code == 200
    seats = {seat["seat_no"] for seat in held.json["seats"]}
    assert len(seats) == 2 and 6 not in seats


def test_a_payment_locks_its_seats_in_number_order(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    concert, fan, _ = holder(sale)
    with onlooker.in_the_way(SEAT, 3):
        pay = meanwhile(fan.pay, concert, 2)
        onlooker.waits()
        assert [onlooker.is_locked(SEAT, seat) for seat in (2, 3, 4)] == [True, True, False]
    answered(pay, 200)


def test_a_release_locks_its_seats_in_number_order(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    _, fan, reservation = holder(sale)
    with onlooker.in_the_way(SEAT, 3):
        release = meanwhile(fan.call_as_user, "DELETE", reservation)
        onlooker.waits()
        assert [onlooker.is_locked(SEAT, seat) for seat in (2, 3, 4)] == [True, True, False]
    answered(release, 204)


def test_a_hold_locks_the_user_before_any_seat(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    concert, fan = buyer(sale)
    with onlooker.in_the_way(USER, fan.user_id):
        hold = meanwhile(fan.hold, concert, 2, 3)
        onlooker.waits()
        assert [onlooker.is_locked(SEAT, seat) for seat in (2, 3)] == [False, False]
    answered(hold, 200)


def test_two_holds_of_one_user_come_one_after_the_other(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    concert, fan = buyer(sale)
    with onlooker.in_the_way(SEAT, 3):
        first = meanwhile(fan.hold, concert, 2, 3)
        onlooker.waits()
        second = meanwhile(fan.hold, concert, 5, 6, 7)
        onlooker.waits(2)
        assert not onlooker.is_locked(SEAT, 5)
    answered(first, 200)
    assert answered(second, 409).json["code"] == "seat_limit"


def test_a_payment_locks_the_reservation_before_its_seats_and_the_seats_before_the_wallet(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    concert, fan, _ = holder(sale)
    with onlooker.in_the_way(RESERVATION, fan.user_id):
        pay = meanwhile(fan.pay, concert, 2)
        onlooker.waits()
        assert not onlooker.is_locked(SEAT, 2)
    answered(pay, 200)

    other = sale.admitted_fan(concert, balance=10_000)
    assert other.hold(concert, 6).status_code == 200
    with onlooker.in_the_way(SEAT, 6):
        pay = meanwhile(other.pay, concert, 6)
        onlooker.waits()
        assert onlooker.is_locked(RESERVATION, other.user_id)
        assert not onlooker.is_locked(WALLET, other.user_id)
    answered(pay, 200)

    third = sale.admitted_fan(concert, balance=10_000)
    assert third.hold(concert, 7).status_code == 200
    with onlooker.in_the_way(WALLET, third.user_id):
        pay = meanwhile(third.pay, concert, 7)
        onlooker.waits()
        assert onlooker.is_locked(SEAT, 7)
    answered(pay, 200)


def test_topping_up_and_paying_locks_in_the_same_order(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    _, fan, reservation = holder(sale)

    def top_up_and_pay() -> int:
        with sale.app.app_context():
            token, reservation_id = queue_token_of(fan.queue_token), UUID(reservation[-36:])
            return payments.top_up_and_pay(token, "main", reservation_id, 0).amount

    with onlooker.in_the_way(RESERVATION, fan.user_id):
        paid = meanwhile(top_up_and_pay)
        onlooker.waits()
        assert not onlooker.is_locked(SEAT, 2)
        assert not onlooker.is_locked(WALLET, fan.user_id)
    assert paid.result(10) == 3000


def test_a_release_locks_the_reservation_before_its_seats(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    _, fan, reservation = holder(sale)
    with onlooker.in_the_way(RESERVATION, fan.user_id):
        release = meanwhile(fan.call_as_user, "DELETE", reservation)
        onlooker.waits()
        assert not onlooker.is_locked(SEAT, 2)
    answered(release, 204)


def test_a_release_that_has_waited_for_a_payment_does_not_undo_it(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    concert, fan, reservation = holder(sale)
    with onlooker.in_the_way(WALLET, fan.user_id):
        pay = meanwhile(fan.pay, concert, 2)
        onlooker.waits()
        release = meanwhile(fan.call_as_user, "DELETE", reservation)
        onlooker.waits(2)
    answered(pay, 200)
    assert answered(release, 409).json["code"] == "already_paid"


def test_paying_the_last_two_holds_at_one_moment_completes_the_place(
    sale: Sale, onlooker: Onlooker, meanwhile: Callable[..., Any]
) -> None:
    concert = sale.concert(price=1000, dates=2)
    fan = sale.admitted_fan(concert, balance=2000)
    days = ("2030-12-31", "2031-01-01")
    for day in days:
        assert fan.hold(concert, 1, date=day).status_code == 200
    # Both begin while neither is paid, so that each sees the other's hold.
    with onlooker.in_the_way(WALLET, fan.user_id):
        payments = [meanwhile(fan.pay, concert, 1, date=day) for day in days]
        onlooker.waits(2)
    for payment in payments:
        answered(payment, 200)
    assert fan.place().json["code"] == "token_expired"
    assert fan.balance() == 0


@pytest.mark.parametrize(
    ("row", "freed"), [(SEAT, 2), (RESERVATION, 0)], ids=["a seat", "a reservation"]
)
def test_tidying_up_waits_for_nobody(sale: Sale, onlooker: Onlooker, row: str, freed: int) -> None:
    _, fan, _ = holder(sale)
    sale.let_time_pass(301)
    with onlooker.in_the_way(row, 3 if row == SEAT else fan.user_id):
        assert tidy_expired() == freed
    assert tidy_expired() == 3 - freed
    assert (
        fan.call_as_user("GET", "/v1/reservations").json["reservations"][0]["status"] == "expired"
    )
