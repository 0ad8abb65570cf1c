"""PostgreSQL: one connection pool per process, under SQLAlchemy and under the hot paths.

SQLAlchemy's models describe the tables and serve everything that is not hot.
Holding, paying, charging and listing seats send one constant statement each over
psycopg's own connection, which costs a third of the processor time of a session.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import structlog
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy import MetaData, NullPool
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import DeclarativeBase

from concert.ground.budget import OUTAGE_SECONDS, QUICK, UNHURRIED, Budget, Limits, Outage, budget
from concert.ground.errors import BadRequest, Unavailable
from concert.ground.parts import keep, part
from concert.ground.prepared import Prepared, prepares
from concert.ground.settings import Settings

log = structlog.get_logger()

# A connection begins with what a request may cost. Whoever has more time says so on it.
OPTIONS = {
    "statement_timeout": f"{QUICK.statement_ms}ms",
    "lock_timeout": f"{QUICK.lock_ms}ms",
    "idle_in_transaction_session_timeout": "10s",
    "timezone": "UTC",
}
SESSION_OPTIONS = " ".join(f"-c {name}={value}" for name, value in OPTIONS.items())
SET_LIMITS = (
    "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)"
)
# What a batch of upkeep may cost at most; nobody waits for it, and it waits for nobody.
UPKEEP_OPTIONS = "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '1s'"
CONNECT_SECONDS = 2
# How often a wait looks whether somebody else has found the server silent meanwhile.
GLANCE_SECONDS = 0.25
# The same for the wait for a connection, which loses its place in the queue each time.
LOOK_SECONDS = 0.25
# So long without an answer, the server is asked whether it is there, and has this long to say so.
SUSPICIOUS_SECONDS = 1.0
ASKING_SECONDS = 0.5
SSL_REQUEST = struct.pack("!ii", 8, 80_877_103)
# Longer than the server takes for any answer that it gives: an error at the latest, by its own timeouts.
SILENT_SECONDS = QUICK.statement_ms / 1000
# psycopg counts these as errors of ours; they are a server that takes no work of this kind now.
REFUSALS = (
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
)


class Connection(psycopg.Connection[TupleRow]):
    """psycopg's connection, with an end to every wait.

    libpq waits for a server that is stopped, and for a network that swallows everything, as
    long as it likes. A connection whose time was over is closed: its answer may still come,
    and would be taken for the answer to the next question.
    """

    allowed: Budget = UNHURRIED
    limits: Limits = QUICK
    outage: Outage | None = None
    # None where nothing may be prepared.
    prepared: Prepared | None = None

    def wait(self, gen: Any, interval: float = GLANCE_SECONDS, timeout: float | None = None) -> Any:
        """Wait for the server, within the budget of whoever has checked this connection out.

        Raises:
            OperationalError: the time is over, or the server was found silent meanwhile.
        """
        began = time.monotonic()
        left = longest = self.allowed.left()
        while True:
            try:
                found = super().wait(
                    gen, timeout=GLANCE_SECONDS if left > GLANCE_SECONDS else max(0.0, left)
                )
            except psycopg.errors._WaitTimeout:
                waited = time.monotonic() - began
                left = longest - waited
                self._look_around(waited)
                silent = self.outage is not None and self.outage.began >= began
                if left > 0 and not silent:
                    continue
                self.pgconn.finish()
                if self.outage is not None:
                    if waited >= SILENT_SECONDS:
                        self.outage.begin()
                    else:
                        self.outage.goes_on()
                raise psycopg.OperationalError("PostgreSQL has not answered in time") from None
            if self.outage is not None:
                self.outage.end()
            return found

    def _deallocate(self, name: bytes | None) -> Any:
        """Forget our own prepared statements with psycopg's, which drops all after a rollback."""
        if name is None and self.prepared is not None:
            self.prepared.names.clear()
        return super()._deallocate(name)

    def _look_around(self, waited: float) -> None:
        """Find out whether the server is slow (a lock, a long statement) or says nothing to anybody."""
        if waited < SUSPICIOUS_SECONDS or self.outage is None or not self.outage.is_suspected():
            return
        if not answers(self.info.host, self.info.port):
            self.outage.begin()


