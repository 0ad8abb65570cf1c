"""Figures that are read and not counted: how this process stands, and how the whole service does.

What the service shares is read when somebody asks, once a second at the most, and within a
small budget: whatever hangs, there is an answer, which lacks what is down and says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from flask import Flask, current_app
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry

from concert.ground import metrics
from concert.ground.budget import Outage, within
from concert.ground.database import Database, connection
from concert.ground.errors import Unavailable
from concert.ground.fanout import Fanout
from concert.ground.keys import LAPSED_HOLDS
from concert.ground.limits import Limits
from concert.ground.metrics import Figures, Reading, Series
from concert.ground.parts import keep, part
from concert.ground.redis_client import Client, jobs_redis, redis, unavailable_on_failure
from concert.ground.sale_health import silences_of_the_sale
from concert.ground.settings import Settings
from concert.ground.streams import OpenStreams
from concert.waiting_room.doors import doors_of
from concert.waiting_room.keys import room_keys
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import list_rooms
from concert.waiting_room.watch import PlaceWatch

log = structlog.get_logger()

# For how long what was read is told again, and how long reading it may take.
REMEMBERED_SECONDS = 1.0
READ_SECONDS = 1.0
# How often a process shows how it stands, whoever of its part is asked.
SHOWN_SECONDS = 1.0
# More than these are not told of: each is several series for ever.
MOST_ROOMS = 100
# What each outage counts, for the figures of that name.
COUNTED = ("failures", "refusals")
MOST_PERFORMANCES = 200

QUEUES = ("ticks", "upkeep")
BECAME = ("joined", "admitted", "completed", "expired", "left")
STATES = ("free", "held", "sold")

# The seats of what is on sale now, by their state; the performances whose sale has begun last.
SEATS_ON_SALE = """
SELECT p.id, p.room_slug,
    count(*) FILTER (WHERE s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= statement_timestamp())),
    count(*) FILTER (WHERE s.sold_at IS NULL AND s.held_until > statement_timestamp()),
    count(*) FILTER (WHERE s.sold_at IS NOT NULL)
FROM (
    SELECT p.id, c.room_slug FROM performances p JOIN concerts c ON c.id = p.concert_id
    WHERE p.sales_open_at <= statement_timestamp() AND p.sales_close_at > statement_timestamp()
      AND NOT p.draft AND NOT c.draft
    ORDER BY p.sales_open_at DESC, p.id LIMIT %s
) p JOIN seats_for_sale s ON s.performance_id = p.id GROUP BY p.id, p.room_slug ORDER BY p.id"""


@dataclass(slots=True)
class Readings:
    """What was read last, and when it may be read again; and the rooms that were known then."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    until: float = 0.0
    found: list[Reading] = field(default_factory=list)
    rooms: list[Room] = field(default_factory=list)


def init_readings(app: Flask) -> None:
    """Remember what was read for this app."""
    keep(app, Readings())


def show_process(app: Flask) -> None:
    """Go on showing how this process stands, where figures are on: another one may be asked."""
    if not part(Figures, app).enabled:
        return

    def go_on() -> None:
        while True:
            try:
                with app.app_context():
                    note_process()
            except Exception as error:  # noqa: BLE001  # it is the only one, and goes on
                log.warning("figures_not_shown", error=repr(error))
            time.sleep(SHOWN_SECONDS)

    threading.Thread(target=go_on, name="figures", daemon=True).start()


