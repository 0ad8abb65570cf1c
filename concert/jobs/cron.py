"""The cron table that ``rq cron concert.jobs.cron`` reads.

A tick lives for a few seconds only, so that none pile up while the workers are away.
"""

from __future__ import annotations

from typing import Any

from rq import cron

from concert.jobs import ticks, upkeep
from concert.jobs.upkeep import UPKEEP

TICKS: dict[str, Any] = {
    "queue_name": "ticks",
    "job_timeout": 10,
    "ttl": 5,
    "result_ttl": 0,
    "failure_ttl": 3600,
}

cron.register(ticks.admit_everywhere, interval=1, **TICKS)
cron.register(ticks.release_expired_holds, interval=1, **TICKS)
cron.register(ticks.close_ended, interval=10, **TICKS)
# Nothing is lost with one of these: the next one goes on where it was.
cron.register(upkeep.refund_cancelled, interval=1, **{**UPKEEP, "ttl": 5})
cron.register(upkeep.clean_idempotency_keys, interval=3600, **UPKEEP)
cron.register(upkeep.forget_ended_places, interval=3600, **UPKEEP)
cron.register(upkeep.forget_old_samples, interval=3600, **UPKEEP)
cron.register(upkeep.reconcile, cron="30 4 * * *", **UPKEEP)
