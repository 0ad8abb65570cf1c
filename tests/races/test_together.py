"""What many ask one process for at the same moment is done in few transactions, and for each as if alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from concert.catalogue.service import concert_of
from concert.factory import ConcertApp, create_app
from concert.ground.budget import within
from concert.ground.database import Database, connection
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.ground.together import Together
from concert.payments.service import (
    AskedPayment,
    HolderOf,
    PaymentsTogether,
    _pay_together,
    pay_seat,
)
from concert.reservations.service import (
    AskedHold,
    HoldsTogether,
    _hold_together,
    hold_seats,
)
from concert.waiting_room.tokens import QueueToken, queue_token_of
from concert.wallet.service import AskedCharge, ChargesTogether, _charge_together, charge
from tests.races.sabotage import Sabotage
from tests.sale import Fan, Sale
from tests.waiting import wait_until

pytestmark = pytest.mark.races

MANY = 12
LONG = 60.0
# The transactions that wrote a table's rows.
WRITERS = {
    table: f"SELECT count(DISTINCT xmin::text), count(*) FROM {table}"
    for table in ("reservations", "payments", "wallet_entries")
}


@pytest.fixture
def rush(sale: Sale) -> Sale:
    """A sale whose room lets everybody in."""
    sale.room(capacity=10_000, admit_per_minute=1_000_000)
    sale.something_else()
    return sale


@pytest.fixture
def narrow(rush: Sale, settings: Settings) -> Iterator[ConcertApp]:
    """The app with one connection to PostgreSQL, so that a test can hold all of them."""
    app = create_app(settings.model_copy(update={"database_pool_size": 1}))
    yield app
    part(Database, app).pool.close()


@pytest.fixture
def elsewhere(app: ConcertApp, settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of somebody else, in which a test can lock rows."""
    with psycopg.connect(settings.database_url) as link:
        yield link
        link.rollback()


def all_at_once(
    app: ConcertApp, kind: type[Together[Any]], calls: list[Callable[[], Any]]
) -> list[Any]:
    """Call services while nobody can get a connection, so that all but the first wait for the second go."""

    def called(call: Callable[[], Any]) -> Any:
        with app.app_context(), within(LONG, each=LONG):
            return call()

    together = part(kind, app)
    with ThreadPoolExecutor(len(calls)) as people:
        with app.app_context(), connection():
            made: list[Future[Any]] = [people.submit(called, calls[0])]
            wait_until(lambda: together.is_under_way, seconds=LONG)
            made += [people.submit(called, call) for call in calls[1:]]
            wait_until(lambda: len(together) == len(calls) - 1, seconds=LONG)
        return [one.result(LONG) for one in made]


def written(table: str) -> tuple[int, int]:
    """In how many transactions the rows of a table were written, and how many they are."""
    with connection() as link:
        row = link.execute(WRITERS[table].encode()).fetchone()
    assert row is not None
    return row[0], row[1]


def test_holds_that_are_asked_for_at_once_are_two_transactions(
    rush: Sale, narrow: ConcertApp
) -> None:
    concert = rush.concert()
    with rush.app.app_context():
        performance = concert_of(concert).performances[0]
    tokens = [queue_token_of_fan(rush.admitted_fan(concert)) for _ in range(MANY)]
    held = all_at_once(
        narrow,
        HoldsTogether,
        [
            partial(hold_seats, token, "main", performance, [seat])
            for seat, token in enumerate(tokens, 1)
        ],
    )
    assert [one.seat_nos for one in held] == [(seat,) for seat in range(1, MANY + 1)]
    with rush.app.app_context():
        assert written("reservations") == (2, MANY)


def test_payments_that_are_asked_for_at_once_are_two_transactions(
    rush: Sale, narrow: ConcertApp
) -> None:
    concert = rush.concert(price=1_000)
    with rush.app.app_context():
        performance = concert_of(concert).performances[0]
    fans = [rush.admitted_fan(concert, balance=1_000 * seat) for seat in range(1, MANY + 1)]
    for seat, fan in enumerate(fans, 1):
        assert fan.hold(concert, seat).status_code == 200
    tokens = [queue_token_of_fan(fan) for fan in fans]
    paid = all_at_once(
        narrow,
        PaymentsTogether,
        [
            partial(pay_seat, token, "main", performance, seat)
            for seat, token in enumerate(tokens, 1)
        ],
    )
    assert [one.balance for one in paid] == [1_000 * seat for seat in range(MANY)]
    with rush.app.app_context():
        assert written("payments") == (2, MANY)
    assert {fan.place().status_code for fan in fans} == {401}


