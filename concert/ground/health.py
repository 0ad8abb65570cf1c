"""Whether this process is alive, and whether it can serve: what a balancer wants to know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cache

import structlog
from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, Response, current_app, jsonify

from concert.ground.bouncer import HAS_LIMITS
from concert.ground.budget import within
from concert.ground.database import Database, connection
from concert.ground.errors import Unavailable
from concert.ground.keys import WRITTEN_AT
from concert.ground.parts import part
from concert.ground.redis_client import redis, unavailable_on_failure
from concert.ground.streams import OpenStreams

log = structlog.get_logger()
health = Blueprint("health", __name__)

# An answer within two seconds, whatever hangs.
CHECK_SECONDS = 1.5
HAS_REVISION = "SELECT to_regclass('alembic_version') IS NOT NULL"
READ_REVISION = "SELECT version_num FROM alembic_version"
# A real write: a server that is read-only or has no room says so. Whoever migrates keeps the row.
WRITE = """
UPDATE alembic_version SET version_num = version_num
WHERE ctid IN (SELECT ctid FROM alembic_version FOR UPDATE SKIP LOCKED)"""

Check = Callable[[], str | None]


@health.get("/healthz")
def healthz() -> Response:
    """This process answers."""
    return jsonify({"status": "alive"})


@health.get("/readyz")
def readyz() -> tuple[Response, int]:
    """This web can serve: PostgreSQL with its migrations and Redis are there, and take writes."""
    faults = faults_of({"postgresql": _postgresql, "redis": _redis})
    if part(OpenStreams).is_ending:
        faults["streams"] = "are sent away: this process is about to end"
    ready = not any(faults.values())
    found = {name: fault or "ok" for name, fault in faults.items()}
    return jsonify(
        {"status": "ready" if ready else "not ready", "checks": found}
    ), 200 if ready else 503


def faults_of(checks: Mapping[str, Check]) -> dict[str, str | None]:
    """What is wrong with each part, all asked at once, since any of them may hang; None where nothing is."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # what the proxy stands for
    faults: dict[str, str | None] = dict.fromkeys(checks, "does not answer")

    def ask(name: str, check: Check) -> None:
        with app.app_context(), within(CHECK_SECONDS):
            faults[name] = _fault_of(check)

    asking = [threading.Thread(target=ask, args=one, daemon=True) for one in checks.items()]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(CHECK_SECONDS + 0.2)
    return dict(faults)


def _fault_of(check: Check) -> str | None:
    try:
        return check()
    except Unavailable as error:
        log.warning("health_check_failed", error=str(error.__cause__))
        return "cannot be reached or takes no work"
    except Exception as error:
        log.warning("health_check_failed", exc_info=error)
        return "fails"


def _postgresql() -> str | None:
    with connection() as link:
        exists = link.execute(HAS_REVISION).fetchone()
        rows = link.execute(READ_REVISION).fetchall() if exists and exists[0] else []
        at = {row[0] for row in rows}
        if at != set(_heads(str(current_app.config["MIGRATIONS_DIRECTORY"]))):
            return f"migrations at {', '.join(sorted(at)) or 'nothing'}, not at head"
        link.execute(WRITE)
        if part(Database).shares_sessions:
            limited = link.execute(HAS_LIMITS).fetchone()
            if limited is None or not limited[0]:
                return "the role has no limits of time; run concert migrate"
    return None


def _redis() -> str | None:
    with unavailable_on_failure():
        redis().set(WRITTEN_AT, 1, ex=60)
    return None


@cache
def _heads(directory: str) -> tuple[str, ...]:
    return tuple(ScriptDirectory(directory).get_heads())