def note_process() -> None:
    """Show how this process stands, and count what its parts have counted since the last time."""
    figures, settings = part(Figures), part(Settings)
    database = part(Database)
    pool = database.pool.get_stats()
    opened, idle = pool.get("pool_size", 0), pool.get("pool_available", 0)
    figures.show(metrics.POOL, "open", value=opened)
    figures.show(metrics.POOL, "idle", value=idle)
    figures.show(metrics.POOL, "waited_for", value=pool.get("requests_waiting", 0))
    figures.show(metrics.POOL_MOST, value=settings.database_pool_size)
    figures.catch_up(metrics.POOL_WAITS, total=pool.get("requests_queued", 0))
    figures.catch_up(metrics.POOL_WAIT_SECONDS, total=pool.get("requests_wait_ms", 0) / 1000)
    figures.catch_up(metrics.POOL_FAILURES, total=pool.get("requests_errors", 0))
    outages: dict[str, list[Outage]] = {
        "postgresql": [database.outage],
        "redis": part(Client).outages(),
    }
    for name, of_servers in outages.items():
        figures.show(metrics.SILENT, name, value=any(one.lasts() for one in of_servers))
        failures, refusals = (sum(getattr(one, what) for one in of_servers) for what in COUNTED)
        figures.catch_up(metrics.PART_FAILURES, name, total=failures)
        figures.catch_up(metrics.PART_REFUSALS, name, total=refusals)
    places, fanout = part(PlaceWatch), part(Fanout)
    watching = places.count()
    figures.show(metrics.VIEWERS, "place", value=watching)
    figures.show(metrics.VIEWERS, "seats", value=max(0, part(OpenStreams).count - watching))
    figures.show(metrics.VIEWERS_MOST, value=settings.max_streams)
    figures.catch_up(metrics.TOO_SLOW, "place", total=places.let_go)
    figures.catch_up(metrics.TOO_SLOW, "seats", total=fanout.let_go)
    figures.catch_up(metrics.RESYNCS, total=fanout.resyncs)
    for what, refused in part(Limits).refused.copy().items():
        figures.catch_up(metrics.LIMITED, what, total=refused)


def readings() -> list[Reading]:
    """How the whole service stands, as read within the last second, without what is down."""
    remembered = part(Readings)
    with remembered.lock:
        if remembered.until < time.monotonic():
            remembered.found = _read(remembered)
            remembered.until = time.monotonic() + REMEMBERED_SECONDS
        return remembered.found


