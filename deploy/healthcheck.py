"""Asks whether this container does its work: ``healthcheck.py web|live|worker|upkeep|clock``.

Exits with 0 or 1 and says in one line what is wrong. It imports no more than it needs,
since it runs every few seconds beside a busy process.
"""

from __future__ import annotations

import os
import socket
import sys
import urllib.request
from datetime import UTC, datetime

from redis import Redis
from redis.exceptions import RedisError

PORTS = {"web": 8000, "live": 8001}
LONGEST_SILENCE_SECONDS = 30.0


def main(part: str) -> str | None:
    """What is wrong with this container's part, or None."""
    if part in PORTS:
        return fault_of_server(PORTS[part])
    if part in ("worker", "upkeep", "clock"):
        return fault_of_rq(part)
    return f"there is no part {part!r}"


def fault_of_server(port: int) -> str | None:
    """Whether this process answers. What it depends on is ``/readyz``'s business:
    starting it again would not bring PostgreSQL back."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=4):
            return None
    except OSError as error:
        return f"port {port} does not answer: {error}"


def fault_of_rq(part: str) -> str | None:
    """Whether the worker or scheduler of this host has shown itself lately."""
    from rq import Worker
    from rq.cron import CronScheduler

    known = (os.environ.get(name) for name in ("RQ_REDIS_URL", "JOBS_REDIS_URL", "REDIS_URL"))
    url = next(filter(None, known), "")
    with Redis.from_url(url, socket_timeout=4, socket_connect_timeout=4) as client:
        found = (
            Worker.all(connection=client)
            if part != "clock"
            else CronScheduler.all(client, cleanup=False)
        )
        mine = [one.last_heartbeat for one in found if one.hostname == socket.gethostname()]
    seen = [moment.astimezone(UTC) for moment in mine if moment is not None]
    if not seen:
        return f"no {part} of this host is known to Redis"
    silence = (datetime.now(UTC) - max(seen)).total_seconds()
    return f"not seen for {silence:.0f} s" if silence > LONGEST_SILENCE_SECONDS else None


if __name__ == "__main__":
    try:
        fault = main(sys.argv[1] if len(sys.argv) > 1 else "")
    except (OSError, LookupError, RedisError) as error:
        fault = f"{type(error).__name__}: {error}"
    if fault:
        sys.exit(fault)