def answers(host: str, port: int) -> bool:
    """Whether a PostgreSQL server says anything: it answers a question for encryption before a login."""
    try:
        with _reached(host, port) as link:
            link.sendall(SSL_REQUEST)
            return link.recv(1) != b""
    except OSError:
        return False


def _reached(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port), ASKING_SECONDS)
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(ASKING_SECONDS)
    try:
        link.connect(f"{host}/.s.PGSQL.{port}")
    except OSError:
        link.close()
        raise
    return link


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


@dataclass(slots=True)
class Database:
    """The pool of this process, and whether the server can be reached.

    ``equip`` is done to every new connection, where traces are on. Where ``shares_sessions``, a
    bouncer stands in between: what is set for a session would be found by somebody else.
    """

    pool: ConnectionPool[Connection]
    outage: Outage
    shares_sessions: bool = False
    # Whether only a server that takes writes will do, as DATABASE_URL may say.
    wants_writes: bool = False
    looked_anew_at: float = 0.0
    equip: Callable[[Connection], None] | None = None

    def look_anew(self) -> None:
        """Drop the connections at hand: after a failover they lead to the wrong server."""
        now = time.monotonic()
        if now - self.looked_anew_at > OUTAGE_SECONDS:
            self.looked_anew_at = now
            self.pool.drain()


db = SQLAlchemy(model_class=Base)
migrate = Migrate(directory="migrations")


def init_database(app: Flask, settings: Settings) -> None:
    """Attach the pool and SQLAlchemy to the app. Nothing connects before the first query."""
    outage = Outage()

    def equip(link: Connection) -> None:
        link.outage = outage
        if settings.prepared_statements:
            link.prepared = prepares(link)
        else:
            link.prepare_threshold = None  # psycopg's own
        if database.equip is not None:
            database.equip(link)

    shares_sessions = settings.session_options == "role"
    # A bouncer refuses them in the first message; then the role has them (see bouncer.py).
    options = {} if shares_sessions else {"options": SESSION_OPTIONS}
    pool: ConnectionPool[Connection] = ConnectionPool(
        settings.database_url,
        connection_class=Connection,
        configure=equip,
        min_size=0,
        max_size=settings.database_pool_size,
        open=False,
        max_idle=300,
        # The pool tries again ever more seldom and lets nobody else try meanwhile; given up
        # soon, an attempt is followed by the next request's own, so that the service is back
        # as soon as the database is.
        reconnect_timeout=2,
        reconnect_failed=lambda _: outage.begin(),
        num_workers=1,
        close_returns=True,
        kwargs={
            "autocommit": True,
            **options,
            "connect_timeout": CONNECT_SECONDS,
            # Where the network swallows everything, the system gives a connection up by itself.
            "tcp_user_timeout": 3000,
            "keepalives_idle": 10,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        },
        name="concert",
    )
    wanted = conninfo_to_dict(settings.database_url).get("target_session_attrs")
    wants_writes = wanted in ("read-write", "primary")
    database = keep(app, Database(pool, outage, shares_sessions, wants_writes))
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://"
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "creator": lambda: _checkout_for_sqlalchemy(database),
        "poolclass": NullPool,
        "use_native_hstore": False,
    }
    db.init_app(app)
    migrate.init_app(app, db, directory=str(app.config["MIGRATIONS_DIRECTORY"]), compare_type=True)


@contextmanager
def connection() -> Iterator[Connection]:
    """A pooled connection in autocommit: every statement is a transaction of its own.

    Raises:
        Unavailable: PostgreSQL cannot be reached, or has not answered within the budget.
    """
    database = part(Database)
    with unavailable_on_failure():
        link = _checked_out(database)
        try:
            yield link
        except psycopg.errors.ReadOnlySqlTransaction:
            link.pgconn.finish()
            raise
        finally:
            # It rolls back what an error has left unfinished. The pool's own context manager
            # also commits, which in autocommit is work for nothing.
            database.pool.putconn(link)


@contextmanager
def upkeep_connection() -> Iterator[Connection]:
    """A pooled connection in one transaction, for a batch of upkeep: with a time limit of its own.

    Raises:
        Unavailable: PostgreSQL cannot be reached, or took longer than a batch may.
    """
    with connection() as link, link.transaction():
        link.execute(UPKEEP_OPTIONS)
        yield link


