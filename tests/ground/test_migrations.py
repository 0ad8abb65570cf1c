"""Migrations: up, down and up again; and the tables are those of the models."""

from __future__ import annotations

from collections.abc import Iterator

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import concert.models  # noqa: F401  # registers every table
from concert.factory import ConcertApp, create_app
from concert.ground.database import Database, connection, db
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.reservations.queries import HOLD_SEATS
from tests.servers import own_database


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


def test_the_migrations_make_the_tables_of_the_models(app: ConcertApp) -> None:
    with app.app_context(), db.engine.connect() as link:
        context = MigrationContext.configure(
            link, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, db.metadata) == []


def test_every_check_of_the_models_is_in_the_database(app: ConcertApp) -> None:
    from sqlalchemy import CheckConstraint

    wanted = {
        constraint.name
        for table in db.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    with app.app_context(), connection() as link:
        rows = link.execute(
            "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
        ).fetchall()
    assert {row[0] for row in rows} == wanted


def test_the_database_holds_seats_by_the_text_in_the_repository(app: ConcertApp) -> None:
    with app.app_context(), connection() as link:
        row = link.execute("SELECT prosrc FROM pg_proc WHERE proname = 'hold_seats'").fetchone()
    assert row is not None
    assert row[0] == HOLD_SEATS.split("$$")[1]
