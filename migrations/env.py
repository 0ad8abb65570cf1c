"""How migrations reach the database: through the app, which knows it.

One instance migrates at a time: the others wait for an advisory lock and then find nothing to do.
"""

from __future__ import annotations

from math import inf

from alembic import context
from flask import current_app
from sqlalchemy import text

from concert.ground.budget import PATIENT, within
from concert.ground.database import db

MIGRATION_LOCK = 4_301_907


def run() -> None:
    """Run the migrations that are asked for, in one transaction."""
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
        connection.commit()
        try:
            context.configure(connection=connection, target_metadata=db.metadata, compare_type=True)
            with context.begin_transaction():
                context.run_migrations()
        finally:
            connection.rollback()
            connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
            connection.execute(text("RESET lock_timeout; RESET statement_timeout"))
            connection.commit()


run()