def _read(remembered: Readings) -> list[Reading]:
    """Ask PostgreSQL and Redis at once, since either may hang."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # what the proxy stands for
    found: dict[str, list[Reading]] = {}

    def ask(name: str, read: Callable[[Readings], Iterator[Reading]]) -> None:
        try:
            with app.app_context(), within(READ_SECONDS):
                found[name] = list(read(remembered))
        except Unavailable:
            pass  # It is told by its absence.
        except Exception as error:  # whatever it is, the other figures are told
            log.warning("figures_not_read", part=name, exc_info=error)

    # The rooms are PostgreSQL's; of Redis is asked about those that it had the last time.
    asked = {"postgresql": _of_postgresql, "redis": _of_redis}
    threads = [threading.Thread(target=ask, args=one, daemon=True) for one in asked.items()]
    ends = time.monotonic() + READ_SECONDS + 0.2
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    up: list[Reading] = [(metrics.UP, (name,), float(name in found)) for name in asked]
    return up + [one for name in asked for one in found.get(name, ())]


def _of_postgresql(remembered: Readings) -> Iterator[Reading]:
    remembered.rooms = list_rooms()[:MOST_ROOMS]
    now = datetime.now(UTC)
    for room in remembered.rooms:
        yield metrics.ROOM_CAPACITY, (room.slug,), room.capacity
        yield metrics.ROOM_RATE, (room.slug,), room.admit_per_minute
        yield metrics.ROOM_OPEN, (room.slug,), float(doors_of(room, now).state == "open")
    with connection() as link:
        rows = link.execute(SEATS_ON_SALE, (MOST_PERFORMANCES,)).fetchall()
    for performance_id, slug, *counts in rows:
        for state, count in zip(STATES, counts, strict=True):
            yield metrics.SEATS, (str(performance_id), slug, state), count


def _of_redis(remembered: Readings) -> Iterator[Reading]:
    yield from _of_jobs()
    yield from _of_its_server()
    for room in remembered.rooms or _first_rooms():
        yield from _of_line(room.slug)


def _first_rooms() -> list[Room]:
    """The rooms, where PostgreSQL was never asked before; none where it does not answer soon."""
    with suppress(Unavailable), within(READ_SECONDS / 3):
        return list_rooms()[:MOST_ROOMS]
    return []


def _of_jobs() -> Iterator[Reading]:
    now, silences = silences_of_the_sale()
    for name, silence in silences.items():
        yield metrics.SILENCE, (name,), float("inf") if silence is None else silence
    client = jobs_redis()
    pipeline = client.pipeline(transaction=False)
    for name in QUEUES:
        queue = Queue(name, connection=client)
        pipeline.llen(queue.key)
        pipeline.lindex(queue.key, 0)
        pipeline.zcard(FailedJobRegistry(queue=queue).key)
    pipeline.get(LAPSED_HOLDS)
    with unavailable_on_failure():
        *answers, lapsed = pipeline.execute()
        for name, (queued, oldest, failed) in zip(
            QUEUES, zip(*[iter(answers)] * 3, strict=True), strict=True
        ):
            yield metrics.JOBS, (name,), queued
            yield metrics.JOBS_AGE, (name,), _age(oldest, now)
            yield metrics.JOBS_FAILED, (name,), failed
    yield metrics.LAPSED, (), int(lapsed or 0)


def _age(job_id: bytes | None, now: float) -> float:
    """Seconds since a job was queued; 0 where there is none any more."""
    if job_id is None:
        return 0.0
    queued_at = jobs_redis().hget(Job.key_for(job_id.decode()), "enqueued_at")
    if not isinstance(queued_at, bytes):
        return 0.0
    return max(0.0, now - datetime.fromisoformat(queued_at.decode()).timestamp())


def _of_its_server() -> Iterator[Reading]:
    with unavailable_on_failure():
        servers = redis().servers()
        memory: list[Any] = [one.info("memory") for one in servers]
        disks: list[Any] = [one.info("persistence") for one in servers]
    used = sum(one["used_memory"] for one in memory)
    # Of several, that which has no bound has none for all.
    most = [one["maxmemory"] for one in memory]
    yield metrics.REDIS_MEMORY, ("used",), used
    yield metrics.REDIS_MEMORY, ("most",), sum(most) if all(most) else 0
    saved = all(one["rdb_last_bgsave_status"] == "ok" for one in disks)
    yield metrics.REDIS_SAVES, ("rdb",), float(saved)
    # Without the log there is nothing that could be delayed or fail.
    logged = all(one["aof_last_write_status"] == "ok" for one in disks)
    yield metrics.REDIS_SAVES, ("aof",), float(logged)
    yield metrics.REDIS_DELAYED, (), sum(one.get("aof_delayed_fsync", 0) for one in disks)


def _of_line(slug: str) -> Iterator[Reading]:
    keys = room_keys(slug)
    pipeline = redis().pipeline(transaction=False)
    pipeline.time()
    pipeline.zcard(keys.waiting)
    pipeline.zrange(keys.waiting, 0, 0, withscores=True)
    pipeline.zcount(keys.admitted, f"({time.time() * 1000:.0f}", "+inf")
    pipeline.hmget(keys.state, *BECAME)
    with unavailable_on_failure():
        (seconds, microseconds), waiting, front, inside, counts = pipeline.execute()
    # A place's number is the moment at which it was given, by Redis' clock.
    age = seconds + (microseconds - front[0][1]) / 1e6 if front else 0.0
    told: tuple[tuple[Series, float], ...] = (
        (metrics.ROOM_WAITING, waiting),
        (metrics.ROOM_FRONT_AGE, max(0.0, age)),
        (metrics.ROOM_INSIDE, inside),
    )
    for series, value in told:
        yield series, (slug,), value
    for became, count in zip(BECAME, counts, strict=True):
        yield metrics.ROOM_PLACES, (slug, became), int(count or 0)
