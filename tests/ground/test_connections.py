"""Pooled connections, which SQLAlchemy and the hot paths share."""

from __future__ import annotations

from sqlalchemy import text

from concert.ground.database import connection, db
from tests.sale import Sale


def test_a_connection_that_sqlalchemy_gave_back_still_commits_every_statement(sale: Sale) -> None:
    with db.engine.connect() as link:
        link.execute(text("SELECT 1"))
    with connection() as link:
        assert link.autocommit
