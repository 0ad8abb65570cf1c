"""Hot statements: they give what psycopg gives, and come through whatever loses what was prepared."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from concert.factory import ConcertApp, create_app
from concert.ground.budget import within
from concert.ground.database import Connection, Database, connection, db
from concert.ground.errors import BadRequest, Unavailable
from concert.ground.parts import part
from concert.ground.prepared import Forgotten, Hot, hot_statements
from concert.ground.settings import Settings
from concert.payments.queries import PAY
from concert.reservations.queries import HOLD
from concert.wallet.service import CHARGE
from tests.sale import Fan, Sale
from tests.service import PROJECT, environment_of

PREPARED = "SELECT name FROM pg_prepared_statements"
VALUES = Hot(
    "SELECT %(number)s::bigint, %(text)s::text, %(user)s::uuid, %(flag)s::bool, %(list)s::smallint[],"
    " %(text)s::text || '%%', now() > %(day)s::date, '2030-12-31'::date, 7 = ANY (%(list)s::smallint[])"
)
ROWS = Hot("SELECT n, NULL::text FROM generate_series(1, %(count)s::int) n")
SLEEP = Hot("SELECT pg_sleep(%(seconds)s::float8)")


@pytest.fixture(autouse=True)
def no_outage_is_left(sale: Sale) -> Iterator[None]:
    yield
    part(Database).outage.end()


@pytest.fixture
def link(sale: Sale) -> Iterator[Connection]:
    with connection() as link:
        assert link.prepared is not None
        yield link


@contextmanager
def one_connection(settings: Settings, **changes: Any) -> Iterator[ConcertApp]:
    """The app with one connection, whose statements can be looked at."""
    app = create_app(settings.model_copy(update={"database_pool_size": 1, **changes}))
    yield app
    part(Database, app).pool.close()


def said(ask: Any) -> Any:
    try:
        return ask()
    except (psycopg.Error, UnicodeError) as error:
        return type(error)


def prepared_on(app: ConcertApp) -> set[str]:
    with app.app_context(), connection() as link:
        cursor = psycopg.ClientCursor(link)
        return {row[0] for row in cursor.execute(PREPARED)}


def key(what: str, keyed: bool) -> dict[str, str] | None:
    return {"Idempotency-Key": what} if keyed else None


def at(fan: Fan, app: ConcertApp) -> Fan:
    return Fan(Sale(app), fan.user_id, fan.user_token, fan.queue_token)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    number=strategies.none() | strategies.integers(-(2**64), 2**64),
    text=strategies.none() | strategies.text() | strategies.sampled_from(["\0", "a\0b", "\ud800"]),
    user=strategies.none() | strategies.uuids(),
    flag=strategies.none() | strategies.booleans(),
    seats=strategies.none() | strategies.lists(strategies.integers(-9, 9), max_size=4),
    day=strategies.none() | strategies.dates() | strategies.just("2026-01-01"),
)
def test_a_hot_statement_gives_what_psycopg_gives(
    link: Connection,
    number: int | None,
    text: str | None,
    user: UUID | None,
    flag: bool | None,
    seats: list[int] | None,
    day: date | str | None,
) -> None:
    listed = None if seats is None else f"{{{','.join(map(str, seats))}}}"
    values = {
        "number": number,
        "text": text,
        "user": user,
        "flag": flag,
        "list": listed,
        "day": day,
    }
    usual = said(lambda: link.execute(VALUES, values).fetchone())
    assert said(lambda: VALUES.row(link, values)) == usual
    if isinstance(usual, tuple):
        assert VALUES.rows(link, values) == [usual]


def test_rows_come_as_psycopg_gives_them(link: Connection) -> None:
    for count in (0, 1, 1000):
        rows = link.execute(ROWS, {"count": count}).fetchall()
        assert ROWS.rows(link, {"count": count}) == rows
        assert ROWS.row(link, {"count": count}) == (rows[0] if rows else None)


def test_every_hot_statement_can_be_prepared(link: Connection) -> None:
    ours = [one for one in hot_statements if one not in (VALUES, ROWS, SLEEP)]
    assert {HOLD, PAY, CHARGE} <= set(ours)
    for number, one in enumerate(ours):
        link.pgconn.prepare(b"all_%d" % number, one._numbered)
    names = {row[0] for row in link.execute(PREPARED)}
    assert {f"all_{number}" for number in range(len(ours))} <= names


def test_a_hot_statement_is_prepared_once_on_each_connection(
    sale: Sale, settings: Settings
) -> None:
    concert = sale.concert(price=10)
    fans = [sale.admitted_fan(concert) for _ in range(4)]
    with one_connection(settings) as app:
        found = []
        for number, fan in enumerate(fans, 1):
            fan = at(fan, app)
            assert fan.charge(10).status_code == 200
            assert fan.hold(concert, number).status_code == 200
            assert fan.pay(concert, number).status_code == 200
            found.append({name for name in prepared_on(app) if name.startswith("concert_")})
        assert len(found[0]) == 3
        assert found == [found[0]] * 4


@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with a key"])
def test_told_to_prepare_nothing_the_service_prepares_nothing(
    sale: Sale, settings: Settings, keyed: bool
) -> None:
    """PgBouncer would hand the next statement to a server that knows nothing of the first."""
    concert = sale.concert(price=10)
    fans = [sale.admitted_fan(concert) for _ in range(8)]
    with one_connection(settings, prepared_statements=False) as app:
        for number, fan in enumerate(fans, 1):
            fan = at(fan, app)
            assert fan.seats(concert).status_code == 200
            assert fan.charge(10, headers=key("charge", keyed)).status_code == 200
            assert fan.hold(concert, number, headers=key("hold", keyed)).status_code == 200
            assert fan.pay(concert, number, headers=key("pay", keyed)).status_code == 200
        assert prepared_on(app) == set()


@pytest.mark.parametrize("lost_by", ["DISCARD ALL", "DEALLOCATE ALL"])
@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with a key"])
def test_what_the_server_has_lost_is_prepared_again_and_done_once(
    sale: Sale, settings: Settings, lost_by: str, keyed: bool
) -> None:
    concert = sale.concert(price=10)
    fans = [sale.admitted_fan(concert) for _ in range(6)]
    with one_connection(settings) as app:
        for number, fan in enumerate(fans, 1):
            fan = at(fan, app)

            def lose(app: ConcertApp = app) -> None:
                with app.app_context(), connection() as link:
                    link.pgconn.exec_(lost_by.encode())
                    # psycopg's own are not what this is about.
                    link.prepare_threshold = None
                    link._prepared._names.clear()

            lose()
            assert fan.charge(10, headers=key("charge", keyed)).status_code == 200
            lose()
            assert fan.hold(concert, number, headers=key("hold", keyed)).status_code == 200
            lose()
            assert fan.pay(concert, number, headers=key("pay", keyed)).status_code == 200
            assert fan.balance() == 0


def test_a_plan_that_fits_no_more_since_a_migration_is_made_again(link: Connection) -> None:
    link.execute("CREATE TEMP TABLE changing (a int)")
    link.execute("INSERT INTO changing VALUES (1)")
    read = Hot("SELECT * FROM changing WHERE a < %(most)s")
    assert read.row(link, {"most": 5}) == (1,)
    link._prepared._names.clear()
    link.execute("ALTER TABLE changing ADD b text DEFAULT 'new'")
    assert read.row(link, {"most": 5}) == (1, "new")
    assert read.row(link, {"most": 5}) == (1, "new")


def test_within_a_transaction_a_plan_is_made_again_when_it_is_undone(link: Connection) -> None:
    link.execute("CREATE TEMP TABLE growing (a int)")
    write = Hot("INSERT INTO growing VALUES (%(a)s) RETURNING *")
    assert write.row(link, {"a": 1}) == (1,)
    # With statements of its own psycopg would drop all after an ALTER of ours; others alter, too.
    link._prepared._names.clear()
    link.execute("ALTER TABLE growing ADD b text DEFAULT 'new'")
    with pytest.raises(Forgotten), link.transaction():
        link.execute("INSERT INTO growing VALUES (2)")
        write.row(link, {"a": 3})
    with link.transaction():
        assert write.row(link, {"a": 4}) == (4, "new")
    assert link.execute("SELECT a FROM growing ORDER BY a").fetchall() == [(1,), (4,)]


def test_an_error_of_the_same_code_from_elsewhere_is_told_at_once(link: Connection) -> None:
    link.execute(
        "CREATE FUNCTION pg_temp.refuse() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM nextval('pg_temp.calls'); RAISE EXCEPTION 'no' USING ERRCODE = '0A000'; END $$"
    )
    link.execute("CREATE TEMP SEQUENCE calls")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        Hot("SELECT pg_temp.refuse()").row(link, {})
    # A sequence is not undone, so it counts how often it was tried.
    assert link.execute("SELECT last_value FROM calls").fetchone() == (1,)


def test_a_rollback_by_which_psycopg_drops_everything_loses_no_transaction(
    link: Connection,
) -> None:
    assert ROWS.row(link, {"count": 1}) == (1, None)
    link.execute("SELECT 1", prepare=True)
    with pytest.raises(ZeroDivisionError), link.transaction():
        raise ZeroDivisionError
    assert not [row for row in psycopg.ClientCursor(link).execute(PREPARED)]
    with link.transaction():
        assert ROWS.row(link, {"count": 1}) == (1, None)


def test_a_rollback_alone_costs_nothing_that_was_prepared(link: Connection) -> None:
    link._prepared._names.clear()
    ROWS.row(link, {"count": 1})
    before = dict(link.prepared.names) if link.prepared else None
    with pytest.raises(ZeroDivisionError), link.transaction():
        ROWS.row(link, {"count": 1})
        raise ZeroDivisionError
    assert link.prepared is not None
    assert link.prepared.names == before
    assert ROWS.row(link, {"count": 1}) == (1, None)


def test_a_hot_statement_ends_with_the_budget_and_its_connection_is_closed(sale: Sale) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable), within(0.3), connection() as link:
        SLEEP.row(link, {"seconds": "30"})
    assert 0.3 <= time.monotonic() - began <= 2.3
    assert link.closed
    with connection() as other:
        assert SLEEP.row(other, {"seconds": "0"}) is not None


@pytest.mark.parametrize("code", ["25006", "40001", "55P03", "57014", "57P01", "53200"])
def test_a_server_that_refuses_a_hot_statement_for_now_is_unavailable(
    sale: Sale, code: str
) -> None:
    refuse = Hot(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")
    with pytest.raises(Unavailable), connection() as link:
        refuse.row(link, {})


def test_a_value_that_postgresql_has_no_room_for_came_with_the_request(sale: Sale) -> None:
    for values in ({"number": 2**70}, {"text": "a\0b"}):
        asked = dict.fromkeys(VALUES._names) | values
        with pytest.raises(BadRequest), connection() as link:
            VALUES.row(link, asked)


def test_an_error_of_a_hot_statement_has_its_constraint(link: Connection) -> None:
    link.execute("CREATE TEMP TABLE once (a int CONSTRAINT only_once UNIQUE)")
    write = Hot("INSERT INTO once VALUES (%(a)s)")
    assert write.row(link, {"a": 1}) is None
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        write.row(link, {"a": 1})
    assert caught.value.diag.constraint_name == "only_once"
    # It was a transaction of its own, and is over.
    assert write.rows(link, {"a": 2}) == []


def test_a_connection_cut_off_while_a_hot_statement_runs_is_unavailable(
    sale: Sale, settings: Settings
) -> None:
    with pytest.raises(Unavailable), connection() as link:
        kill = Hot("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)")
        kill.row(link, {})
    with connection() as link:
        assert ROWS.row(link, {"count": 1}) == (1, None)


def test_on_sqlalchemy_s_connection_a_hot_statement_is_part_of_its_transaction(sale: Sale) -> None:
    with db.engine.connect() as session:
        link: Any = session.connection.driver_connection
        assert not link.autocommit
        assert ROWS.row(link, {"count": 1}) == (1, None)
        assert link.pgconn.transaction_status == psycopg.pq.TransactionStatus.INTRANS


def test_in_a_pipeline_a_hot_statement_waits_for_its_turn(sale: Sale) -> None:
    with within(2.0), connection() as link, link.pipeline():
        first = link.execute("SELECT 1")
        assert ROWS.row(link, {"count": 1}) == (1, None)
        assert first.fetchone() == (1,)


GREEN = """
from gevent import monkey; monkey.patch_all()
import gevent, time
from concert.factory import create_app
from concert.ground.database import connection
from concert.ground.prepared import Hot
from concert.ground.redis_client import redis

