"""Behind a bouncer in transaction mode: what a session begins with belongs to the role.

Such a bouncer lends a connection of PostgreSQL to whoever has a transaction just now. It cannot
say for each of them how long a statement may take, so PostgreSQL has to know that of the role.
"""

from __future__ import annotations

import structlog
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Identifier, Literal

from concert.ground.database import OPTIONS, connection
from concert.ground.settings import Settings, SettingsError

log = structlog.get_logger()

HAS_LIMITS = "SELECT current_setting('statement_timeout') <> '0'"


class OptionsNotGiven(SettingsError):
    """The role has not got its options; the message has the statements that somebody else may run."""


def directly(settings: Settings) -> Settings:
    """The settings of whoever needs a session of PostgreSQL itself: migrations, with their lock."""
    return settings.model_copy(
        update={
            "database_url": settings.migration_database_url or settings.database_url,
            "session_options": "connection",
        }
    )


def options_of_role(role: str, database: str) -> list[str]:
    """The statements that give a role, in one database, what our connections begin with."""
    return [
        SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}")
        .format(Identifier(role), Identifier(database), SQL(name), Literal(to))
        .as_string()
        for name, to in OPTIONS.items()
    ]


def give_options_to_role(settings: Settings) -> None:
    """Give them to the role that ``DATABASE_URL`` names. Connections that are open keep what they have.

    Raises:
        OptionsNotGiven: whoever migrates may not change that role.
        Unavailable: PostgreSQL cannot be reached.
    """
    named = conninfo_to_dict(settings.database_url).get("user")
    with connection() as link:
        found = link.execute("SELECT current_user, current_database()").fetchone()
        assert found is not None
        role, database = str(named or found[0]), str(found[1])
        statements = options_of_role(role, database)
        try:
            with link.transaction():
                for statement in statements:
                    link.execute(SQL(statement))
        except InsufficientPrivilege as error:
            run = "; ".join(statements)
            raise OptionsNotGiven(
                f"The role {role} needs its limits of time from somebody who may change it: {run};"
            ) from error
    log.info("options_given_to_role", role=role, database=database)