def test_charges_that_are_asked_for_at_once_are_two_transactions_first_ones_and_others(
    rush: Sale, narrow: ConcertApp
) -> None:
    fans = [rush.fan(balance=number % 2) for number in range(MANY)]
    with rush.app.app_context():
        before, entries = written("wallet_entries")
    charged = all_at_once(
        narrow, ChargesTogether, [partial(charge, fan.user_id, 500) for fan in fans]
    )
    balances = [500 + number % 2 for number in range(MANY)]
    assert [one.balance for one in charged] == balances == [fan.balance() for fan in fans]
    with rush.app.app_context():
        assert written("wallet_entries") == (before + 2, entries + MANY)


def queue_token_of_fan(fan: Fan) -> QueueToken:
    with fan.sale.app.app_context():
        return queue_token_of(fan.queue_token)


def asked_hold(concert: int, fan: Fan, seat_no: int) -> AskedHold:
    performance = concert_of(concert).performances[0]
    return AskedHold(queue_token_of(fan.queue_token), performance, seat_no, uuid4())


def outcomes(asked: list[AskedHold]) -> list[str | None]:
    return [None if one.row is None else one.row[0] for one in asked]


def test_each_hold_of_a_go_is_judged_as_if_it_were_alone(rush: Sale) -> None:
    concert = rush.concert()
    fans = [rush.admitted_fan(concert) for _ in range(5)]
    assert fans[4].hold(concert, 1, 2, 3, 4).status_code == 200
    with rush.app.app_context():
        asked = [
            asked_hold(concert, fans[0], 5),
            asked_hold(concert, fans[1], 5),  # taken by the one before
            asked_hold(concert, fans[2], 1),  # taken before
            asked_hold(concert, fans[4], 6),  # too many
            asked_hold(concert, fans[3], 6),
            asked_hold(concert, fans[0], 7),  # the same user's next
        ]
        _hold_together(asked)
        assert outcomes(asked) == ["held", "taken", "taken", "limit", "held", "held"]
    held = fans[0].call_as_user("GET", "/v1/reservations").json["reservations"]
    assert sorted(seat["seat_no"] for one in held for seat in one["seats"]) == [5, 7]


@pytest.mark.parametrize("lock", ["the user", "the seat"])
def test_a_hold_that_would_have_to_wait_is_left_out_and_nobody_waits_for_it(
    rush: Sale, elsewhere: psycopg.Connection[Any], lock: str
) -> None:
    concert = rush.concert()
    busy, free = rush.admitted_fan(concert), rush.admitted_fan(concert)
    locks = {
        "the user": ("SELECT FROM users WHERE id = %s FOR UPDATE", busy.user_id),
        "the seat": ("SELECT FROM seats WHERE seat_no = %s FOR UPDATE", 1),
    }
    statement, value = locks[lock]
    elsewhere.execute(statement.encode(), (value,))
    with rush.app.app_context():
        asked = [asked_hold(concert, busy, 1), asked_hold(concert, free, 2)]
        # Where it waited, PostgreSQL would give up after two seconds, and neither would be held.
        _hold_together(asked)
        assert outcomes(asked) == [None, "held"]
    elsewhere.rollback()
    assert busy.hold(concert, 1).status_code == 200


def test_a_hold_with_a_place_that_is_completed_is_left_out(rush: Sale) -> None:
    concert = rush.concert()
    fan, other = rush.admitted_fan(concert), rush.admitted_fan(concert)
    with rush.app.app_context():
        asked = [asked_hold(concert, fan, 1), asked_hold(concert, other, 2)]
        with connection() as link:
            link.execute(
                "INSERT INTO completed_places (room_slug, user_id, sequence) VALUES ('main', %s, %s)",
                (fan.user_id, asked[0].token.sequence),
            )
        _hold_together(asked)
        assert outcomes(asked) == [None, "held"]


def asked_payment(concert: int, fan: Fan, seat_no: int) -> AskedPayment:
    performance = concert_of(concert).performances[0]
    which = HolderOf(performance.performance_id, seat_no)
    return AskedPayment(queue_token_of(fan.queue_token), which, uuid4())


def paid_ids(asked: list[AskedPayment]) -> list[UUID | None]:
    return [None if one.row is None else one.row[0] for one in asked]


