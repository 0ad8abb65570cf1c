"""How migrations reach the database: through the app, which knows it.

One instance migrates at a time: the others wait for an advisory lock and then find nothing to do.

A change to a table waits for everybody who uses it, and everybody who comes meanwhile waits
behind the change. So it waits for a moment only, lets those behind it through, and tries again.
"""

from __future__ import annotations

import time
from math import inf

import structlog
from alembic import context
from flask import current_app
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from concert.ground.budget import PATIENT, within
from concert.ground.database import db

log = structlog.get_logger()

MIGRATION_LOCK = 4_301_907
# What a change may cost those behind it, and what they get before the next try.
LOCK_MILLISECONDS = 500
PAUSE_SECONDS = 1.0
# About ten minutes: longer than any statement of ours, and than a backup's locks as a rule.
TRIES = 400


def run() -> None:
    """Run the migrations that are asked for, each in a transaction of its own."""
    if context.is_offline_mode():
        context.configure(
            dialect_name="postgresql", target_metadata=db.metadata, literal_binds=True
        )
        with context.begin_transaction():
            context.run_migrations()
        return
    engine = current_app.extensions["migrate"].db.engine
    # It may wait for another instance that migrates, and rewrite a large table.
    with within(inf, each=inf, limits=PATIENT), engine.connect() as connection:
        connection.execute(text("SET lock_timeout = 0; SET statement_timeout = 0"))
        connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
        connection.execute(text(f"SET lock_timeout = {LOCK_MILLISECONDS}"))
        connection.commit()
        try:
            run_patiently(connection)
        finally:
            connection.rollback()
            connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
            connection.execute(text("RESET lock_timeout; RESET statement_timeout"))
            connection.commit()


def run_patiently(connection: Connection) -> None:
    """Run the migrations, again and again where somebody is using what they change."""
    for left in reversed(range(TRIES)):
        # What has been done is done: a new look at the database goes on from there.
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            compare_type=True,
            transaction_per_migration=True,
        )
        try:
            with context.begin_transaction():
                context.run_migrations()
            return
        except OperationalError as error:
            if not left or not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise
            connection.rollback()
            log.warning("migration_waits", reason=str(error.orig).splitlines()[0], tries_left=left)
            time.sleep(PAUSE_SECONDS)


run()
