"""PostgreSQL's primary is lost, or demoted, while a sale runs, and its replica takes over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import UUID

import flask_migrate
import pytest
from werkzeug.test import TestResponse

from concert.factory import ConcertApp, create_app
from concert.ground.database import Connection, Database, connection
from concert.ground.errors import Unavailable
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.jobs.ticks import admit_everywhere
from concert.payments.service import differing_seats
from concert.wallet.service import differing_wallets
from tests.faults.postgres import Server, address_of
from tests.sale import Fan, Sale, empty_everything
from tests.servers import NewCluster, own_redis, temporary_directory
from tests.waiting import wait_until

PATIENCE_SECONDS = 30.0
PRICE = 1000
BUYERS = 5
SEATS = 5000
# What somebody hears whose user, money or hold was on the lost server alone.
FORGOTTEN = (
    "token_invalid",
    "user_not_found",
    "not_found",
    "insufficient_balance",
    "seat_not_held",
)


@dataclass
class Pair:
    """A primary and the replica that follows it."""

    directory: Path
    primary: Server
    replica: Server


@pytest.fixture
def pair(new_cluster: NewCluster) -> Iterator[Pair]:
    with ExitStack() as held:
        directory = held.enter_context(temporary_directory())
        new_cluster.put_into(directory / "p")
        primary = held.enter_context(Server(directory / "p"))
        primary.copy_to(directory / "r", follows=True)
        replica = held.enter_context(Server(directory / "r"))
        yield Pair(directory, primary, replica)


@pytest.fixture
def shop(pair: Pair, settings: Settings, worker_name: str) -> Iterator[Sale]:
    """A sale that knows both of them by one address."""
    with own_redis(worker_name) as redis_url:
        own = {"database_url": address_of(pair.primary, pair.replica), "redis_url": redis_url}
        app = create_app(settings.model_copy(update=own))
        with app.app_context():
            flask_migrate.upgrade()
        empty_everything(app)
        with app.app_context():
            yield Sale(app)
        part(Database, app).pool.close()


@dataclass
class Buyers:
    """People who buy one seat after the other, and what they were told."""

    sale: Sale
    concert: int
    paid: dict[int, str] = field(default_factory=dict)
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    over: bool = False

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._buy_on, args=(number,), daemon=True)
            for number in range(BUYERS)
        ]
        self._threads.append(threading.Thread(target=self._tick, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over = True
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        assert not self.wrong

    def _buy_on(self, number: int) -> None:
        for seat_no in range(number + 1, SEATS + 1, BUYERS):
            if self.over:
                return
            self._buy(seat_no)

    def _buy(self, seat_no: int) -> None:
        made = self._answered(lambda: self.sale.call("POST", "/v1/users", json={}))
        if made is None:
            return
        fan = Fan(self.sale, UUID(made.json["user_id"]), made.json["user_token"])
        charge, hold, pay = (
            {"Idempotency-Key": f"{what} {seat_no}"} for what in ("charge", "hold", "pay")
        )
        for ask in (
            lambda: fan.join(self.concert),
            lambda: self._let_in(fan),
            lambda: fan.charge(PRICE, headers=charge),
            lambda: fan.hold(self.concert, seat_no, headers=hold),
            lambda: fan.pay(self.concert, seat_no, headers=pay),
        ):
            answer = self._answered(ask)
            if answer is None:
                return
            if answer.status_code != 200:
                # What the other server has never heard of: the user, the money or the hold.
                if answer.json["code"] not in FORGOTTEN:
                    self.wrong.append(answer.text)
                return
        self.paid[seat_no] = answer.json["payment_id"]

    def _let_in(self, fan: Fan) -> TestResponse:
        """The place, as soon as it is this fan's turn."""
        while True:
            answer = fan.place()
            if self.over or answer.status_code != 200 or answer.json["status"] == "admitted":
                return answer
            time.sleep(0.02)

    def _tick(self) -> None:
        """What clock and worker do."""
        with self.sale.app.app_context():
            while not self.over:
                with suppress(Unavailable):
                    admit_everywhere()
                time.sleep(0.1)

    def _answered(self, ask: Callable[[], TestResponse]) -> TestResponse | None:
        """Ask again, with the same key, for as long as a part is down."""
        while not self.over:
            answer = ask()
            if answer.status_code != 503:
                return answer
            assert answer.headers["Retry-After"]
            self.refused += 1
            time.sleep(0.05)
        return None


