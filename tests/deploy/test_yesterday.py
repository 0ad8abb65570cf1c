"""A deploy runs the release before on the schema of this one, for as long as it takes."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from concert.factory import ConcertApp
from concert.ground.database import connection
from tests.deploy.yesterday import RECORD, columns, statements

YESTERDAY: dict[str, Any] = json.loads(RECORD.read_text())
NEEDED = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL
    AND is_identity = 'NO' AND is_generated = 'NEVER'"""
# A value whose type PostgreSQL cannot tell by itself: psycopg says it.
UNKNOWN_TYPE = "42P18"


def unprepared(link: psycopg.Connection[Any], wanted: dict[str, str]) -> dict[str, str]:
    """The statements that PostgreSQL does not understand, and why."""
    faults = {}
    for name, text in wanted.items():
        try:
            with link.transaction():
                result = link.pgconn.prepare(b"", text.encode())
                if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                    raise psycopg.errors.error_from_result(result)
        except psycopg.Error as error:
            if error.sqlstate != UNKNOWN_TYPE:
                faults[name] = str(error)
    return faults


def test_every_statement_of_the_release_before_is_understood_by_todays_schema(
    app: ConcertApp,
) -> None:
    assert len(YESTERDAY["statements"]) > 50
    with app.app_context(), connection() as link:
        assert unprepared(link, YESTERDAY["statements"]) == {}


def test_a_column_is_only_added_and_does_without_being_named(app: ConcertApp) -> None:
    before = {tuple(column) for column in YESTERDAY["columns"]}
    tables = {table for table, _ in before}
    with app.app_context(), connection() as link:
        today = {tuple(column) for column in columns(link)}
        needed = {tuple(row) for row in link.execute(NEEDED).fetchall()}
    # Taken away one release after nobody names it any more.
    assert before - today == set()
    assert {column for column in needed - before if column[0] in tables} == set()


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE seats RENAME COLUMN price TO cost", "DROP FUNCTION hold_seats"],
    ids=["a column has another name", "a function is gone"],
)
def test_control_a_change_that_takes_something_away_is_noticed(
    app: ConcertApp, change: str
) -> None:
    with app.app_context(), connection() as link, link.transaction(force_rollback=True):
        link.execute(change)
        assert unprepared(link, statements())
