"""PostgreSQL: one connection pool per process, under SQLAlchemy and under the hot paths.

SQLAlchemy's models describe the tables and serve everything that is not hot.
Holding, paying, charging and listing seats send one constant statement each over
psycopg's own connection, which costs a third of the processor time of a session.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from flask import Flask, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy import MetaData, NullPool
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import DeclarativeBase

from concert.errors import Unavailable
from concert.settings import Settings

Connection = psycopg.Connection[TupleRow]

# What a session may cost at most; a statement that takes longer has met a fault.
SESSION_OPTIONS = "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=20s -c timezone=UTC"
POOL_WAIT_SECONDS = 5.0


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


db = SQLAlchemy(model_class=Base)
migrate = Migrate(directory="migrations")


def init_database(app: Flask, settings: Settings) -> None:
    """Attach the pool and SQLAlchemy to the app. Nothing connects before the first query."""
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
        num_workers=1,
        check=_check_still_open,
        close_returns=True,
        kwargs={"autocommit": True, "options": SESSION_OPTIONS, "connect_timeout": 5},
        name="concert",
    )
    app.extensions["concert.pool"] = pool
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
    with unavailable_on_failure():
        pool = opened_pool()
        link = pool.getconn()
        try:
            yield link
        finally:
            # It rolls back what an error has left unfinished. The pool's own context manager
            # also commits, which in autocommit is work for nothing.
            pool.putconn(link)


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


def opened_pool() -> ConnectionPool[Connection]:
    """The app's pool, opened on first use so that a forked process has its own."""
    pool: ConnectionPool[Connection] = current_app.extensions["concert.pool"]
    if pool.closed:
        pool.open()
    return pool


def _checkout_for_sqlalchemy(pool: ConnectionPool[Connection]) -> Any:
    if pool.closed:
        pool.open()
    link = pool.getconn()
    link.autocommit = False
    return link


def _check_still_open(link: Connection) -> None:
    """Refuse a pooled connection whose server has gone; this asks the socket, not the server."""
    if not link.autocommit:
        link.autocommit = True
    poller = select.poll()
    poller.register(link.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if poller.poll(0):
        raise psycopg.OperationalError("the server closed the connection")