def buyers_of(sale: Sale) -> Buyers:
    sale.room(capacity=10_000, admit_per_minute=1_000_000, visit_seconds=86_400)
    concert = sale.concert(capacity=SEATS, price=PRICE)
    return Buyers(sale, concert)


def payments_there() -> set[str]:
    with connection() as link:
        return {str(row[0]) for row in link.execute("SELECT id FROM payments").fetchall()}


def more_than(buyers: Buyers, count: int) -> None:
    wait_until(lambda: len(buyers.paid) > count, seconds=PATIENCE_SECONDS, what="seats are sold")


@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
def test_a_replica_takes_over_a_running_sale_and_what_it_lacks_depends_on_who_waited_for_it(
    shop: Sale, pair: Pair, synchronous: bool
) -> None:
    if synchronous:
        pair.primary.set(synchronous_standby_names="*")
        wait_until(
            lambda: pair.primary.run("SELECT sync_state FROM pg_stat_replication") == [("sync",)],
            seconds=PATIENCE_SECONDS,
            what="the replica is waited for",
        )
    with buyers_of(shop) as buyers:
        more_than(buyers, 5)
        # The last that the replica hears; then the primary is lost.
        pair.primary.freeze_what_sends()
        refused, before = buyers.refused, dict(buyers.paid)
        if synchronous:
            wait_until(
                lambda: buyers.refused >= refused + BUYERS,
                seconds=PATIENCE_SECONDS,
                what="nobody is told of a payment that only one server has",
            )
        else:
            more_than(buyers, len(before) + 5)
        pair.primary.lose()
        # Whatever was on its way has been answered by then.
        refused = buyers.refused
        wait_until(
            lambda: buyers.refused >= refused + 4 * BUYERS,
            seconds=PATIENCE_SECONDS,
            what="everybody is told to come back",
        )
        told = dict(buyers.paid)
        pair.replica.promote()
        more_than(buyers, len(told) + 5)
    there = payments_there()
    lost = {payment for payment in told.values() if payment not in there}
    after = {payment for seat, payment in buyers.paid.items() if seat not in told}
    # What was paid afterwards is there in any case, and the books agree.
    assert after <= there
    assert (differing_seats(), differing_wallets()) == ([], [])
    if synchronous:
        assert lost == set()
    else:
        assert lost
        assert lost <= set(told.values()) - set(list(before.values())[:5])


def test_a_primary_that_was_demoted_is_left_by_those_who_write_and_by_those_who_only_read(
    shop: Sale, pair: Pair, settings: Settings
) -> None:
    reader = _second(settings, pair)
    with reader.app_context(), connection() as link:
        assert _served_by(link) == str(pair.primary.socket_directory)
    fan = shop.fan()
    assert fan.charge(PRICE).status_code == 200
    # The two change places: the old primary lives on, and takes no writes any more.
    pair.primary.set(default_transaction_read_only="on")
    pair.replica.promote()
    wait_until(
        lambda: fan.charge(PRICE).status_code == 200, seconds=20, what="money is taken again"
    )

    def reads_from_the_new_one() -> bool:
        with reader.app_context(), connection() as link:
            link.execute("SELECT 1")
            return _served_by(link) == str(pair.replica.socket_directory)

    wait_until(reads_from_the_new_one, seconds=20, what="whoever only reads has gone over, too")
    part(Database, reader).pool.close()


def _second(settings: Settings, pair: Pair) -> ConcertApp:
    """Another process' app, which never writes."""
    address = address_of(pair.primary, pair.replica)
    return create_app(settings.model_copy(update={"database_url": address}))


def _served_by(link: Connection) -> str:
    return link.info.host
