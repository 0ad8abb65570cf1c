"""Whether the sale goes on: the clock ticks and a worker works.

It is apart from readiness: a dead worker must not take every web out of the balancer.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify
from rq.cron import get_cron_job_history_key
from rq.defaults import DEFAULT_CRON_JOB_HISTORY_TTL

from concert.ground.budget import within
from concert.ground.errors import Unavailable
from concert.ground.health import CHECK_SECONDS
from concert.ground.keys import LAPSED_HOLDS, TICKED_AT
from concert.ground.redis_client import jobs_redis, unavailable_on_failure

sale_health = Blueprint("sale_health", __name__)

LONGEST_SILENCE_SECONDS = 10.0
TICK = "concert.jobs.ticks.admit_everywhere"
TICK_KEPT_SECONDS = 86_400
# Both keys are written anew at every tick, with a time to live, so what is left of that says how
# long ago it was. Redis alone counts it: the clock of a host may be two minutes off.
KEPT = {
    "clock": (get_cron_job_history_key(TICK), DEFAULT_CRON_JOB_HISTORY_TTL),
    "worker": (TICKED_AT, TICK_KEPT_SECONDS),
}


@sale_health.get("/healthz/sale")
def healthz_sale() -> tuple[Response, int]:
    """The clock gives its ticks and a worker does them; when each was last seen."""
    last_seen: dict[str, str | None] = dict.fromkeys(KEPT)
    try:
        with within(CHECK_SECONDS):
            now, silences = silences_of_the_sale()
    except Unavailable:
        found = dict.fromkeys(KEPT, "not known: Redis cannot be reached or takes no work")
    else:
        found = {part: _fault(silence) or "ok" for part, silence in silences.items()}
        for part, silence in silences.items():
            if silence is not None:
                seen = datetime.fromtimestamp(now - silence, UTC)
                last_seen[part] = seen.isoformat(timespec="seconds").replace("+00:00", "Z")
    goes_on = set(found.values()) == {"ok"}
    status = "goes on" if goes_on else "stands still"
    return jsonify(
        {"status": status, "checks": found, "last_seen": last_seen}
    ), 200 if goes_on else 503


def note_tick() -> None:
    """Note that a worker has done a tick.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    with unavailable_on_failure():
        jobs_redis().set(TICKED_AT, 1, ex=TICK_KEPT_SECONDS)


def note_lapsed(holds: int) -> None:
    """Count holds whose time ran out.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    with unavailable_on_failure():
        jobs_redis().incrby(LAPSED_HOLDS, holds)


def silences_of_the_sale() -> tuple[float, dict[str, float | None]]:
    """The time by Redis' clock, and for how many seconds nothing was seen of each part; None: never.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    with unavailable_on_failure():
        pipeline = jobs_redis().pipeline(transaction=False)
        pipeline.time()
        for key, _ in KEPT.values():
            pipeline.pttl(key)
        (seconds, microseconds), *left = pipeline.execute()
    silences = {
        part: kept - ms / 1000 if ms >= 0 else None
        for (part, (_, kept)), ms in zip(KEPT.items(), left, strict=True)
    }
    return seconds + microseconds / 1e6, silences


def _fault(silence: float | None) -> str | None:
    if silence is None:
        return "never seen"
    return f"not seen for {silence:.0f} s" if silence > LONGEST_SILENCE_SECONDS else None