def test_each_payment_of_a_go_is_made_as_if_it_were_alone(rush: Sale) -> None:
    concert = rush.concert(price=1_000)
    rich, poor, other = (rush.admitted_fan(concert, balance=won) for won in (5_000, 999, 5_000))
    made = [
        UUID(fan.hold(concert, seat).json["reservation_id"])
        for seat, fan in enumerate((rich, poor, other), 1)
    ]
    with rush.app.app_context():
        asked = [
            asked_payment(concert, rich, 1),
            asked_payment(concert, rich, 1),  # paid already
            asked_payment(concert, poor, 2),  # cannot
            asked_payment(concert, rich, 3),  # somebody else's
            asked_payment(concert, other, 3),
            asked_payment(concert, other, 4),  # nobody's
        ]
        _pay_together(asked)
        assert paid_ids(asked) == [made[0], None, None, None, made[2], None]
    assert [fan.balance() for fan in (rich, poor, other)] == [4_000, 999, 4_000]
    # Alone they are told what they would have been told anyway.
    assert rich.pay(concert, 1).json["payment_id"] == str(asked[0].payment_id)
    assert poor.pay(concert, 2).status_code == 402


def test_a_reservation_of_several_seats_is_paid_alone(rush: Sale) -> None:
    concert = rush.concert(price=1_000)
    fan = rush.admitted_fan(concert, balance=2_000)
    assert fan.hold(concert, 1, 2).status_code == 200
    with rush.app.app_context():
        asked = [asked_payment(concert, fan, 1)]
        _pay_together(asked)
        assert paid_ids(asked) == [None]
    assert fan.pay(concert, 1).json["balance"] == 0


def test_where_postgresql_refuses_all_of_a_go_each_is_done_alone(
    rush: Sale, sabotage: Sabotage
) -> None:
    concert = rush.concert(price=1_000)
    fan = rush.admitted_fan(concert, balance=1_000)
    with rush.app.app_context(), connection() as link:
        link.execute("DROP FUNCTION hold_together")
        link.execute("DROP FUNCTION pay_together")
    assert fan.hold(concert, 1).status_code == 200
    assert fan.pay(concert, 1).json["balance"] == 0


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT FROM reservations WHERE user_id = %s FOR UPDATE",
        "SELECT FROM wallets WHERE user_id = %s FOR UPDATE",
        "SELECT FROM seats s JOIN reservations r ON r.id = s.reservation_id WHERE user_id = %s FOR UPDATE OF s",
    ],
    ids=["the reservation", "the wallet", "the seat"],
)
def test_a_payment_that_would_have_to_wait_is_left_out_and_nobody_waits_for_it(
    rush: Sale, elsewhere: psycopg.Connection[Any], lock: str
) -> None:
    concert = rush.concert(price=1_000)
    busy, free = (rush.admitted_fan(concert, balance=1_000) for _ in range(2))
    for seat, fan in enumerate((busy, free), 1):
        assert fan.hold(concert, seat).status_code == 200
    elsewhere.execute(lock.encode(), (busy.user_id,))
    with rush.app.app_context():
        asked = [asked_payment(concert, busy, 1), asked_payment(concert, free, 2)]
        _pay_together(asked)
        assert [one is not None for one in paid_ids(asked)] == [False, True]
    elsewhere.rollback()
    assert busy.pay(concert, 1).json["balance"] == 0


def test_a_charge_that_would_have_to_wait_or_is_too_much_is_left_out(
    rush: Sale, elsewhere: psycopg.Connection[Any]
) -> None:
    busy, free, rich, new = rush.fan(balance=1), rush.fan(balance=1), rush.fan(), rush.fan()
    with rush.app.app_context(), connection() as link:
        link.execute("INSERT INTO wallets VALUES (%s, 999999999)", (rich.user_id,))
    elsewhere.execute("SELECT FROM wallets WHERE user_id = %s FOR UPDATE", (busy.user_id,))
    with rush.app.app_context():
        users = [busy.user_id, free.user_id, rich.user_id, new.user_id, uuid4(), free.user_id]
        asked = [AskedCharge(user_id, 2) for user_id in users]
        _charge_together(asked)
        assert [one.balance for one in asked[:5]] == [None, 3, None, 2, None]
        # Of two of one user one is left for later, and neither is lost or made twice.
        assert asked[5].balance is None
    elsewhere.rollback()
    assert (free.balance(), new.balance()) == (3, 2)
