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
from concert.ground.database import Database, connection, db
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.reservations.queries import HOLD_SEATS
from tests.servers import own_database
from tests.service import PROJECT
from tests.waiting import wait_until

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
    assert first == (set(db.metadata.tables), {"hold_seats"})
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


def test_the_migrations_install_the_text_in_the_repository(empty_app: ConcertApp) -> None:
    flask_migrate.upgrade()
    with connection() as link:
        row = link.execute("SELECT prosrc FROM pg_proc WHERE proname = 'hold_seats'").fetchone()
    assert row is not None
    assert row[0] == HOLD_SEATS.split("$$")[1]