app = create_app()
SLEEP = Hot("SELECT pg_sleep(0.5), %(what)s::text")

def postgresql(number):
    with app.app_context(), connection() as link:
        assert link.prepared is not None
        for _ in range(2):
            assert SLEEP.row(link, {"what": str(number)})[1] == str(number)

def of_redis(number):
    with app.app_context():
        assert redis().fast is not None
        for _ in range(2):
            assert redis().ask("BLPOP", "nothing", 0.5) is None
            assert redis().ask("ECHO", number) == b"%d" % number

began, pauses, last = time.monotonic(), [], time.monotonic()
work = [gevent.spawn(do, n) for n in range(5) for do in (postgresql, of_redis)]
while not all(one.ready() for one in work):
    gevent.sleep(0.01)
    pauses.append(time.monotonic() - last); last = time.monotonic()
gevent.joinall(work, raise_error=True)
# Ten that wait a second each, side by side.
assert time.monotonic() - began < 4, time.monotonic() - began
assert sorted(pauses)[len(pauses) // 2] < 0.25, max(pauses)
assert len(pauses) > 10
print("green")
"""


def test_among_greenlets_neither_a_hot_statement_nor_a_script_stops_the_others(
    sale: Sale, settings: Settings
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GREEN],
        env=environment_of(settings)
        | {
            "PYTHONPATH": str(PROJECT),
            "CONCERT_SECRET_KEYS": "a key that is long enough to sign with",
        },
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.endswith("green\n"), done.stdout + done.stderr
