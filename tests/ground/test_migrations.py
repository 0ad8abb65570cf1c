"""Migrations: up, down and up again; and the tables are those of the models."""

from __future__ import annotations

import ast
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import flask_migrate
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import concert.models  # noqa: F401  # registers every table
from concert.factory import ConcertApp, create_app
from concert.ground.audit import APPEND_ONLY
from concert.ground.database import Database, connection, db
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.payments.queries import PAY_RESERVATION, PAY_TOGETHER
from concert.reservations.queries import HOLD_SEATS, HOLD_TOGETHER, LOOK_TOGETHER
from concert.reservations.service import tidy_expired
from concert.wallet.service import CHARGE_TOGETHER
from tests.servers import own_database
from tests.service import PROJECT
from tests.waiting import wait_until

# All that PostgreSQL knows of a function: its arguments, its settings and its text.
DEFINITION = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s"
MIGRATIONS = PROJECT / "migrations"


@pytest.fixture
def empty_app(settings: Settings) -> Iterator[ConcertApp]:
    """The app on a database of its own with nothing in it."""
    with own_database(settings.database_url, "migrations") as url:
        app = create_app(settings.model_copy(update={"database_url": url}))
        with app.app_context():
            yield app
        part(Database, app).pool.close()


def tables() -> set[str]:
    with connection() as link:
        rows = link.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    return {row[0] for row in rows} - {"alembic_version"}


def functions() -> set[str]:
    with connection() as link:
        rows = link.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()
    return {row[0] for row in rows}


def test_migrations_go_up_and_down_and_up_again(empty_app: ConcertApp) -> None:
    flask_migrate.upgrade()
    first = tables(), functions()
    assert first == (
        set(db.metadata.tables),
        {
            *("hold_seats", "hold_together", "look_together", "pay_reservation", "pay_together"),
            *("charge_together", "refuse_audit_change"),
        },
    )
    flask_migrate.downgrade(revision="base")
    assert (tables(), functions()) == (set(), set())
    flask_migrate.upgrade()
    assert (tables(), functions()) == first


def test_migrating_what_is_at_head_changes_nothing(empty_app: ConcertApp) -> None:
    flask_migrate.upgrade()
    with connection() as link:
        link.execute("UPDATE rooms SET capacity = 7")
    flask_migrate.upgrade()
    with connection() as link:
        assert link.execute("SELECT slug, capacity FROM rooms").fetchall() == [("main", 7)]


def test_a_migration_brings_everything_with_it() -> None:
    versions = sorted((MIGRATIONS / "versions").glob("*.py"))
    assert versions
    for version in versions:
        imported = [
            name
            for node in ast.walk(ast.parse(version.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None), *(one.name for one in node.names)]
        ]
        assert not [name for name in imported if (name or "").startswith("concert")], version.name


FULL_HOUSES = """
INSERT INTO users (id) SELECT md5(n::text)::uuid FROM generate_series(1, 1000) AS n;
WITH concert AS (
    INSERT INTO concerts (title, venue, room_slug) VALUES ('Concert', 'Hall', 'main') RETURNING id)
INSERT INTO performances (concert_id, date, starts_at, price, capacity, sales_open_at, sales_close_at)
SELECT id, current_date + day, now() + day * interval '1 day', 10, 10000, now() - interval '1 day', now() + interval '1 day'
FROM concert, generate_series(1, 10) AS day;
INSERT INTO reservations
    (id, user_id, performance_id, seat_nos, prices, amount, status, created_at, held_until)
SELECT gen_random_uuid(), md5((seat_no % 1000 + 1)::text)::uuid, p.id, ARRAY[seat_no]::smallint[], '{10}', 10, 'held',
    now(), now() + (seat_no - 100) * interval '1 minute'
FROM performances p, generate_series(1, 10000) AS seat_no;
INSERT INTO seats (performance_id, seat_no, price, reservation_id, held_until)
SELECT performance_id, seat_nos[1], 10, id, held_until FROM reservations;"""


def test_a_hundred_thousand_seats_that_are_held_go_up_and_down_as_they_are(
    empty_app: ConcertApp,
) -> None:
    def seats() -> list[tuple[int, str]]:
        with connection() as link:
            return link.execute(
                "SELECT count(*), md5(string_agg((performance_id, seat_no, price, reservation_id, held_until, sold_at)"
                "::text, ',' ORDER BY performance_id, seat_no)) FROM seats"
            ).fetchall()

    flask_migrate.upgrade(revision="0003")
    with psycopg.connect(part(Settings, empty_app).database_url) as filling:
        filling.execute(FULL_HOUSES)
    before = seats()
    assert before[0][0] == 100_000
    flask_migrate.upgrade()
    assert seats() == before
    with connection() as link:
        assert link.execute("SELECT count(*) FROM seats_for_sale").fetchall() == [(100_000,)]
    flask_migrate.downgrade(revision="0003")
    assert seats() == before
    flask_migrate.upgrade()
    assert tidy_expired() == 1_000
    with connection() as link:
        row = link.execute(
            "SELECT outcome FROM hold_seats(md5('1')::uuid, 1, '{1}', gen_random_uuid(), interval '1 s', 1000)"
        ).fetchone()
        assert row == ("held",)
        paid = link.execute(
            "SELECT paid_id, amount FROM pay_reservation(md5('1')::uuid, NULL, 1, 1::smallint, gen_random_uuid(), 'main', 1)"
        ).fetchone()
        assert paid == (None, 10)


