"""The house under load: real servers, the service, the bare route, and people with seats."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import flask_migrate
import psycopg

from concert.accounts.service import issue_user_token
from concert.catalogue.service import NewDate, create_concert
from concert.factory import ConcertApp, create_app
from concert.ground.database import Database, connection
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings, load_settings
from concert.local.processes import local_parts
from concert.local.servers import EmbeddedPostgres, EmbeddedRedis
from concert.waiting_room.keys import room_keys
from concert.waiting_room.rooms import create_room
from concert.waiting_room.tokens import QueueToken
from tests.service import environment_of, free_port, started

ROOM = "main"
# A room that nobody is let into, so that everybody who joins it waits.
RUSH = "rush"
PRICE = 50_000
SEATS = 20_000
LASTING = timedelta(days=1)

MAKE_USERS = """
INSERT INTO users (id) SELECT md5('fan ' || n)::uuid FROM generate_series(%s::int, %s::int) AS n"""
FILL_WALLETS = """
WITH filled AS (
    INSERT INTO wallets (user_id, balance)
    SELECT md5('fan ' || n)::uuid, 1000000 FROM generate_series(%s::int, %s::int) AS n RETURNING user_id
)
INSERT INTO wallet_entries (user_id, amount, balance_after, kind)
SELECT user_id, 1000000, 1000000, 'charge' FROM filled"""
HOLD_ALL = """
WITH held AS (
    INSERT INTO reservations
        (id, user_id, performance_id, seat_nos, prices, amount, status, created_at, held_until)
    SELECT md5('hold ' || n)::uuid, md5('fan ' || n)::uuid, %(performance)s + (n - %(first)s) / %(seats)s,
        ARRAY[(n - %(first)s) %% %(seats)s + 1]::smallint[], ARRAY[%(price)s], %(price)s, 'held', now(),
        now() + interval '1 day'
    FROM generate_series(%(first)s::int, %(last)s::int) AS n
    RETURNING id, performance_id, seat_nos, held_until
)
UPDATE seats s SET reservation_id = held.id, held_until = held.held_until FROM held
WHERE s.performance_id = held.performance_id AND s.seat_no = held.seat_nos[1]"""


REFERENCES = Path(__file__).with_name("references")
# The schema on which the references run: as it was in the first state, whatever it is now.
FIRST_STATE = "0003"
MAKE_PERFORMANCES = """
WITH concert AS (
    INSERT INTO concerts (title, venue, room_slug) VALUES ('Benchmark', 'Hall', 'main') RETURNING id
), made AS (
    INSERT INTO performances
        (concert_id, date, starts_at, price, capacity, sales_open_at, sales_close_at)
    SELECT id, current_date + day, now() + day * interval '1 day', %(price)s, %(seats)s,
        now() - interval '1 day', now() + interval '1 day'
    FROM concert, generate_series(30, 30 + %(more)s::int) AS day RETURNING concert_id, id
), seats AS (
    INSERT INTO seats (performance_id, seat_no, price)
    SELECT made.id, seat_no, %(price)s FROM made, generate_series(1, %(seats)s) AS seat_no
), plain AS (
    INSERT INTO plain_seats (performance_id, seat_no, price)
    SELECT made.id, seat_no, %(price)s FROM made, generate_series(1, %(seats)s) AS seat_no
)
SELECT min(concert_id), min(id) FROM made"""


@dataclass(frozen=True)
class Stock:
    """People who have done nothing yet, numbered from ``first``, each with a seat to choose."""

    first: int
    count: int
    concert_id: int
    performance_id: int

    def seat(self, index: int) -> tuple[int, int]:
        """The performance and the seat number of one of them."""
        return self.performance_id + index // SEATS, index % SEATS + 1


class Reference:
    """A database beside the service's, as it was in the first state, for statements that stay as they were."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._people = 0
        with psycopg.connect(url, autocommit=True) as link:
            link.execute((REFERENCES / "plain_seats.sql").read_bytes())

    def stock(self, count: int, *, wallets: bool = False, held: bool = False) -> Stock:
        """New people and a concert with a seat for each of them."""
        first, last = self._people, self._people + count - 1
        self._people += count
        asked = {"price": PRICE, "seats": SEATS, "more": (count - 1) // SEATS}
        with psycopg.connect(self.url, autocommit=True) as link:
            row = link.execute(MAKE_PERFORMANCES, asked).fetchone()
            assert row is not None
            stock = Stock(first, count, row[0], row[1])
            link.execute(MAKE_USERS, (first, last))
            if wallets:
                link.execute(FILL_WALLETS, (first, last))
            if held:
                link.execute(HOLD_ALL, hold_all(stock))
            link.execute("VACUUM ANALYZE")
            link.execute("CHECKPOINT")
        return stock

    def count(self, statement: str, *values: int) -> int:
        """The number that a statement gives."""
        with psycopg.connect(self.url, autocommit=True) as link:
            row = link.execute(statement.encode(), values).fetchone()
        assert row is not None
        number: int = row[0]
        return number


def hold_all(stock: Stock) -> dict[str, int]:
    """What ``HOLD_ALL`` asks for."""
    return {
        "performance": stock.performance_id,
        "first": stock.first,
        "last": stock.first + stock.count - 1,
        "seats": SEATS,
        "price": PRICE,
    }


class House:
    """The service on servers of its own. Use it inside :func:`open_house`."""

    def __init__(
        self, app: ConcertApp, database_url: str, reference: Reference, ports: dict[str, int]
    ) -> None:
        self.app = app
        self.reference = reference
        self.database_url = database_url
        self.port = ports["service"]
        self.bare_port = ports["bare"]
        self._people = 0

    def stock(self, count: int, *, wallets: bool = False, admitted: bool = False) -> Stock:
        """New people and a concert with a seat for each of them."""
        first = self._people
        self._people += count
        starts = datetime.now(UTC) + timedelta(days=30)
        dates = [
            NewDate(starts + timedelta(days=day), PRICE, SEATS)
            for day in range((count - 1) // SEATS + 1)
        ]
        concert = create_concert("Benchmark", "Hall", ROOM, dates)
        stock = Stock(
            first,
            count,
            concert.concert_id,
            min(one.performance_id for one in concert.performances),
        )
        with connection() as link:
            link.execute(MAKE_USERS, (first, first + count - 1))
            if wallets:
                link.execute(FILL_WALLETS, (first, first + count - 1))
        if admitted:
            self._let_in(stock)
        return stock

    def hold(self, stock: Stock) -> None:
        """Hold everybody's seat, as it is before a payment."""
        with connection() as link:
            link.execute(HOLD_ALL, hold_all(stock))

    def settle(self) -> None:
        """Let the servers finish with what was written so far, so that it is in nobody's measurement."""
        with connection() as link:
            link.execute("VACUUM ANALYZE")
            link.execute("CHECKPOINT")

    def user_token(self, number: int) -> str:
        """A person's user token."""
        return issue_user_token(user_id(number))

    def queue_token(self, number: int, room: str = ROOM, sequence: int | None = None) -> str:
        """The token of a person's place."""
        token = QueueToken(user_id(number), room, number + 1 if sequence is None else sequence)
        return token.encoded()

    def _let_in(self, stock: Stock) -> None:
        keys = room_keys(ROOM)
        ends = int((datetime.now(UTC) + LASTING).timestamp() * 1000)
        people = [user_id(stock.first + index).bytes for index in range(stock.count)]
        pipeline = redis().pipeline(transaction=False)
        pipeline.zadd(keys.admitted, {person: ends for person in people})
        numbers = {person: stock.first + index + 1 for index, person in enumerate(people)}
        pipeline.hset(keys.sequences, mapping=numbers)  # type: ignore[arg-type]  # bytes are keys, too
        pipeline.hset(keys.visits, mapping={person: ends for person in people})  # type: ignore[arg-type]
        pipeline.execute()


def user_id(number: int) -> UUID:
    """A person's id: the same here as in SQL, and in no order."""
    return UUID(hashlib.md5(f"fan {number}".encode(), usedforsecurity=False).hexdigest())


@contextlib.contextmanager
def open_house() -> Iterator[House]:
    """Start servers (durable, as in production), the service and the bare route; stop them at the end."""
    with contextlib.ExitStack() as held:
        directory = Path(tempfile.mkdtemp(prefix="concert-bench-"))
        held.callback(shutil.rmtree, directory, ignore_errors=True)
        directory.chmod(0o711)
        postgres = held.enter_context(EmbeddedPostgres(directory / "pg"))
        cache = held.enter_context(EmbeddedRedis(directory / "r"))
        settings = load_settings(
            database_url=postgres.url,
            redis_url=cache.url,
            secret_keys=("a key for benchmarks that is long enough",),
            organiser_key="the organiser's key",
            log_level="error",
            # As in the container: the open streams are another process's part there.
            web_threads=16,
        )
        app = create_app(settings)
        held.enter_context(app.app_context())
        flask_migrate.upgrade()
        create_room(ROOM, {"capacity": 1_000_000, "admit_per_minute": 1_000_000})
        create_room(RUSH, {"paused": True})
        ports = {}
        for name, target in (("service", "app:app"), ("bare", "benchmarks.bare:app")):
            ports[name] = free_port()
            held.enter_context(_granian(settings, target, ports[name]))
        yield House(app, postgres.url, _reference(settings, postgres), ports)


def _reference(settings: Settings, postgres: EmbeddedPostgres) -> Reference:
    with connection() as link:
        link.execute("CREATE DATABASE reference")
    url = postgres.url_of("reference")
    app = create_app(settings.model_copy(update={"database_url": url}))
    with app.app_context():
        flask_migrate.upgrade(revision=FIRST_STATE)
    part(Database, app).pool.close()
    return Reference(url)


@contextlib.contextmanager
def _granian(settings: Settings, target: str, port: int) -> Iterator[None]:
    """Run an app as ``concert up`` runs the service, with the container's number of threads."""
    web = local_parts(settings.model_copy(update={"port": port}), settings.redis_url)[0]
    environment = environment_of(settings) | {"CONCERT_LOG_FORMAT": "json"}
    program = started(replace(web, command=(*web.command[:-1], target)), environment)
    try:
        program.wait_until_it_serves(port, "/healthz" if target == "app:app" else "/")
        yield
    finally:
        program.end()