def array(numbers: Iterable[int | UUID]) -> str:
    """Whole numbers or UUIDs as PostgreSQL writes an array; say its type in the statement.

    psycopg takes 20 microseconds to find out what kind of list it was given.
    """
    return f"{{{','.join(map(str, numbers))}}}"


def text_array(words: Iterable[str]) -> str:
    """The same of any words: each in quotes, with what would end them escaped."""
    quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "{" + ",".join([f'"{word}"' for word in quoted]) + "}"


@contextmanager
def undone_together(what: str) -> Iterator[None]:
    """Around one statement on a ``connection`` that does the work of several: one that PostgreSQL has
    refused as a whole has done nothing, so it is logged, and each can be done alone.

    Not so where nobody knows what became of it: then the error goes on.
    """
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(("57P", "08")):
            raise
        log.warning("together_refused", what=what, error=str(error))


@contextmanager
def unavailable_on_failure() -> Iterator[None]:
    """Turn a connection that is lost, refused, too slow or closed to such work into ``Unavailable``.

    A value that PostgreSQL has no room for (a NUL, a number or a date out of range) becomes
    ``BadRequest``, for it came with the request.
    """
    try:
        yield
    except psycopg.DataError as error:
        log.warning("value_refused", error=str(error))
        raise BadRequest(
            "A value is out of range, or has a character in it that none may have."
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError, *REFUSALS) as error:
        _look_anew_after(error)
        raise Unavailable("The database") from error
    except (OperationalError, InterfaceError) as error:
        raise Unavailable("The database") from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, REFUSALS):
            _look_anew_after(error.orig)
            raise Unavailable("The database") from error
        raise


def _look_anew_after(error: BaseException | None) -> None:
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        part(Database).look_anew()


def _takes_writes(link: Connection) -> bool:
    """Whether its server did so when it last answered: PostgreSQL says by itself when that changes."""
    status = link.pgconn.parameter_status
    return status(b"in_hot_standby") != b"on" and status(b"default_transaction_read_only") != b"on"


def _checked_out(database: Database) -> Connection:
    """A connection whose server is still there, as far as the socket knows; this asks no server.

    The pool's own check would hand the same dead connection out again, since nothing has
    told it that it is dead, and would wait between two of them.
    """
    pool, outage = database.pool, database.outage
    if outage.refuses():
        raise psycopg.OperationalError("PostgreSQL was silent just now")
    if pool.closed:
        pool.open()  # on first use, so that a forked process has its own connections
    allowed = budget()
    while True:
        link = _from_pool(pool, allowed, outage)
        poller = select.poll()
        poller.register(link.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        if poller.poll(0) or (database.wants_writes and not _takes_writes(link)):
            link.pgconn.finish()
            pool.putconn(link)
            continue
        link.allowed = allowed
        # SQLAlchemy may have had it last, and works without autocommit.
        if not link.autocommit:
            link.autocommit = True
        if link.limits is not allowed.limits and not database.shares_sessions:
            _set_limits(pool, link, allowed.limits)
        return link


def _from_pool(pool: ConnectionPool[Connection], allowed: Budget, outage: Outage) -> Connection:
    began = time.monotonic()
    ends = began + allowed.left()
    while True:
        left = ends - time.monotonic()
        try:
            return pool.getconn(min(left, LOOK_SECONDS))
        except PoolTimeout:
            # Somebody who waited for an answer, or for a connection, has found it silent.
            if left <= LOOK_SECONDS or outage.began >= began:
                outage.goes_on()
                raise


def _set_limits(pool: ConnectionPool[Connection], link: Connection, limits: Limits) -> None:
    try:
        link.execute(SET_LIMITS, (f"{limits.statement_ms}ms", f"{limits.lock_ms}ms"))
    except BaseException:
        link.pgconn.finish()
        pool.putconn(link)
        raise
    link.limits = limits


def _checkout_for_sqlalchemy(database: Database) -> Any:
    link = _checked_out(database)
    link.autocommit = False
    return link
