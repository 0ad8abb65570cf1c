"""Whether this process is alive, and whether the service can do its work."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import structlog
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, current_app, jsonify
from rq import cron_scheduler_registry

from concert.ground.database import connection
from concert.ground.errors import Unavailable
from concert.ground.redis_client import redis, unavailable_on_failure

log = structlog.get_logger()
health = Blueprint("health", __name__)

LONGEST_SILENCE_SECONDS = 10.0
TICKED_AT = "concert:ticked_at"
READ_REVISION = "SELECT version_num FROM alembic_version"


@health.get("/healthz")
def healthz() -> Response:
    """This process answers."""
    return jsonify({"status": "alive"})


@health.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Every part is there: PostgreSQL with its migrations, Redis, the clock and a worker."""
    checks: dict[str, Callable[[], str | None]] = {
        "postgresql": _postgresql,
        "redis": _redis,
        "clock": _clock,
        "worker": _worker,
    }
    faults = {name: _fault_of(check) for name, check in checks.items()}
    found = {name: fault or "ok" for name, fault in faults.items()}
    ready = not any(faults.values())
    return jsonify(
        {"status": "ready" if ready else "not ready", "checks": found}
    ), 200 if ready else 503


def note_tick() -> None:
    """Note that a worker has done a tick, for ``/readyz`` of every instance."""
    with unavailable_on_failure():
        redis().set(TICKED_AT, f"{time.time():.3f}", ex=3600)


def _fault_of(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except Unavailable:
        return "cannot be reached"
    except Exception as error:
        log.warning("health_check_failed", exc_info=error)
        return "fails"


def _postgresql() -> str | None:
    with connection() as link:
        exists = link.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
        rows = link.execute(READ_REVISION).fetchall() if exists and exists[0] else []
    at = {row[0] for row in rows}
    heads = set(_heads(str(current_app.config["MIGRATIONS_DIRECTORY"])))
    return (
        None if at == heads else f"migrations at {', '.join(sorted(at)) or 'nothing'}, not at head"
    )


def _redis() -> str | None:
    with unavailable_on_failure():
        redis().ping()
    return None


def _clock() -> str | None:
    with unavailable_on_failure():
        seen: list[Any] = redis().zrange(
            cron_scheduler_registry.get_registry_key(), 0, 0, desc=True, withscores=True
        )
    return _silence(seen[0][1] if seen else None)


def _worker() -> str | None:
    with unavailable_on_failure():
        ticked_at = redis().get(TICKED_AT)
    return _silence(float(ticked_at) if ticked_at else None)


def _silence(seen_at: float | None) -> str | None:
    if seen_at is None:
        return "never seen"
    silence = time.time() - seen_at
    return f"not seen for {silence:.0f} s" if silence > LONGEST_SILENCE_SECONDS else None


@cache
def _heads(directory: str) -> tuple[str, ...]:
    return tuple(ScriptDirectory(directory).get_heads())