BOUGHT_BEFORE = """
INSERT INTO users (id) SELECT md5(n::text)::uuid FROM generate_series(1, 3) AS n;
INSERT INTO wallets (user_id, balance) SELECT id, 0 FROM users;
INSERT INTO reservations
    (id, user_id, performance_id, seat_nos, prices, amount, status, created_at, held_until)
SELECT id, id, 1, seat_nos, array_fill(10, ARRAY[cardinality(seat_nos)]), 10 * cardinality(seat_nos), status, now(), now()
FROM users JOIN (VALUES ('1', '{1,2}'::smallint[], 'paid'), ('2', '{3}', 'paid'), ('3', '{4}', 'held'))
    AS bought (n, seat_nos, status) ON id = md5(n)::uuid;
INSERT INTO payments (id, reservation_id, user_id, amount, balance_after, paid_at)
SELECT id, id, user_id, amount, 0, now() FROM reservations WHERE status = 'paid';"""


def test_what_was_paid_before_there_were_tickets_has_one_for_each_seat(
    empty_app: ConcertApp,
) -> None:
    flask_migrate.upgrade(revision="0006")
    with psycopg.connect(part(Settings, empty_app).database_url) as filling:
        filling.execute(BOUGHT_BEFORE)
    flask_migrate.upgrade()
    with connection() as link:
        made = link.execute(
            "SELECT performance_id, seat_no, payment_id = user_id, status, serial FROM tickets ORDER BY seat_no"
        ).fetchall()
    assert made == [(1, seat, True, "valid", 1) for seat in (1, 2, 3)]
    flask_migrate.downgrade(revision="0006")


CHANGE_USERS = """
from alembic import op

revision = "9999"
down_revision = {head!r}

def upgrade():
    op.execute("ALTER TABLE users ADD COLUMN shoe_size integer")
"""


@pytest.fixture
def with_a_change(empty_app: ConcertApp, tmp_path: Path) -> Path:
    """The migrations and one more, which changes a table; the database is at the one before."""
    flask_migrate.upgrade()
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    (copy / "versions" / "9999_change.py").write_text(CHANGE_USERS.format(head=head))
    return copy


def test_a_table_that_is_in_use_is_changed_later_and_nobody_waits_for_it_meanwhile(
    empty_app: ConcertApp, with_a_change: Path
) -> None:
    url = part(Settings, empty_app).database_url

    def migrate() -> None:
        with empty_app.app_context():
            flask_migrate.upgrade(directory=str(with_a_change))

    def waiting() -> int:
        found = watching.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        assert found is not None
        return int(found[0])

    with (
        psycopg.connect(url) as using,
        psycopg.connect(url, autocommit=True) as watching,
        psycopg.connect(url, autocommit=True, options="-c statement_timeout=10s") as asking,
        ThreadPoolExecutor(1) as pool,
    ):
        using.execute("SELECT count(*) FROM users")  # and its transaction stays open
        migrated = pool.submit(migrate)
        try:
            for _ in range(2):
                wait_until(waiting, what="the change waits for the table")
                began = time.monotonic()
                # Behind the change; unguarded, for as long as the one before it goes on.
                asking.execute("SELECT count(*) FROM users")
                assert time.monotonic() - began < 5
                wait_until(lambda: not waiting(), what="the change gives way")
            assert not migrated.done()
        finally:
            using.rollback()
        migrated.result(30)
        asking.execute("SELECT shoe_size FROM users")


def test_the_migrations_make_the_tables_of_the_models(app: ConcertApp) -> None:
    with app.app_context(), db.engine.connect() as link:
        context = MigrationContext.configure(
            link, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, db.metadata) == []


def checks() -> dict[str, str]:
    """What each check of the database demands, in PostgreSQL's own words."""
    with connection() as link:
        rows = link.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
        ).fetchall()
    return dict(rows)


def test_every_check_of_the_models_is_in_the_database(empty_app: ConcertApp) -> None:
    flask_migrate.upgrade()
    migrated = checks()
    flask_migrate.downgrade(revision="base")
    db.create_all()
    assert migrated == checks() != {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hold_seats", HOLD_SEATS),
        ("hold_together", HOLD_TOGETHER),
        ("pay_reservation", PAY_RESERVATION),
        ("pay_together", PAY_TOGETHER),
        ("charge_together", CHARGE_TOGETHER),
        ("look_together", LOOK_TOGETHER),
    ],
)
def test_the_migrations_install_the_text_in_the_repository(
    empty_app: ConcertApp, name: str, text: str
) -> None:
    flask_migrate.upgrade()
    with connection() as link:
        migrated = link.execute(DEFINITION, (name,)).fetchone()
        link.execute(f"DROP FUNCTION {name}".encode())
        link.execute(text.encode())
        assert link.execute(DEFINITION, (name,)).fetchone() == migrated


GUARD = """
SELECT pg_get_functiondef(tgfoid), pg_get_triggerdef(oid), tgenabled
FROM pg_trigger WHERE tgname = 'audit_log_append_only'"""


def test_the_migrations_guard_the_audit_log_as_the_repository_says(empty_app: ConcertApp) -> None:
    flask_migrate.upgrade()
    with connection() as link:
        migrated = link.execute(GUARD).fetchone()
        link.execute("DROP FUNCTION refuse_audit_change CASCADE")
        link.execute(APPEND_ONLY.encode())
        assert link.execute(GUARD).fetchone() == migrated is not None
