"""PostgreSQL: one connection pool per process, under SQLAlchemy and under the hot paths.

SQLAlchemy's models describe the tables and serve everything that is not hot.
Holding, paying, charging and listing seats send one constant statement each over
psycopg's own connection, which costs a third of the processor time of a session.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy import MetaData, NullPool
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import DeclarativeBase

from concert.ground.errors import Unavailable
from concert.ground.parts import keep, part
from concert.ground.settings import Settings

Connection = psycopg.Connection[TupleRow]

# What a session may cost at most; a statement that takes longer has met a fault.
SESSION_OPTIONS = "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=20s -c timezone=UTC"
POOL_WAIT_SECONDS = 3.0
OUTAGE_SECONDS = 1.0


class Base(DeclarativeBase):
    """All models; constraints get names from one convention, so that errors can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Outage:
    """Whether the last attempt to reach the server has failed just now.

    Then nobody waits for the next one: a thread that waits for PostgreSQL is missing
    to those who only ask for their place, which Redis knows.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self) -> None:
        """Note a failed attempt."""
        self._until = time.monotonic() + OUTAGE_SECONDS

    def lasts(self) -> bool:
        """Whether to refuse at once; when it is over, the next request tries again."""
        return time.monotonic() < self._until


@dataclass(frozen=True, slots=True)
class Database:
    """The pool of this process, and whether the server can be reached."""

    pool: ConnectionPool[Connection]
    outage: Outage


db = SQLAlchemy(model_class=Base)
migrate = Migrate(directory="migrations")


def init_database(app: Flask, settings: Settings) -> None:
    """Attach the pool and SQLAlchemy to the app. Nothing connects before the first query."""
    outage = Outage()
    pool: ConnectionPool[Connection] = ConnectionPool(
        settings.database_url,
        min_size=0,
        max_size=settings.database_pool_size,
        open=False,
        timeout=POOL_WAIT_SECONDS,
        max_idle=300,
        # The pool tries again ever more seldom and lets nobody else try meanwhile; given up
        # soon, an attempt is followed by the next request's own, so that the service is back
        # as soon as the database is.
        reconnect_timeout=2,
        reconnect_failed=lambda _: outage.begin(),
        num_workers=1,
        close_returns=True,
        kwargs={"autocommit": True, "options": SESSION_OPTIONS, "connect_timeout": 5},
        name="concert",
    )
    keep(app, Database(pool, outage))
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://"
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "creator": lambda: _checkout_for_sqlalchemy(pool),
        "poolclass": NullPool,
        "use_native_hstore": False,
    }
    db.init_app(app)
    migrate.init_app(app, db, directory=str(app.config["MIGRATIONS_DIRECTORY"]), compare_type=True)


@contextmanager
def connection() -> Iterator[Connection]:
    """A pooled connection in autocommit: every statement is a transaction of its own.

    Raises:
        Unavailable: PostgreSQL cannot be reached, or took too long.
    """
    database = part(Database)
    if database.outage.lasts():
        raise Unavailable("The database")
    with unavailable_on_failure():
        link = _checked_out(database.pool)
        try:
            yield link
        finally:
            # It rolls back what an error has left unfinished. The pool's own context manager
            # also commits, which in autocommit is work for nothing.
            database.pool.putconn(link)


def array(numbers: Iterable[int]) -> str:
    """Whole numbers as PostgreSQL writes an array; say its type in the statement.

    psycopg takes 20 microseconds to find out what kind of list it was given.
    """
    return f"{{{','.join(map(str, numbers))}}}"


@contextmanager
def unavailable_on_failure() -> Iterator[None]:
    """Turn a lost, refused or timed-out connection into ``Unavailable``."""
    try:
        yield
    except (
        PoolTimeout,
        psycopg.OperationalError,
        psycopg.InterfaceError,
        psycopg.errors.QueryCanceled,
    ) as error:
        raise Unavailable("The database") from error
    except (OperationalError, InterfaceError) as error:
        raise Unavailable("The database") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("The database") from error
        raise


def _checked_out(pool: ConnectionPool[Connection]) -> Connection:
    """A connection whose server is still there, as far as the socket knows; this asks no server.

    The pool's own check would hand the same dead connection out again, since nothing has
    told it that it is dead, and would wait between two of them.
    """
    if pool.closed:
        pool.open()  # on first use, so that a forked process has its own connections
    while True:
        link = pool.getconn()
        poller = select.poll()
        poller.register(link.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        if not poller.poll(0):
            # SQLAlchemy may have had it last, and works without autocommit.
            if not link.autocommit:
                link.autocommit = True
            return link
        link.pgconn.finish()
        pool.putconn(link)


def _checkout_for_sqlalchemy(pool: ConnectionPool[Connection]) -> Any:
    link = _checked_out(pool)
    link.autocommit = False
    return link
