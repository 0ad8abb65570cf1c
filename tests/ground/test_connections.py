"""Pooled connections, which SQLAlchemy and the hot paths share."""

from __future__ import annotations

from redis import Redis
from sqlalchemy import text

from concert.ground.database import connection, db
from concert.ground.settings import Settings
from tests.sale import Sale


def test_a_connection_that_sqlalchemy_gave_back_still_commits_every_statement(sale: Sale) -> None:
    with db.engine.connect() as link:
        link.execute(text("SELECT 1"))
    with connection() as link:
        assert link.autocommit


def test_a_connection_to_redis_that_has_died_is_replaced(sale: Sale, settings: Settings) -> None:
    fan = sale.fan()
    fan.join()
    with Redis.from_url(settings.redis_url) as other:
        assert other.client_kill_filter(_type="normal", skipme=True) > 0
    assert [fan.place().status_code for _ in range(3)] == [200, 200, 200]
